import type { PrometheusMetrics } from '../adapters/prometheus-metrics.ts';
import { systemClock } from '../adapters/system-clock.ts';
import { LineproofError, messageOf } from '../core/base/errors.ts';
import type { HoldState } from '../core/base/hold.ts';
import { HOLD_REASONS } from '../core/base/hold-reasons.ts';
import { LOG } from '../core/base/log-lines.ts';
import { LASTING_REFUSAL_MS, RefusalWatch, type RetryPace, waitAfter } from '../core/base/retry.ts';
import type { Log } from '../core/ports/log.ts';
import type { Logger } from '../core/ports/logger.ts';
import type { ShardGroup } from '../core/ports/shard-group.ts';
import { aliveProblem, lastingHold, readyProblem, type ShardHealth, ShardSight } from './service-health.ts';
import { workOnShards } from './shard-worker.ts';
import type { Startup } from './startup.ts';

const WATCH_MS = 2_000;
const LAG_METRICS = ['kafka_consumergroup_lag', 'kafka_consumergroup_lag_seconds'] as const;
/** How often an obstacle is looked for again. */
const OBSTACLE_MS = 2_000;
const REJOIN_PACE: RetryPace = { firstMs: 500, maxMs: 10_000 };

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
  /** Name of the topic on Kafka: the label of its metrics. */
  readonly topicName: string;
  /** The gauge that says why a shard waits. */
  readonly heldMetric: 'lineproof_chainer_held' | 'lineproof_archiver_held';
  /** Why this process can do no work on any shard, so that others must; undefined if it can. Asked after a failure. */
  obstacle?(): LineproofError | undefined;
  /** First offset of the topic that the shard's work has not consumed for good; undefined while it is not worked on or recovers. */
  consumedTo(shard: number): number | undefined;
  /** Why the shard's work waits, if it does; undefined while it is not worked on. */
  hold(shard: number): HoldState | undefined;
}

/**
 * Runs a service until `signal` aborts: shares shards, commits consumed offsets, reports lag and health. Throws the error that ended a shard, unless it
 * may pass: then the process joins again.
 */
export async function runService(service: ShardService, startup: Startup, signal: AbortSignal): Promise<void> {
  const { logger } = service;
  const sights = new Map<number, ShardSight>();
  let owned: ReadonlySet<number> | undefined;
  /** Why the process is not in its group now, after it was. */
  let outside: string | undefined;
  const shards = (): ShardHealth[] => healthOf(service, owned ?? new Set(), sights);
  const ready = (): string | undefined =>
    signal.aborted ? 'stopping' : (outside ?? readyProblem(service.group.state(), owned === undefined ? undefined : shards()));
  const alive = (): string | undefined => (outside === undefined ? aliveProblem(service.group.state(), shards()) : undefined);
  startup.become({ alive, ready, measure: () => measureGroup(service) });
  const over = new AbortController();
  const watching = watch(service, () => owned ?? new Set(), sights, over.signal);
  try {
    const changed = (given: ReadonlySet<number>): void => {
      for (const shard of owned ?? []) if (!given.has(shard)) forgetShard(service, shard, sights);
      owned = given;
    };
    const work = { group: service.group, logger, run: service.run, owned: changed };
    const told = (problem: string | undefined): void => {
      outside = problem;
    };
    await rejoining(service, signal, told, () => workOnShards(work, signal));
  } finally {
    over.abort();
    await watching;
  }
}

/**
 * Works again when membership or a shard ended with an error that may pass: nothing passing ends a process. While there is an obstacle in this process
 * itself, such as a full disk, it stays out of the group, so that others work on its shards. `told` hears why it is outside. Throws every other error.
 */
