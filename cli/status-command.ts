import { kafkaClient } from '../adapters/kafka-client.ts';
import { type GroupShard, kafkaGroupStatus } from '../adapters/kafka-group-status.ts';
import { systemClock } from '../adapters/system-clock.ts';
import { type ChainEnd, chainEnd } from '../cluster/chain-end.ts';
import { pinnedRoot } from '../cluster/keys.ts';
import { newestQuorum } from '../cluster/newest-quorum.ts';
import { kafkaSettings } from '../cluster/open-log.ts';
import { openObjectStore } from '../cluster/open-object-store.ts';
import { type ClusterReaders, openClusterReaders } from '../cluster/readers.ts';
import { measureLag } from '../cluster/service.ts';
import { openLogNote } from '../core/archive/archive-anchor.ts';
import { logKeysOf, parseArchiveKey } from '../core/archive/archive-keys.ts';
import { type ListedStamp, newestStamps } from '../core/archive/stamp-listing.ts';
import { LineproofError } from '../core/base/errors.ts';
import { printable, terminalJson } from '../core/base/terminal-text.ts';
import type { Sources } from '../core/chain/governance-source.ts';
import { type Log, TOPICS } from '../core/ports/log.ts';
import type { ObjectStore } from '../core/ports/object-store.ts';
import type { ClusterSettings } from '../settings/cluster-settings.ts';
import type { Command, Invocation } from './command.ts';
import { clusterSettings, ONLOOKER, UNPINNED } from './command-settings.ts';
import { EXIT, exitCodeOf } from './exit-codes.ts';
import { loadClusterSettings, namesKeys } from './invocation-settings.ts';

/** The present state of one shard. */
interface ShardStatus {
  readonly shard: number;
  /** Messages on the input topic that no chainer consumed, and the age of the oldest, seconds. */
  readonly lag: number | null;
  readonly lagSeconds: number | null;
  /** Leaves up to the last block on the chain topic. */
  readonly size: number | null;
  readonly attested: number | null;
  readonly archived: number | null;
  /** Seconds since the newest block that the newest checkpoint covers was made; null where there is no checkpoint. */
  readonly checkpointSeconds: number | null;
  /** Seconds since the newest quorum of witnesses was complete, by their clocks; null where no witnesses are named, or no published or kept note has a quorum. */
  readonly witnessedSeconds: number | null;
  /** Leaves that the newest time stamp covers, and its age in seconds by the time that it states, unverified; null where there is none. */
  readonly stamped: number | null;
  readonly stampedSeconds: number | null;
  /** ISO 8601, where the newest block or the newest input is dated ahead of this clock by more than `clockSkew`; else null. */
  readonly blocksAheadUntil: string | null;
  readonly inputAheadUntil: string | null;
  readonly chainer: string | null;
  readonly archiver: string | null;
  /** Why numbers are null that could not be told. */
  readonly problems: readonly string[];
}

/** Names the time stamp in a problem. */
const STAMPED = 'stamped';
/** At once: each waits for servers that may be away. */
const SHARDS_AT_ONCE = 16;

/** `lineproof status`: every shard in a line. */
export const statusCommand: Command = {
  name: 'status',
  summary: 'Show lag, sizes and owner of every shard',
  usage: ['status [--json] [OPTIONS]'],
  options: [{ name: 'json', type: 'boolean', help: 'print JSON' }],
  ...clusterSettings(ONLOOKER),
  notes: [
    'LAG      messages that wait for a chainer, and the age of the oldest',
    'SIZE     leaves of the log up to its last block, as the blocks state it, unverified; ATTESTED: covered by a signed checkpoint; ARCHIVED: in closed segments',
    'A number that cannot be told is ? (null in JSON); stderr says why, and the exit code is not 0.',
    'WITNESSED  where the policy names witnesses: age of their newest quorum, by their clocks; - if no published or kept note has one',
    'CHECKED  age of the newest block that the newest checkpoint covers; it grows while the log is silent, too',
    'STAMPED  age of the newest time stamp, as it states it, unverified; it grows while the log is silent, too',
  ],
  run: async (invocation: Invocation): Promise<number> => {
    if (invocation.operands.length > 0) throw new LineproofError('USAGE', 'status takes no arguments');
    const loaded = loadClusterSettings(invocation);
    const { values } = loaded;
    const cluster = await openClusterReaders({ ...values, logLevel: 'error' }, namesKeys(loaded));
    if (pinnedRoot(values, namesKeys(loaded)) === undefined) invocation.terminal.stderr.write(`lineproof: ${UNPINNED}\n`);
    const objects = await openObjectStore(values);
    try {
      const { rows, firstError, isWitnessed } = await statusOf(values, cluster, objects);
      const { stdout, stderr } = invocation.terminal;
      stdout.write(invocation.options['json'] === true ? `${terminalJson(rows, 2)}\n` : describe(rows, isWitnessed));
      for (const { shard, problems } of rows)
        for (const problem of problems) stderr.write(`${printable(`lineproof: shard ${shard}: ${problem}`)}\n`);
      for (const row of rows) for (const note of aheadNotes(row)) stderr.write(`lineproof: ${note}\n`);
      return firstError === undefined ? EXIT.ok : exitCodeOf(firstError);
    } finally {
      await objects.close();
      await cluster.close();
    }
  },
};

