import { kafkaClient } from '../adapters/kafka-client.ts';
import { type GroupShard, kafkaGroupStatus } from '../adapters/kafka-group-status.ts';
import { systemClock } from '../adapters/system-clock.ts';
import { chainEnd } from '../cluster/chain-end.ts';
import { pinnedRoot } from '../cluster/keys.ts';
import { kafkaSettings } from '../cluster/open-log.ts';
import { openObjectStore } from '../cluster/open-object-store.ts';
import { type ClusterReaders, openClusterReaders } from '../cluster/readers.ts';
import { measureLag } from '../cluster/service.ts';
import { openLogNote } from '../core/archive/archive-anchor.ts';
import { logKeysOf, parseArchiveKey } from '../core/archive/archive-keys.ts';
import { LineproofError } from '../core/base/errors.ts';
import { printable, terminalJson } from '../core/base/terminal-text.ts';
import type { Sources } from '../core/chain/governance-source.ts';
import { type Log, TOPICS } from '../core/ports/log.ts';
import type { ObjectStore } from '../core/ports/object-store.ts';
import type { ClusterSettings } from '../settings/cluster-settings.ts';
import type { Command, Invocation } from './command.ts';
import { clusterSettings, SERVERS, UNPINNED } from './command-settings.ts';
import { EXIT } from './exit-codes.ts';
import { loadClusterSettings, namesKeys } from './invocation-settings.ts';

/** The present state of one shard. */
interface ShardStatus {
  readonly shard: number;
  /** Messages on the input topic that no chainer consumed, and the age of the oldest, seconds. */
  readonly lag: number;
  readonly lagSeconds: number;
  /** Leaves up to the last block on the chain topic. */
  readonly size: number;
  readonly attested: number;
  readonly archived: number;
  /** Seconds since the newest block that the newest checkpoint covers was made; null where there is no checkpoint. */
  readonly checkpointSeconds: number | null;
  readonly chainer: string | null;
  readonly archiver: string | null;
}

/** `lineproof status`: every shard in a line. */
export const statusCommand: Command = {
  name: 'status',
  summary: 'Show lag, sizes and owner of every shard',
  usage: ['status [--json] [OPTIONS]'],
  options: [{ name: 'json', type: 'boolean', help: 'print JSON' }],
  ...clusterSettings([
    'data',
    'keys',
    'rootKey',
    'name',
    ...SERVERS.kafka,
    ...SERVERS.registry,
    ...SERVERS.s3,
    'chainGroup',
    'archiveGroup',
  ]),
  notes: [
    'LAG      messages that wait for a chainer, and the age of the oldest',
    'SIZE     leaves of the log up to its last block, as the blocks state it, unverified; ATTESTED: covered by a signed checkpoint; ARCHIVED: in closed segments',
    'CHECKED  age of the newest block that the newest checkpoint covers; it grows while the log is silent, too',
  ],
  run: async (invocation: Invocation): Promise<number> => {
    if (invocation.operands.length > 0) throw new LineproofError('USAGE', 'status takes no arguments');
    const loaded = loadClusterSettings(invocation);
    const { values } = loaded;
    const cluster = await openClusterReaders({ ...values, logLevel: 'error' }, namesKeys(loaded));
    if (pinnedRoot(values, namesKeys(loaded)) === undefined) invocation.terminal.stderr.write(`lineproof: ${UNPINNED}\n`);
    const objects = await openObjectStore(values);
    try {
      const rows = await statusOf(values, cluster, objects);
      const { stdout } = invocation.terminal;
      stdout.write(invocation.options['json'] === true ? `${terminalJson(rows, 2)}\n` : describe(rows));
      return EXIT.ok;
    } finally {
      await objects.close();
      await cluster.close();
    }
  },
};

async function statusOf(settings: ClusterSettings, cluster: ClusterReaders, objects: ObjectStore): Promise<ShardStatus[]> {
  const { kafkaTopicPrefix, chainGroup, archiveGroup } = settings;
  const kafka = kafkaClient(kafkaSettings(settings), cluster.logger);
  const chainers = await kafkaGroupStatus(kafka, kafkaTopicPrefix + chainGroup, kafkaTopicPrefix + TOPICS.events);
  const archivers = await kafkaGroupStatus(kafka, kafkaTopicPrefix + archiveGroup, kafkaTopicPrefix + TOPICS.chain);
  const sources = await cluster.sources();
  const rows: ShardStatus[] = [];
  for (let shard = 0; shard < sources.policies.latest.policy.shards; shard++)
    rows.push(
      await shardStatus(shard, { log: cluster.log, objects, sources, chainer: chainers.get(shard), archiver: archivers.get(shard) }),
    );
  return rows;
}

interface ShardSources {
  readonly log: Log;
  readonly objects: ObjectStore;
  readonly sources: Sources;
  readonly chainer: GroupShard | undefined;
  readonly archiver: GroupShard | undefined;
}

async function shardStatus(shard: number, from: ShardSources): Promise<ShardStatus> {
  const { log, objects, sources, chainer, archiver } = from;
  const { start } = await log.bounds(TOPICS.events, shard);
  const { lag, seconds } = await measureLag(log, TOPICS.events, shard, chainer?.committed ?? start);
  const keys = logKeysOf(shard);
  const stored = await objects.get(keys.signed);
  const { latest } = sources.policies;
  const note = stored === undefined ? undefined : openLogNote(stored.bytes, `${latest.policy.origin}/${shard}`, latest.logKeys(shard));
  const { size, coveredAt } = await chainEnd(log, shard, note?.size ?? 0);
  return {
    shard,
    lag,
    lagSeconds: Math.round(seconds * 10) / 10,
    size: Math.max(size, note?.size ?? 0),
    attested: note?.size ?? 0,
    archived: await archivedSize(objects, keys.segments),
    checkpointSeconds: coveredAt === undefined ? null : Math.max(0, Math.round((systemClock.nowMicros() - coveredAt) / 1e5) / 10),
    chainer: chainer?.owner ?? null,
    archiver: archiver?.owner ?? null,
  };
}

async function archivedSize(objects: ObjectStore, segments: string): Promise<number> {
  let size = 0;
  for await (const { key } of objects.list(segments)) {
    const place = parseArchiveKey(key);
    if (place.kind === 'manifest') size = Math.max(size, place.end);
  }
  return size;
}

function describe(rows: readonly ShardStatus[]): string {
  const lines = [['SHARD', 'LAG', 'SIZE', 'ATTESTED', 'ARCHIVED', 'CHECKED', 'CHAINER', 'ARCHIVER']];
  for (const row of rows) {
    const lag = row.lag === 0 ? '0' : `${row.lag} (${row.lagSeconds} s)`;
    const checked = row.checkpointSeconds === null ? '-' : `${row.checkpointSeconds} s`;
    lines.push([
      `${row.shard}`,
      lag,
      `${row.size}`,
      `${row.attested}`,
      `${row.archived}`,
      checked,
      printable(row.chainer ?? '-'),
      printable(row.archiver ?? '-'),
    ]);
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