async function rejoining(
  { logger, obstacle }: ShardService,
  signal: AbortSignal,
  told: (problem: string | undefined) => void,
  work: () => Promise<void>,
): Promise<void> {
  let [refusals, failures] = [new RefusalWatch(), 0];
  for (;;) {
    const begun = systemClock.monotonicMs();
    told(undefined);
    try {
      return await work();
    } catch (error) {
      if (signal.aborted) throw error;
      const now = systemClock.monotonicMs();
      if (now - begun > LASTING_REFUSAL_MS / 2) [refusals, failures] = [new RefusalWatch(), 0];
      const { code, message: reason } = refusals.passing(error, now);
      logger.warn(LOG.serviceRejoins, { code, reason });
      told(`${code}: ${reason}`);
      await systemClock.sleep(waitAfter(++failures, REJOIN_PACE), signal);
    }
    for (let problem = obstacle?.(); problem !== undefined && !signal.aborted; problem = obstacle?.()) {
      told(`${problem.code}: ${problem.message}`);
      await systemClock.sleep(OBSTACLE_MS, signal);
    }
    if (signal.aborted) return;
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
    for (const shard of owned()) {
      const isOwned = (): boolean => owned().has(shard);
      if (!isOwned()) continue;
      tellHold(service, shard);
      await measured(service.logger, 'lag', () => look(service, shard, sights, isOwned));
    }
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

function tellHold({ metrics, heldMetric, hold }: ShardService, shard: number): void {
  const now = lastingHold(hold(shard))?.reason;
  for (const reason of Object.keys(HOLD_REASONS)) {
    const labels = { shard: String(shard), reason };
    if (reason === now) metrics.set(heldMetric, 1, labels);
    else metrics.forget(heldMetric, labels);
  }
}

/** A shard may move while its lag is measured: its gauges are gone then, and stay gone. */
async function look(service: ShardService, shard: number, sights: Map<number, ShardSight>, isOwned: () => boolean): Promise<void> {
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
    if (!isOwned()) return;
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
function measureGroup({ group, groupId, topicName: topic, metrics }: ShardService): void {
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
    hold: service.hold(shard),
    sight: sights.get(shard)?.state(now),
  }));
}

/**
 * Records and seconds by which `offset` is behind the end of a partition: the age of the oldest record that was not consumed. Throws LOG_BEHIND if the
 * partition ends before `offset`: the topic was made anew or lost its tail, which is not a lag of 0.
 */
export async function measureLag(log: Log, topic: string, shard: number, offset: number): Promise<{ lag: number; seconds: number }> {
  const { end } = await log.bounds(topic, shard);
  if (end < offset)
    throw new LineproofError(
      'LOG_BEHIND',
      `cannot tell the lag: ${topic}/${shard} ends at ${end}, before ${offset}, which was consumed; it was made anew or lost its tail`,
      { shard, end, offset },
    );
  if (end === offset) return { lag: 0, seconds: 0 };
  const [first] = await log.read(topic, shard, offset, { maxBytes: 1, waitMs: 0 });
  // If only markers of transactions follow, nothing waits.
  if (first === undefined) return { lag: 0, seconds: 0 };
  return { lag: end - offset, seconds: Math.max(0, (systemClock.nowMicros() - first.timestampMicros) / 1e6) };
}

function labelsOf({ groupId, topicName: topic }: ShardService, shard: number): { consumergroup: string; topic: string; partition: string } {
  return { consumergroup: groupId, topic, partition: String(shard) };
}

function forget(service: ShardService, shard: number, sights: Map<number, ShardSight>): void {
  sights.delete(shard);
  for (const name of [...LAG_METRICS, 'kafka_consumergroup_current_offset', 'lineproof_group_committed_offset'] as const)
    service.metrics.forget(name, labelsOf(service, shard));
}

/** Removes every gauge of a shard that this process no longer owns. */
function forgetShard(service: ShardService, shard: number, sights: Map<number, ShardSight>): void {
  forget(service, shard, sights);
  for (const reason of Object.keys(HOLD_REASONS)) service.metrics.forget(service.heldMetric, { shard: String(shard), reason });
}