interface Status {
  readonly rows: readonly ShardStatus[];
  /** The first failure to read something; undefined if everything could be read. */
  readonly firstError: LineproofError | undefined;
  /** Whether the newest policy names witnesses. */
  readonly isWitnessed: boolean;
}

/** Collects what could not be read, so that the rest is shown. */
class Attempts {
  readonly problems: string[] = [];
  readonly errors: LineproofError[] = [];

  /** What `read` gives; undefined if it fails, which is noted under the name of what is missing. */
  async of<T>(what: string, read: () => Promise<T>): Promise<T | undefined> {
    try {
      return await read();
    } catch (error) {
      if (!(error instanceof LineproofError)) throw error;
      this.problems.push(`${what}: ${error.message} [${error.code}]`);
      this.errors.push(error);
      return undefined;
    }
  }
}

type Group = ReadonlyMap<number, GroupShard> | undefined;

async function statusOf(settings: ClusterSettings, cluster: ClusterReaders, objects: ObjectStore): Promise<Status> {
  const { kafkaTopicPrefix, chainGroup, archiveGroup } = settings;
  const kafka = kafkaClient(kafkaSettings(settings), cluster.logger);
  const sources = await cluster.sources();
  const groups = new Attempts();
  const groupOf = (name: string, topic: string): Promise<Group> =>
    groups.of(`group ${name}`, () => kafkaGroupStatus(kafka, kafkaTopicPrefix + name, kafkaTopicPrefix + topic));
  const [chainers, archivers] = [await groupOf(chainGroup, TOPICS.events), await groupOf(archiveGroup, TOPICS.chain)];
  const rows: ShardStatus[] = [];
  const errors = [...groups.errors];
  const { shards } = sources.policies.latest.policy;
  for (let first = 0; first < shards; first += SHARDS_AT_ONCE) {
    const some = Array.from({ length: Math.min(SHARDS_AT_ONCE, shards - first) }, async (_, i) => {
      const attempts = new Attempts();
      const row = await shardStatus(first + i, { log: cluster.log, objects, sources, chainers, archivers }, attempts);
      return { row: { ...row, problems: [...groups.problems, ...attempts.problems] }, errors: attempts.errors };
    });
    for (const { row, errors: found } of await Promise.all(some)) {
      rows.push(row);
      errors.push(...found);
    }
  }
  return { rows, firstError: errors[0], isWitnessed: sources.policies.latest.witnesses !== null };
}

interface ShardSources {
  readonly log: Log;
  readonly objects: ObjectStore;
  readonly sources: Sources;
  readonly chainers: Group;
  readonly archivers: Group;
}

async function shardStatus(shard: number, from: ShardSources, attempts: Attempts): Promise<Omit<ShardStatus, 'problems'>> {
  const { log, objects, chainers, archivers } = from;
  const [chainer, archiver] = [chainers?.get(shard), archivers?.get(shard)];
  const note = await attempts.of('attested', () => newestNote(shard, from));
  const end = await attempts.of('size', () => chainEnd(log, shard, note?.size ?? 0));
  const lag = end === undefined ? undefined : await attempts.of('lag', () => inputLag(shard, from, end));
  const consumed = archiver?.committed;
  if (consumed !== undefined) await attempts.of('chain', () => measureLag(log, TOPICS.chain, shard, consumed));
  const stamp = await attempts.of(STAMPED, () => newestStamp(objects, shard, note?.size ?? Number.MAX_SAFE_INTEGER));
  const archived = await attempts.of('archived', () => archivedSize(objects, logKeysOf(shard).segments));
  return {
    shard,
    lag: lag?.lag ?? null,
    lagSeconds: lag === undefined ? null : Math.round(lag.seconds * 10) / 10,
    size: note === undefined || end === undefined ? null : Math.max(end.size, note.size),
    attested: note?.size ?? null,
    archived: archived ?? null,
    checkpointSeconds: end?.coveredAt === undefined ? null : ageSeconds(end.coveredAt),
    witnessedSeconds: (await attempts.of('witnessed', () => quorumAge(shard, from))) ?? null,
    stamped: stamp?.size ?? null,
    stampedSeconds: stamp?.genTime === undefined ? null : ageSeconds(stamp.genTime),
    ...aheadOf(end, from.sources),
    chainer: chainer?.owner ?? null,
    archiver: archiver?.owner ?? null,
  };
}

/** Seconds since a time in microseconds, to a tenth. */
function ageSeconds(micros: number): number {
  return Math.max(0, Math.round((systemClock.nowMicros() - micros) / 1e5) / 10);
}

