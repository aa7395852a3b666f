import { join } from 'node:path';
import { Findings } from '../auditor/findings.ts';
import { checkProof } from '../auditor/proofs/proof-check.ts';
import { utf8 } from '../core/base/bytes.ts';
import { LineproofError } from '../core/base/errors.ts';
import { counted, printable, terminalJson } from '../core/base/terminal-text.ts';
import { parseUuid } from '../core/formats/identity.ts';
import { type MadeProof, proveEvents } from '../prover/prove.ts';
import type { Wanted } from '../prover/wanted.ts';
import { SETTINGS } from '../settings/embedded-settings.ts';
import { flagOf } from '../settings/setting.ts';
import { openArchive, READING_SETTINGS } from './archive-location.ts';
import { type Command, type CommandOption, type Invocation, stringOption, type Terminal } from './command.ts';
import { EXIT } from './exit-codes.ts';
import { digestsOfFile, FILE_ALGORITHMS } from './file-digests.ts';
import { dataFolder } from './invocation-settings.ts';
import { Progress } from './progress.ts';
import { openProofFolder, type ProofFolder } from './proof-folder.ts';
import { tellFindings } from './told-findings.ts';

const OPTIONS: readonly CommandOption[] = [
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
  {
    name: 'out',
    short: 'o',
    type: 'string',
    value: 'PLACE',
    help: 'folder for the files, or a name that ends in .tlog-proof for the only one, or - for standard output (the working folder)',
  },
  { name: 'json', type: 'boolean', help: 'one JSON object a line for each file that was written' },
  {
    name: flagOf('data'),
    type: 'string',
    value: 'FOLDER',
    help: `data folder whose archive is read where no ARCHIVE is given (${SETTINGS.data.fallback})`,
  },
];

/** `lineproof prove`: a file for each event, which a stranger can check with one public key. */
export const proveCommand: Command = {
  name: 'prove',
  summary: 'Write a file that proves one event to a stranger',
  usage: ['prove [ARCHIVE] --event STREAM/ID | --leaf SHARD/LEAF | --file PATH | --stream NAME [--from N] [--to N] [--out PLACE]'],
  options: OPTIONS,
  settings: READING_SETTINGS,
  notes: [
    "Each file is a C2SP .tlog-proof that holds the event, its producer's signature, its place in the log, a signed note of the log, and the policy. Whoever has the file reads the event.",
    'lineproof check FILE --key KEY checks it, with nothing but a key that the reader got from the operator by another way.',
    'Only events in closed segments can be proven: a running system closes the open one when it has been open for the time of its policy, or when it stops.',
    'Exit codes: 0 at least one event was proven; 1 none was found, or the archive is wrong at it, or could not be read everywhere (stderr names the objects); 74 a file cannot be read or written.',
  ],
  run: async (invocation: Invocation): Promise<number> => {
    const { operands, terminal } = invocation;
    if (operands.length > 1) throw new LineproofError('USAGE', 'prove takes one archive; see lineproof prove --help');
    const wanted = await wantedOf(invocation);
    const out = openProofFolder(stringOption(invocation, 'out'));
    const archive = operands[0] ?? join(dataFolder(invocation).folder, 'archive');
    const store = await openArchive(archive, 'prove', invocation);
    try {
      const findings = new Findings();
      const seen = { removed: 0, open: [] as string[] };
      const progress = new Progress(terminal.stderr);
      const made = proveEvents(store, wanted, findings, {
        onProgress: (done, total) => progress.update('searching', done, total),
        onRemoved: () => seen.removed++,
        onOpen: (shard, first, end) => seen.open.push(`leaves ${first} to ${end - 1} of shard ${shard}`),
      });
      const count = await writeAll(made, out, findings, invocation);
      progress.clear();
      if (count > 0) sayHow(count, out, terminal);
      else sayNone(invocation, seen, terminal);
      return tellFindings(findings, terminal.stderr) || count === 0 ? EXIT.findings : EXIT.ok;
    } finally {
      await store.close();
    }
  },
};

/** Writes each proof, after it was checked against itself: what the archive gives wrong is a finding, and never handed out as a proof. */
async function writeAll(made: AsyncIterable<MadeProof>, out: ProofFolder, findings: Findings, invocation: Invocation): Promise<number> {
  const { options, terminal } = invocation;
  let count = 0;
  for await (const proof of made) {
    const wrong = checkProof(utf8(proof.text), { keys: [] }).findings.filter(({ severity }) => severity === 'FAILED');
    for (const finding of wrong) findings.take(finding);
    if (wrong.length > 0) continue;
    const path = out.write(proof, count);
    count++;
    if (path === undefined) terminal.stdout.write(proof.text);
    else terminal.stdout.write(options['json'] === true ? `${terminalJson(described(path, proof))}\n` : `${path}\n`);
  }
  return count;
}

function described(path: string, { text, ...place }: MadeProof): Readonly<Record<string, unknown>> {
  return { path, ...place, bytes: utf8(text).length };
}

function sayHow(count: number, { example }: ProofFolder, { stderr }: Terminal): void {
  const file = example ?? 'FILE';
  stderr.write(`${counted(count, 'event')} proven; to check: lineproof check ${printable(file)} --key KEY\n`);
}

function sayNone(
  invocation: Invocation,
  { removed, open }: { readonly removed: number; readonly open: readonly string[] },
  { stderr }: Terminal,
): void {
  const asked = ['event', 'leaf', 'file', 'stream'].map((name) => stringOption(invocation, name)).find((text) => text !== undefined) ?? '';
  stderr.write(`no event in a closed segment of the archive is ${JSON.stringify(printable(asked))}\n`);
  for (const leaves of open) stderr.write(`${leaves} are in a segment that is still open: they can be proven when it is closed\n`);
  if (removed > 0) stderr.write(`retention removed the events of ${counted(removed, 'segment')}: they cannot be proven any more\n`);
}

// --- what is wanted

async function wantedOf(invocation: Invocation): Promise<Wanted> {
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
