import { afterEach, expect, test } from '@jest/globals';
import { prometheusMetrics } from '../../../adapters/prometheus-metrics.ts';
import { runService, type ShardService } from '../../../cluster/service.ts';
import { openStartup, type Startup } from '../../../cluster/startup.ts';
import { LineproofError } from '../../../core/base/errors.ts';
import type { HoldState } from '../../../core/base/hold.ts';
import { HOLD_REASONS, type HoldReason } from '../../../core/base/hold-reasons.ts';
import { METRICS } from '../../../core/base/metric-names.ts';
import { TOPICS } from '../../../core/ports/log.ts';
import type { ShardGroup } from '../../../core/ports/shard-group.ts';
import { until } from '../../support/cluster.ts';
import { MemoryLog, TestLogger } from '../../support/memory.ts';
import { document, namedRows } from '../docs/table.ts';

interface Scene {
  readonly log: AwayLog;
  readonly startup: Startup;
  assign(...shards: number[]): Promise<void>;
  consumed: number;
  hold: HoldState | undefined;
  series(name: string): Promise<readonly string[]>;
}

class AwayLog extends MemoryLog {
  away = false;
  /** Answers wait for it. */
  slow: Promise<void> = Promise.resolve();
  readonly asked: number[] = [];

  override async bounds(topic: string, partition: number): ReturnType<MemoryLog['bounds']> {
    this.asked.push(partition);
    await this.slow;
    if (this.away) throw new LineproofError('UNAVAILABLE', 'cannot read bounds: away');
    return super.bounds(topic, partition);
  }
}

const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

/** A service on shards that the test assigns; two records wait on each. */
async function scene(): Promise<Scene> {
  const [log, logger, metrics, stop] = [new AwayLog(), new TestLogger(), prometheusMetrics(), new AbortController()];
  for (const shard of [0, 1])
    await log.append(
      TOPICS.events,
      shard,
      [0, 1].map(() => ({ key: null, value: new Uint8Array(1) })),
    );
  let assign: (shards: ReadonlySet<number>) => Promise<void> = async () => undefined;
  const group: ShardGroup = {
    join: async (changed: Parameters<ShardGroup['join']>[0], signal: AbortSignal) => {
      assign = changed;
      if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    },
    owns: () => true,
    committed: () => undefined,
    members: async () => 1,
    state: () => ({
      member: true,
      heardAgeMs: 0,
      heardForMs: 1,
      turnAgeMs: 0,
      commitWaitsMs: undefined,
      committed: new Map(),
      problem: undefined,
      commitProblem: undefined,
    }),
  };
  const startup = await openStartup({ httpHost: '127.0.0.1', httpPort: 0 }, { metrics, logger, signal: stop.signal });
  const state = { consumed: 0, hold: undefined as HoldState | undefined };
  const service: ShardService = {
    group,
    groupId: 'g',
    log,
    topic: TOPICS.events,
    topicName: 'prod.provenance.events',
    heldMetric: 'lineproof_chainer_held',
    logger,
    metrics,
    run: (_, signal) => new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true })),
    consumedTo: () => state.consumed,
    hold: () => state.hold,
  };
  const running = runService(service, startup, stop.signal);
  stops.push(async () => {
    stop.abort();
    await running;
    await startup.close();
  });
  return Object.assign(state, {
    log,
    startup,
    assign: (...shards: number[]) => assign(new Set(shards)),
    series: async (name: string) => {
      const text = await (await fetch(`http://127.0.0.1:${startup.address.port}/metrics`)).text();
      return text.split('\n').filter((line) => line.startsWith(`${name}{`));
    },
  });
}

function heldFor(forMs: number, reason: HoldReason): HoldState {
  return { held: { reason, text: 'why', forMs }, restMs: 0 };
}

const LAG = 'kafka_consumergroup_lag';

test('lag carries the name of the topic on Kafka, and goes with the shard that moved', async () => {
  const { assign, series } = await scene();
  await assign(0, 1);
  await until('both are measured', async () => (await series(LAG)).length === 2);
  expect(await series(LAG)).toEqual([
    `${LAG}{consumergroup="g",topic="prod.provenance.events",partition="0"} 2`,
    `${LAG}{consumergroup="g",topic="prod.provenance.events",partition="1"} 2`,
  ]);
  await assign(1);
  for (const name of [LAG, `${LAG}_seconds`, 'kafka_consumergroup_current_offset'])
    expect((await series(name)).map((line) => /partition="(\d)"/.exec(line)?.[1])).toEqual(['1']);
});

test('a shard that moves while its lag is measured leaves no series behind', async () => {
  const { assign, series, log } = await scene();
  let answer: () => void = () => undefined;
  log.slow = new Promise((resolve) => {
    answer = resolve;
  });
  await assign(0, 1);
  await until('the end of the topic is asked for', () => log.asked.includes(0));
  await assign(1);
  answer();
  await until('the other is measured', async () => (await series(LAG)).length > 0 && log.asked.includes(1));
  for (const name of [LAG, `${LAG}_seconds`, 'kafka_consumergroup_current_offset'])
    expect((await series(name)).map((line) => /partition="(\d)"/.exec(line)?.[1])).toEqual(['1']);
}, 30_000);

test('lag that cannot be measured, or that a topic made anew would show as 0, has no series', async () => {
  const world = await scene();
  const { assign, series, log } = world;
  await assign(0);
  await until('it is measured', async () => (await series(LAG)).length === 1);
  log.away = true;
  await until('it is gone', async () => (await series(LAG)).length === 0 && (await series(`${LAG}_seconds`)).length === 0);
  expect(await series('kafka_consumergroup_current_offset')).toHaveLength(1);
  log.away = false;
  await until('it is back', async () => (await series(LAG)).length === 1);
  world.consumed = 3;
  await until('it is gone', async () => (await series(LAG)).length === 0);
}, 30_000);

test('a shard that holds is a series with its reason, until it goes on or moves', async () => {
  const world = await scene();
  const { assign, series } = world;
  await assign(0, 1);
  world.hold = heldFor(2_100, 'INDEX_FORGETS');
  await until('it is told', async () => (await series('lineproof_chainer_held')).length === 2);
  expect(await series('lineproof_chainer_held')).toContain('lineproof_chainer_held{shard="0",reason="INDEX_FORGETS"} 1');
  world.hold = heldFor(2_100, 'UNAVAILABLE');
  await until('it is told', async () => (await series('lineproof_chainer_held')).some((line) => line.includes('UNAVAILABLE')));
  await until('only that', async () => !(await series('lineproof_chainer_held')).some((line) => line.includes('INDEX_FORGETS')));
  await assign(1);
  expect((await series('lineproof_chainer_held')).every((line) => line.includes('shard="1"'))).toBe(true);
  // What lasts for less is that of a moment, as on /readyz.
  world.hold = heldFor(1_900, 'UNAVAILABLE');
  await until('it is gone', async () => (await series('lineproof_chainer_held')).length === 0);
}, 30_000);

test('docs/metrics.md has the reasons and no other', () => {
  const rows = document('docs/metrics.md')
    .split('\n')
    .flatMap((line) => /^\| ([A-Z_]+) \| (.*) \|$/.exec(line)?.slice(1, 3) ?? []);
  expect(rows).toEqual(Object.entries(HOLD_REASONS).flat());
  expect(namedRows(document('docs/metrics.md')).size).toBe(Object.keys(METRICS).length);
});
