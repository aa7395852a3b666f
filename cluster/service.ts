import type { PrometheusMetrics } from '../adapters/prometheus-metrics.ts';
import { systemClock } from '../adapters/system-clock.ts';
import { messageOf } from '../core/base/errors.ts';
import { LOG } from '../core/base/log-lines.ts';
import type { WaitState } from '../core/base/waits.ts';
import type { Log } from '../core/ports/log.ts';
import type { Logger } from '../core/ports/logger.ts';
import type { ShardGroup } from '../core/ports/shard-group.ts';
import type { ClusterSettings } from '../settings/cluster-settings.ts';
import { openHealthServer } from './health-server.ts';
import { aliveProblem, readyProblem, type ShardHealth, ShardSight } from './service-health.ts';
import { workOnShards } from './shard-worker.ts';

const WATCH_MS = 2_000;
const LAG_METRICS = ['kafka_consumergroup_lag', 'kafka_consumergroup_lag_seconds'] as const;

/** One of the services that share shards. */
export interface ShardService {
  readonly group: ShardGroup;
  readonly groupId: string;
  readonly log: Log;
  /** The topic whose partitions are the shards, and whose offsets are consumed. */
  readonly topic: string;
  readonly logger: Logger;
  readonly metrics: PrometheusMetrics;
  run(shard: number, signal: AbortSignal): Promise<void>;
  /** First offset of the topic that the shard's work has not consumed for good; undefined while it is not worked on or recovers. */
  consumedTo(shard: number): number | undefined;
  /** What the shard's work waits for; undefined while it is not worked on. */
  waits(shard: number): WaitState | undefined;
}

/** Runs a service until `signal` aborts: shares shards, commits consumed offsets, reports lag and health. Throws the error that ended a shard. */
export async function runService(service: ShardService, settings: ClusterSettings, signal: AbortSignal): Promise<void> {
  const { logger, metrics } = service;
  const sights = new Map<number, ShardSight>();
  let owned: ReadonlySet<number> | undefined;
  const shards = (): ShardHealth[] => healthOf(service, owned ?? new Set(), sights);
  const ready = (): string | undefined =>
    signal.aborted ? 'stopping' : readyProblem(service.group.state(), owned === undefined ? undefined : shards());
  const alive = (): string | undefined => aliveProblem(service.group.state(), shards());
  const measure = (): void => measureGroup(service);
  const server = await openHealthServer({ host: settings.httpHost, port: settings.httpPort }, metrics, { alive, ready, measure });
  logger.info(LOG.serving, { host: settings.httpHost, port: server.port });
  const over = new AbortController();
  const watching = watch(service, () => owned ?? new Set(), sights, over.signal);
  try {
    const changed = (given: ReadonlySet<number>): void => {
      for (const shard of owned ?? []) if (!given.has(shard)) forget(service, shard, sights);
      owned = given;
    };
    await workOnShards({ group: service.group, logger, run: (shard, until) => service.run(shard, until), owned: changed }, signal);
  } finally {
    over.abort();
    await watching;
    await server.close();
  }
}

/** Now and then, for each shard: commits the consumed offset and measures the lag. */
async function watch(
  service: ShardService,
  owned: () => ReadonlySet<number>,
  sights: Map<number, ShardSight>,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    for (const shard of owned()) await measured(service.logger, 'lag', () => look(service, shard, sights));
    await measured(service.logger, 'group', () => countMembers(service));
    await systemClock.sleep(WATCH_MS, signal);
  }
}

/** Goes on if a value cannot be measured this time. */
async function measured(logger: Logger, what: string, measure: () => Promise<void>): Promise<void> {
  try {
    await measure();
  } catch (error) {
    logger.debug(`${what} not measured`, { reason: messageOf(error) });
  }
}

async function countMembers({ group, groupId, metrics }: ShardService): Promise<void> {
  const labels = { consumergroup: groupId };
  let members: number | undefined;
  try {
    members = await group.members();
  } finally {
    if (members === undefined) metrics.forget('kafka_consumergroup_members', labels);
    else metrics.set('kafka_consumergroup_members', members, labels);
  }
}

async function look(service: ShardService, shard: number, sights: Map<number, ShardSight>): Promise<void> {
  const { group, log, topic, metrics } = service;
  // The consumed offset is read before the end offset, so that lag is never reported too low.
  const offset = service.consumedTo(shard);
  if (offset === undefined) {
    // A shard that recovers consumes nothing; that is not a stall.
    forget(service, shard, sights);
    return;
  }
  group.committed(shard, offset);
  const labels = labelsOf(service, shard);
  metrics.set('kafka_consumergroup_current_offset', offset, labels);
  const sight = sights.get(shard) ?? new ShardSight();
  sights.set(shard, sight);
  sight.begin(systemClock.monotonicMs());
  try {
    const { lag, seconds } = await measureLag(log, topic, shard, offset);
    sight.saw(offset, lag, systemClock.monotonicMs());
    metrics.set('kafka_consumergroup_lag', lag, labels);
    metrics.set('kafka_consumergroup_lag_seconds', seconds, labels);
  } catch (error) {
    sight.failed(messageOf(error));
    // An old lag would say that the end of the topic is known.
    for (const name of LAG_METRICS) metrics.forget(name, labels);
    throw error;
  }
}

/** Ages are told as of the moment of the question. */
function measureGroup({ group, groupId, topic, metrics }: ShardService): void {
  const { heardAgeMs, commitWaitsMs, committed } = group.state();
  const labels = { consumergroup: groupId };
  if (heardAgeMs === undefined) metrics.forget('lineproof_group_heartbeat_age_seconds', labels);
  else metrics.set('lineproof_group_heartbeat_age_seconds', heardAgeMs / 1000, labels);
  metrics.set('lineproof_group_commit_wait_seconds', (commitWaitsMs ?? 0) / 1000, labels);
  for (const [shard, offset] of committed)
    metrics.set('lineproof_group_committed_offset', offset, { ...labels, topic, partition: String(shard) });
}

function healthOf(service: ShardService, owned: ReadonlySet<number>, sights: ReadonlyMap<number, ShardSight>): ShardHealth[] {
  const now = systemClock.monotonicMs();
  return [...owned].map((shard) => ({
    shard,
    consumedTo: service.consumedTo(shard),
    waits: service.waits(shard),
    sight: sights.get(shard)?.state(now),
  }));
}

/** Records and seconds by which `offset` is behind the end of a partition: the age of the oldest record that was not consumed. */
export async function measureLag(log: Log, topic: string, shard: number, offset: number): Promise<{ lag: number; seconds: number }> {
  const { end } = await log.bounds(topic, shard);
  if (end <= offset) return { lag: 0, seconds: 0 };
  const [first] = await log.read(topic, shard, offset, { maxBytes: 1, waitMs: 0 });
  // If only markers of transactions follow, nothing waits.
  if (first === undefined) return { lag: 0, seconds: 0 };
  return { lag: end - offset, seconds: Math.max(0, (systemClock.nowMicros() - first.timestampMicros) / 1e6) };
}

function labelsOf({ groupId, topic }: ShardService, shard: number): { consumergroup: string; topic: string; partition: string } {
  return { consumergroup: groupId, topic, partition: String(shard) };
}

function forget(service: ShardService, shard: number, sights: Map<number, ShardSight>): void {
  sights.delete(shard);
  for (const name of [...LAG_METRICS, 'kafka_consumergroup_current_offset', 'lineproof_group_committed_offset'] as const)
    service.metrics.forget(name, labelsOf(service, shard));
}
