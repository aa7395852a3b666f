import { LineproofError } from '../core/base/errors.ts';
import { printable } from '../core/base/terminal-text.ts';
import { parseUuid } from '../core/formats/identity.ts';
import type { Wanted } from '../prover/wanted.ts';
import { type CommandOption, type Invocation, stringOption } from './command.ts';
import { digestsOfFile, FILE_ALGORITHMS } from './file-digests.ts';

/** The options of `prove` that say which events are wanted. */
export const WANTED_OPTIONS: readonly CommandOption[] = [
  {
    name: 'event',
    short: 'e',
    type: 'string',
    value: 'STREAM/ID',
    help: 'the event with this id (a UUID) on this stream, as query, run and emit print them',
  },
  { name: 'leaf', short: 'l', type: 'string', value: 'SHARD/LEAF', help: 'the event at this leaf of the log, as query prints it' },
  {
    name: 'file',
    short: 'f',
    type: 'string',
    value: 'PATH',
    help: `every event that names data with the digest of this file (${FILE_ALGORITHMS.join(', ')}) as input or output`,
  },
  {
    name: 'stream',
    short: 's',
    type: 'string',
    value: 'NAME',
    help: 'every event of this stream, or those from --from to --to: together they show that none between them is missing',
  },
  { name: 'from', type: 'string', value: 'NUMBER', help: 'with --stream: number of the first event, from 0 (0)' },
  { name: 'to', type: 'string', value: 'NUMBER', help: 'with --stream: number of the last event (the newest)' },
];

/** Which events a call wants. Throws USAGE, IO_FAILED. */
export async function wantedOf(invocation: Invocation): Promise<Wanted> {
  const named = (['event', 'leaf', 'file', 'stream'] as const).filter((name) => stringOption(invocation, name) !== undefined);
  const [kind] = named;
  if (kind === undefined || named.length > 1)
    throw new LineproofError('USAGE', 'prove takes one of --event, --leaf, --file and --stream; see lineproof prove --help');
  const text = stringOption(invocation, kind) ?? '';
  if (kind !== 'stream' && (stringOption(invocation, 'from') ?? stringOption(invocation, 'to')) !== undefined)
    throw new LineproofError('USAGE', '--from and --to belong to --stream');
  if (kind === 'event') return eventOf(text);
  if (kind === 'leaf') return leafOf(text);
  if (kind === 'file') return { kind: 'data', digests: await digestsOfFile(text) };
  const from = positionOf(invocation, 'from', 0);
  const to = positionOf(invocation, 'to', Number.MAX_SAFE_INTEGER);
  if (from > to) throw new LineproofError('USAGE', `--from ${from} is after --to ${to}`);
  return { kind: 'stream', stream: text, from, to };
}

function eventOf(text: string): Wanted {
  const slash = text.lastIndexOf('/');
  try {
    if (slash > 0) return { kind: 'event', stream: text.slice(0, slash), id: parseUuid(text.slice(slash + 1)) };
  } catch {
    // The message below is about the whole text.
  }
  throw new LineproofError('USAGE', `--event is ${JSON.stringify(text.slice(0, 400))}: it must be STREAM/ID, the id a UUID`);
}

function leafOf(text: string): Wanted {
  const match = /^(0|[1-9][0-9]{0,3})\/(0|[1-9][0-9]{0,15})$/.exec(text);
  if (match === null || !Number.isSafeInteger(Number(match[2])))
    throw new LineproofError('USAGE', `--leaf is ${JSON.stringify(text.slice(0, 80))}: it must be SHARD/LEAF, such as 0/12`);
  return { kind: 'leaf', shard: Number(match[1]), leaf: Number(match[2]) };
}

function positionOf(invocation: Invocation, name: string, fallback: number): number {
  const text = stringOption(invocation, name);
  if (text === undefined) return fallback;
  if (!/^[0-9]{1,16}$/.test(text) || !Number.isSafeInteger(Number(text)))
    throw new LineproofError('USAGE', `--${name} is ${JSON.stringify(text.slice(0, 80))}: it must be a number from 0`);
  return Number(text);
}

/** That no event was found which the call wants, in words. */
export function unfoundText(invocation: Invocation): string {
  const named = (name: string): string => printable(stringOption(invocation, name) ?? '');
  if (stringOption(invocation, 'leaf') !== undefined) return `no closed segment of the archive holds leaf ${named('leaf')}`;
  const none = 'no event in a closed segment of the archive';
  if (stringOption(invocation, 'event') !== undefined) return `${none} is ${JSON.stringify(named('event'))}`;
  if (stringOption(invocation, 'file') !== undefined) return `${none} names the content of ${JSON.stringify(named('file'))}`;
  const [from, to] = [stringOption(invocation, 'from'), stringOption(invocation, 'to')];
  const range = from === undefined && to === undefined ? '' : ` with a number from ${from ?? 0} ${to === undefined ? 'on' : `to ${to}`}`;
  return `${none} is of stream ${JSON.stringify(named('stream'))}${range}`;
}
