import { type ClusterReaders, openClusterReaders } from '../cluster/readers.ts';
import { toHex } from '../core/base/bytes.ts';
import { LineproofError } from '../core/base/errors.ts';
import { reasonName } from '../core/base/reasons.ts';
import { decodeRejected, isTimeProbe, type Rejected } from '../core/formats/rejected.ts';
import { type Log, type LogEntry, offsetAfter, TOPICS } from '../core/ports/log.ts';
import type { ClusterSettings } from '../settings/cluster-settings.ts';
import { type Command, type Invocation, stringOption } from './command.ts';
import { clusterSettings, SERVERS } from './command-settings.ts';
import { EXIT } from './exit-codes.ts';
import { loadClusterSettings, namesKeys } from './invocation-settings.ts';
import { resubmit } from './rejected-resubmit.ts';

const READ_BYTES = 8 * 1024 * 1024;
const SHOWN_BYTES = 4096;

/** A record of `provenance.rejected` with its place there. */
interface Found {
  readonly shard: number;
  readonly offset: number;
  /** 1, or the offsets that a record batch covers that cannot be read. */
  readonly span: number;
  /** Undefined if another program wrote the record, in another format. */
  readonly record: Rejected | undefined;
}

/** `lineproof rejected list|show|resubmit`. */
export const rejectedCommand: Command = {
  name: 'rejected',
  summary: 'List refused records, show one with its bytes, or send its events again',
  usage: [
    'rejected list [--shard N] [--json] [OPTIONS]',
    'rejected show SHARD/OFFSET [--raw] [--json] [OPTIONS]',
    'rejected resubmit SHARD/OFFSET [--dry-run] [--partial-history] [OPTIONS]',
  ],
  options: [
    { name: 'shard', type: 'string', value: 'N', help: 'only this shard' },
    { name: 'json', type: 'boolean', help: 'print JSON: one object a line; bytes are base64' },
    { name: 'dry-run', type: 'boolean', help: 'resubmit: search and judge, but send nothing' },
    {
      name: 'partial-history',
      type: 'boolean',
      help: "resubmit: proceed even if part of the log's history is unavailable; an event may then be linked twice",
    },
    { name: 'raw', type: 'boolean', help: 'show: write only the kept bytes, unchanged, to stdout' },
  ],
  ...clusterSettings(['data', 'keys', 'rootKey', 'name', ...SERVERS.kafka, ...SERVERS.registry, ...SERVERS.s3, 'lingerMs']),
  lists: ([action]) => action !== 'resubmit',
  notes: [
    'Each line: SHARD/OFFSET on provenance.rejected, offset of the message on provenance.events and position in its batch, outcome, reason, size.',
    'FIRST-LAST instead of an offset: several messages, of which the record holds each with its length, or records that no reader can read.',
    'docs/formats.md, section 3, says what each reason means.',
    'resubmit signs with collector.key. It sends the events unchanged, behind an event on lineproof/resubmit/SHARD that says where they were refused.',
    'First it searches chain topic and archive. It does not send events that are linked already, and refuses a batch that was accepted after all.',
    'Exit code 1: the record was refused, or some of its messages or events were withheld; each has its reason.',
  ],
  run: async (invocation: Invocation): Promise<number> => {
    const [action, place, ...more] = invocation.operands;
    const named = (action === 'show' || action === 'resubmit') && place !== undefined;
    if (more.length > 0 || (!named && (action !== 'list' || place !== undefined)))
      throw new LineproofError('USAGE', 'rejected takes list, show SHARD/OFFSET, or resubmit SHARD/OFFSET');
    const loaded = loadClusterSettings(invocation);
    const { values } = loaded;
    // Resubmission signs with a key of that folder: it is the operator's own.
    const cluster = await openClusterReaders({ ...values, logLevel: 'error' }, action === 'resubmit' || namesKeys(loaded));
    try {
      if (named && action === 'show') return await show(invocation, cluster.log, place);
      if (named) return await sendAgain(invocation, values, cluster, place);
      const { shards } = (await cluster.sources()).policies.latest.policy;
      return await list(invocation, cluster.log, shards);
    } finally {
      await cluster.close();
    }
  },
};

async function list(invocation: Invocation, log: Log, shards: number): Promise<number> {
  const { options, terminal } = invocation;
  const wanted = stringOption(invocation, 'shard');
  if (wanted !== undefined && !(/^\d{1,4}$/.test(wanted) && Number(wanted) < shards))
    throw new LineproofError('USAGE', `--shard is ${JSON.stringify(wanted)}: the policy has ${shards} shards, from 0`);
  for (let shard = 0; shard < shards; shard++) {
    if (wanted !== undefined && Number(wanted) !== shard) continue;
    for await (const each of readShard(log, shard)) {
      if (terminal.signal.aborted) return EXIT.ok;
      terminal.stdout.write(options['json'] === true ? `${JSON.stringify(fieldsOf(each))}\n` : line(each));
    }
  }
  return EXIT.ok;
}

