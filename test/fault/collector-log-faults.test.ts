import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { afterAll, expect, test } from '@jest/globals';
import { openFolderSchemaRegistry } from '../../adapters/folder-schema-registry.ts';
import { openLmdbLog } from '../../adapters/lmdb-log.ts';
import { systemClock } from '../../adapters/system-clock.ts';
import type { Collector } from '../../collector/collector.ts';
import type { Event } from '../../core/formats/event.ts';
import { formatUuid } from '../../core/formats/identity.ts';
import type { Log } from '../../core/ports/log.ts';
import { event, openOn } from '../support/collector.ts';
import { faultyLog, listen } from '../support/memory-log.ts';
import { openPipeline } from '../support/pipeline.ts';

const folder = mkdtempSync(join(tmpdir(), 'lineproof-log-faults-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const CALLS = 100_000;
const BEHAVIOURS = ['healthy', 'refusing', 'hanging', 'closing'] as const;
type Behaviour = (typeof BEHAVIOURS)[number];
const ROUNDS = 5;
/** So that the calls while the log fails are {@link CALLS} in each measurement. */
const CALLS_PER_ROUND = Math.ceil(CALLS / ROUNDS / (BEHAVIOURS.length - 1));
const CALLS_PER_TURN = 20;
const MAX_RATIO = 1.5;
/** Others on the machine can spoil one measurement; a collector that holds its service up spoils each. */
const MEASUREMENTS = 3;

/** The log of a data folder on which nobody else works, so that only the collector's work is measured. */
class ServiceLog {
  readonly #path: string;
  #log: Log;
  #behaviour: Behaviour = 'healthy';

  private constructor(path: string, log: Log) {
    this.#path = path;
    this.#log = log;
  }

  static async open(path: string): Promise<ServiceLog> {
    return new ServiceLog(path, await openLmdbLog(path, { clock: systemClock }));
  }

  /** As the collector sees it. */
  seen(): Log {
    const faults = { healthy: 'none', refusing: 'refuse', hanging: 'hang', closing: 'none' } as const;
    return {
      ...faultyLog(this.#log, () => 'none'),
      append: (topic, partition, records) => faultyLog(this.#log, () => faults[this.#behaviour]).append(topic, partition, records),
    };
  }

  /** A log that closes is really closed under the collector, and opened again afterwards. */
  async behave(behaviour: Behaviour): Promise<void> {
    if (behaviour === 'closing') await this.#log.close();
    if (this.#behaviour === 'closing') this.#log = await openLmdbLog(this.#path, { clock: systemClock });
    this.#behaviour = behaviour;
  }

  close(): Promise<void> {
    return this.#log.close();
  }
}

/** Calls of record, some in each turn of the loop, as a busy service makes them; gives the 99th percentile of the loop's delay, ms. */
async function busyService(collector: Collector, from: number): Promise<number> {
  const delays = monitorEventLoopDelay({ resolution: 1 });
  delays.enable();
  for (let i = from; i < from + CALLS_PER_ROUND; i++) {
    collector.record(numbered(i));
    if (i % CALLS_PER_TURN === 0) await new Promise((resolve) => void setImmediate(resolve));
  }
  delays.disable();
  return delays.percentile(99) / 1e6;
}

const numbered = (number: number): Event => event(number, { stream: `service/${number % 5}` });

/** Each behaviour's median of its rounds, ms. */
type Delays = Readonly<Record<Behaviour, number>>;

function isHeldUp({ healthy, ...faulty }: Delays): boolean {
  return Object.values(faulty).some((ms) => ms > MAX_RATIO * healthy);
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] as number;

test(`${CALLS} calls of record while the log refuses, hangs and closes: no exception, nothing lost, and the service is held up no more than by a healthy log`, async () => {
  const data = join(folder, 'data');
  const { pipeline } = await openPipeline(data);
  const { origin, collector: signer } = pipeline.keys;
  await pipeline.close();
  const log = await ServiceLog.open(join(data, 'log'));
  const registry = await openFolderSchemaRegistry(join(data, 'registry'));
  const heard = listen();
  const collector = await openOn(log.seen(), null, {
    origin,
    shards: 1,
    signer,
    registry,
    spool: { folder: join(folder, 'spool') },
    metrics: heard.metrics,
    appendTimeoutMs: 20,
  });
  const acknowledged = new Set<string>();
  let next = 0;
  const work = async (behaviour: Behaviour): Promise<number> => {
    await log.behave(behaviour);
    const delayMs = await busyService(collector, next);
    next += CALLS_PER_ROUND;
    acknowledged.add(formatUuid(await collector.recordDurably(numbered(next++))));
    // Work that a fault left does not belong to the next round.
    await log.behave('healthy');
    await collector.flush();
    return delayMs;
  };
  const measure = async (): Promise<Delays> => {
    const delays = BEHAVIOURS.map((behaviour) => ({ behaviour, rounds: [] as number[] }));
    for (let round = 0; round < ROUNDS; round++) for (const { behaviour, rounds } of delays) rounds.push(await work(behaviour));
    return Object.fromEntries(delays.map(({ behaviour, rounds }) => [behaviour, median(rounds)])) as Delays;
  };
  await work('healthy');
  const measured = [await measure()];
  while (measured.length < MEASUREMENTS && measured.every(isHeldUp)) measured.push(await measure());
  expect(await collector.close(60_000)).toBe(true);
  await log.close();
  expect(heard.counts.get('lineproof_collector_retries_total')).toBeGreaterThan(ROUNDS);

  const { verdict, links } = await (await openPipeline(data)).end();
  expect([verdict.ok, verdict.properties.COMPLETE.result]).toEqual([true, 'OK']);
  expect(links.size).toBe(next);
  expect([...links.values()].filter((times) => times !== 1)).toEqual([]);
  expect([...acknowledged].filter((id) => links.get(id) !== 1)).toEqual([]);
  expect({ measured, heldUp: measured.every(isHeldUp) }).toEqual({ measured, heldUp: false });
}, 600_000);