/** The time stamp that covers most leaves; of several the newest. */
async function newestStamp(objects: ObjectStore, shard: number, attested: number): Promise<ListedStamp | undefined> {
  const stamps = [...(await newestStamps(objects, shard, attested)).values()];
  return stamps.toSorted((a, b) => b.size - a.size || (b.genTime ?? 0) - (a.genTime ?? 0))[0];
}

/** Until when the times of a log that stood in the future stand still. */
function aheadOf(end: ChainEnd | undefined, { policies }: Sources): Pick<ShardStatus, 'blocksAheadUntil' | 'inputAheadUntil'> {
  const latest = systemClock.nowMicros() + policies.latest.policy.clockSkewMs * 1000;
  const until = (micros = 0): string | null => (micros > latest ? new Date(micros / 1000).toISOString() : null);
  return { blocksAheadUntil: until(end?.times?.acceptedAt), inputAheadUntil: until(end?.times?.appendedAt) };
}

/** What a log that stands in the future, or stood there, does until its time has come. */
function aheadNotes({ shard, blocksAheadUntil, inputAheadUntil }: ShardStatus): string[] {
  const notes: string[] = [];
  if (blocksAheadUntil !== null)
    notes.push(
      `shard ${shard}: the newest block is dated ${blocksAheadUntil}, ahead of this clock: until then segments do not end by age, or until a new policy version is published`,
    );
  if (inputAheadUntil !== null)
    notes.push(
      `shard ${shard}: the newest input is dated ${inputAheadUntil}, ahead of this clock: until then the dedup window stands still, and lanes are kept`,
    );
  return notes;
}

/** Messages that no block has consumed. Kafka forgets what was committed for a topic that was deleted; the blocks do not. */
async function inputLag(shard: number, { log, sources, chainers }: ShardSources, { input }: ChainEnd): ReturnType<typeof measureLag> {
  const { start } = await log.bounds(TOPICS.events, shard);
  const isOfThisTopic = input?.generation === sources.policies.latest.policy.inputGeneration.generation;
  const consumed = Math.max(chainers?.get(shard)?.committed ?? 0, isOfThisTopic ? (input?.to ?? 0) : 0);
  return measureLag(log, TOPICS.events, shard, consumed === 0 ? start : consumed);
}

/** Size of the newest signed note; 0 if there is none. */
async function newestNote(shard: number, { objects, sources }: ShardSources): Promise<{ readonly size: number }> {
  const stored = await objects.get(logKeysOf(shard).signed);
  const { latest } = sources.policies;
  return stored === undefined ? { size: 0 } : openLogNote(stored.bytes, `${latest.policy.origin}/${shard}`, latest.logKeys(shard));
}

/** Age of the newest quorum, seconds; undefined without one. */
async function quorumAge(shard: number, { objects, sources }: ShardSources): Promise<number | undefined> {
  const { latest } = sources.policies;
  if (latest.witnesses === null) return undefined;
  const quorum = await newestQuorum(objects, logKeysOf(shard), latest.logKeys(shard), latest.witnesses);
  return quorum === undefined ? undefined : Math.max(0, Math.round(systemClock.nowMicros() / 1e6 - quorum.time));
}

async function archivedSize(objects: ObjectStore, segments: string): Promise<number> {
  let size = 0;
  for await (const { key } of objects.list(segments)) {
    const place = parseArchiveKey(key);
    if (place.kind === 'manifest') size = Math.max(size, place.end);
  }
  return size;
}

function describe(rows: readonly ShardStatus[], isWitnessed: boolean): string {
  const outside = [...(isWitnessed ? ['WITNESSED'] : []), 'STAMPED'];
  const lines = [['SHARD', 'LAG', 'SIZE', 'ATTESTED', 'ARCHIVED', 'CHECKED', ...outside, 'CHAINER', 'ARCHIVER']];
  const told = (value: number | null): string => (value === null ? '?' : `${value}`);
  for (const row of rows) {
    const lag = row.lag === null || row.lag === 0 ? told(row.lag) : `${row.lag} (${row.lagSeconds} s)`;
    const isUnread = row.size === null;
    const checked = row.checkpointSeconds === null ? (isUnread ? '?' : '-') : `${row.checkpointSeconds} s`;
    const witnessed = row.witnessedSeconds === null ? '-' : `${row.witnessedSeconds} s`;
    const isStampUnread = row.problems.some((problem) => problem.startsWith(`${STAMPED}:`));
    const stamped = row.stampedSeconds === null ? (isStampUnread ? '?' : '-') : `${row.stampedSeconds} s`;
    const confirmed = [checked, ...(isWitnessed ? [witnessed] : []), stamped];
    const names = [printable(row.chainer ?? '-'), printable(row.archiver ?? '-')];
    lines.push([`${row.shard}`, lag, told(row.size), told(row.attested), told(row.archived), ...confirmed, ...names]);
  }
  const widths = (lines[0] as string[]).map((_, column) => Math.max(...lines.map((line) => (line[column] as string).length)));
  return `${lines
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column] as number))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')}\n`;
}