async function* readShard(log: Log, shard: number): AsyncGenerator<Found> {
  const { start, end } = await log.bounds(TOPICS.rejected, shard);
  for (let offset = start; offset < end; ) {
    const entries = await log.read(TOPICS.rejected, shard, offset, { maxBytes: READ_BYTES, waitMs: 0 });
    if (entries.length === 0) return;
    for (const entry of entries) {
      offset = offsetAfter(entry);
      if (entry.kind === 'unreadable' || !isTimeProbe(entry)) yield found(shard, entry);
    }
  }
}

function found(shard: number, entry: LogEntry): Found {
  const record = entry.kind === 'record' ? decoded(entry.value) : undefined;
  return { shard, offset: entry.offset, span: offsetAfter(entry) - entry.offset, record };
}

function decoded(value: Uint8Array): Rejected | undefined {
  try {
    return decodeRejected(value);
  } catch {
    return undefined;
  }
}

/** The rejected record at a place, and the bytes of the record itself; of a record batch that cannot be read, the first bytes as stored. */
async function findAt(log: Log, action: string, place: string): Promise<Found & { readonly value: Uint8Array }> {
  const [, shard, offset] = /^(\d{1,4})\/(\d{1,15})$/.exec(place) ?? [];
  if (shard === undefined)
    throw new LineproofError('USAGE', `${action} takes SHARD/OFFSET as list prints it, not ${JSON.stringify(place)}`);
  const [first] = await log.read(TOPICS.rejected, Number(shard), Number(offset), { maxBytes: 1, waitMs: 0 });
  if (first?.offset !== Number(offset)) throw new LineproofError('NOT_FOUND', `cannot ${action} ${place}: nothing is there`);
  return { ...found(Number(shard), first), value: first.kind === 'record' ? first.value : first.bytes };
}

async function sendAgain(
  { options, terminal }: Invocation,
  settings: ClusterSettings,
  cluster: ClusterReaders,
  place: string,
): Promise<number> {
  const { shard, record } = await findAt(cluster.log, 'resubmit', place);
  if (record?.shard !== shard)
    throw new LineproofError('NOT_RESUBMITTABLE', `cannot resubmit ${place}: a chainer of this version did not write the record there`);
  const on = (name: string): boolean => options[name] === true;
  const flags = { json: on('json'), dryRun: on('dry-run'), partialHistory: on('partial-history') };
  return resubmit(record, { settings, cluster, terminal, place, ...flags });
}

async function show({ options, terminal }: Invocation, log: Log, place: string): Promise<number> {
  const there = await findAt(log, 'show', place);
  const { record, value } = there;
  if (options['raw'] === true) terminal.stdout.write(record?.bytes ?? value);
  else if (options['json'] === true)
    terminal.stdout.write(`${JSON.stringify({ ...fieldsOf(there), bytes: base64(record?.bytes ?? value) })}\n`);
  else terminal.stdout.write(`${line(there)}${record === undefined ? '' : detail(record)}`);
  return EXIT.ok;
}

function fieldsOf({ shard, offset, span, record }: Found): Record<string, string | number | null> {
  if (record === undefined) return { place: `${shard}/${offset}`, outcome: null, ...(span === 1 ? {} : { span }) };
  const { inputGeneration, inputOffset, position, outcome, reason, digest, size } = record;
  const name = reasonName(reason) ?? String(reason);
  const input = { inputGeneration, inputOffset, span: record.span, position };
  return { place: `${shard}/${offset}`, ...input, outcome, reason: name, digest: toHex(digest), size };
}

function line({ shard, offset, span, record }: Found): string {
  const place = `${shard}/${offset}`.padEnd(10);
  if (span > 1) return `${place} not readable: ${span} records, not written by a chainer of this version\n`;
  if (record === undefined) return `${place} not readable: not written by a chainer of this version\n`;
  const { inputOffset, position, outcome, reason, size } = record;
  const whole = record.span === 1 ? `${inputOffset}` : `${inputOffset}-${inputOffset + record.span - 1}`;
  const input = position < 0 ? whole : `${inputOffset}#${position}`;
  return `${place} ${input.padEnd(12)} ${outcome.padEnd(8)} ${(reasonName(reason) ?? String(reason)).padEnd(22)} ${size} bytes\n`;
}

function detail({ digest, size, bytes }: Rejected): string {
  const shown = bytes.subarray(0, SHOWN_BYTES);
  const rest = size > shown.length ? `\n… ${size - shown.length} more bytes; --raw writes all that were kept (${bytes.length})` : '';
  return `digest  ${toHex(digest)}\n${toHex(shown)
    .replaceAll(/(.{64})/g, '$1\n')
    .trimEnd()}${rest}\n`;
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64');
}
