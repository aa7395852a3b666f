import { join } from 'node:path';
import { type Latency, measureLatency } from './latency.ts';
import { endStack, type LocalStack, startStack } from './local-stack.ts';
import { describeMachine, type Machine } from './machine.ts';
import { openNaiveSystem } from './naive-system.ts';
import type { BenchOptions } from './options.ts';
import { problemsOf } from './report.ts';
import { openStackSystem } from './stack-system.ts';
import type { BenchSystem } from './system.ts';
import { EVENTS_PER_WAIT, measureThroughput, type Throughput } from './throughput.ts';
import { EVENT_BYTES, Workload } from './workload.ts';

/** Events that warm up servers and compilers before anything is measured. */
const WARM_UP_EVENTS = 10_000;
const NAIVE_WARM_UP_EVENTS = 1_000;

/** The baseline at one number of shards. */
export interface NaiveRun {
  /** Number of events that share a request; 1: each is awaited. */
  readonly group: number;
  readonly throughput: Throughput;
  /** Events per second of the product divided by those of the baseline; processor time per event, servers included, the other way round. */
  readonly ratios: Ratios | undefined;
}

export interface Ratios {
  /** Accepted into the chain. */
  readonly accepted: number;
  /** The product's events are in S3 by then, the baseline's only in the chain. */
  readonly archived: number;
  readonly verified: number;
  readonly processor: number;
}

/** Everything that was measured at one number of shards. */
export interface StackRun {
  readonly shards: number;
  readonly throughput: Throughput | undefined;
  readonly latency: Latency | undefined;
  readonly naive: readonly NaiveRun[];
}

export interface StackReport {
  readonly machine: Machine;
  readonly servers: Readonly<Record<string, string>>;
  readonly eventBytes: number;
  readonly streams: number;
  readonly settings: Readonly<Record<string, string | number>>;
  readonly runs: readonly StackRun[];
  readonly problems: readonly string[];
}

/** Starts servers in `folder`, measures on them, and leaves them running: {@link endMeasuredStack} ends them. `say` reports the progress. */
export async function measureStack(folder: string, options: BenchOptions, say: (text: string) => void): Promise<StackReport> {
  say('starting Kafka, a schema registry, S3 and Redis');
  const stack = await startStack(join(folder, 'stack'));
  const bench = new StackBench(stack, folder, options, say);
  await bench.warmUp();
  const runs: StackRun[] = [];
  for (const shards of options.shards) runs.push(await bench.run(shards));
  return {
    machine: describeMachine(folder),
    servers: stack.versions,
    eventBytes: EVENT_BYTES,
    streams: options.streams,
    settings: bench.settings,
    runs,
    problems: runs.flatMap(problemsOfRun),
  };
}

/** Ends the servers that {@link measureStack} started in `folder`. */
export function endMeasuredStack(folder: string): Promise<void> {
  return endStack(join(folder, 'stack'));
}

class StackBench {
  readonly #stack: LocalStack;
  readonly #folder: string;
  readonly #options: BenchOptions;
  readonly #workload: Workload;
  readonly #say: (text: string) => void;
  #opened = 0;
  settings: BenchSystem['settings'] = {};

  constructor(stack: LocalStack, folder: string, options: BenchOptions, say: (text: string) => void) {
    this.#stack = stack;
    this.#folder = folder;
    this.#options = options;
    this.#workload = new Workload(options.streams);
    this.#say = say;
  }

  async warmUp(): Promise<void> {
    const { events, naiveEvents } = this.#options;
    this.#say('warming up');
    await this.#product(1, Math.min(events, WARM_UP_EVENTS), 0);
    if (naiveEvents !== undefined)
      await this.#naive({ shards: 1, group: 1, events: Math.min(naiveEvents, NAIVE_WARM_UP_EVENTS), repeats: 0 });
  }

  async run(shards: number): Promise<StackRun> {
    const { only, events, repeats, rate, seconds, naiveEvents } = this.#options;
    const at = shards === 1 ? 'one shard' : `${shards} shards`;
    let throughput: Throughput | undefined;
    let latency: Latency | undefined;
    if (only !== 'latency') {
      this.#say(`${at}: ${events} events as fast as they are taken`);
      throughput = await this.#product(shards, events, repeats);
    }
    if (only !== 'throughput') {
      this.#say(`${at}: ${rate} events a second for ${seconds} s`);
      latency = await this.#on(await this.#open(shards, true), (system) => measureLatency(system, this.#workload, { rate, seconds }));
    }
    const naive: NaiveRun[] = [];
    for (const group of naiveEvents === undefined ? [] : [1, EVENTS_PER_WAIT]) {
      this.#say(`${at}: ${naiveEvents} events by the baseline, ${group === 1 ? 'one by one' : `requests of ${group}`}`);
      const measured = await this.#naive({ shards, group, events: naiveEvents ?? 0, repeats });
      naive.push({ group, throughput: measured, ratios: throughput === undefined ? undefined : ratiosOf(throughput, measured) });
    }
    return { shards, throughput, latency, naive };
  }

  #open(shards: number, watches: boolean): Promise<BenchSystem> {
    return openStackSystem({ stack: this.#stack, folder: join(this.#folder, `system-${this.#opened++}`), shards, watches });
  }

  async #product(shards: number, events: number, repeats: number): Promise<Throughput> {
    return this.#on(await this.#open(shards, false), (system) => {
      this.settings = system.settings;
      return measureThroughput(system, this.#workload, { events, repeats });
    });
  }

  async #naive({
    shards,
    group,
    events,
    repeats,
  }: {
    shards: number;
    group: number;
    events: number;
    repeats: number;
  }): Promise<Throughput> {
    return this.#on(await openNaiveSystem(this.#stack, shards, group), (system) =>
      measureThroughput(system, this.#workload, { events, repeats, eventsPerWait: group }),
    );
  }

  async #on<T>(system: BenchSystem, work: (system: BenchSystem) => Promise<T>): Promise<T> {
    try {
      return await work(system);
    } finally {
      await system.close();
    }
  }
}

/** Processor time of one event, all processes and servers together, microseconds. */
export function allMicros({ cpuMicros: { recording, verifying, others } }: Throughput): number {
  return Object.values(others).reduce((sum, micros) => sum + micros, recording + verifying);
}

function ratiosOf(product: Throughput, naive: Throughput): Ratios {
  return {
    accepted: product.acceptedPerSecond / naive.acceptedPerSecond,
    archived: product.archivedPerSecond / naive.archivedPerSecond,
    verified: product.verifiedPerSecond / naive.verifiedPerSecond,
    processor: allMicros(naive) / allMicros(product),
  };
}

function problemsOfRun({ shards, throughput, latency, naive }: StackRun): string[] {
  const measured = { throughput, latency };
  const problems = Object.entries(measured).flatMap(([name, done]) =>
    done === undefined ? [] : problemsOf(`${name}, shards ${shards}`, done.offered, done.checked),
  );
  return [
    ...problems,
    ...naive.flatMap(({ group, throughput: done }) =>
      problemsOf(`naive, requests of ${group}, shards ${shards}`, done.offered, done.checked),
    ),
  ];
}
