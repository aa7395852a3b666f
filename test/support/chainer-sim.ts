import { BatchSchemaIds } from '../../chainer/intake.ts';
import { LocalState } from '../../chainer/local-state.ts';
import { Sequencer } from '../../chainer/sequencer.ts';
import { archiveAnchor } from '../../core/archive/archive-anchor.ts';
import { SCHEMA_TEXTS } from '../../core/avro/schema-texts.ts';
import { LineproofError } from '../../core/base/errors.ts';
import { Sources } from '../../core/chain/governance-source.ts';
import type { Clock } from '../../core/ports/clock.ts';
import type { DedupIndex } from '../../core/ports/dedup-index.ts';
import { type Log, TOPICS } from '../../core/ports/log.ts';
import type { SchemaRegistry } from '../../core/ports/schema-registry.ts';
import type { StateStore } from '../../core/ports/state-store.ts';
import { archiveChain } from './archive.ts';
import { MemoryObjectStore, TestLogger, TestMetrics } from './memory.ts';
import { MemoryDedupIndex } from './memory-dedup-index.ts';
import { MemoryStateStore } from './memory-state-store.ts';
import { BATCH_SCHEMA_ID, BLOCK_SCHEMA_ID, START_MICROS, type World } from './producer.ts';
import type { Random } from './random.ts';
import { SimLog } from './sim-log.ts';

/** Calls of a process to the outside, by name: `log.append provenance.chain`, `dedup.window` … */
export type CallName = string;

/** What becomes of one call: `late` happens at some later turn, whatever became of its caller. */
export interface CallFault {
  readonly now: 0 | 1 | 2;
  readonly late: 0 | 1;
  /** The caller gets no usable answer. */
  readonly fails: boolean;
}

export const NO_FAULT: CallFault = { now: 1, late: 0, fails: false };

interface Waiting {
  readonly process: SimProcess | undefined;
  readonly wakeAt: number;
  readonly resume: () => void;
}

/** One chainer process as the simulation sees it. */
export class SimProcess {
  readonly name: string;
  readonly logger = new TestLogger();
  readonly metrics = new TestMetrics();
  readonly store: MemoryStateStore;
  readonly stop = new AbortController();
  /** Calls made so far. */
  calls = 0;
  owns = true;
  alive = true;
  /** Until this turn it gets no time. */
  stalledTo = 0;
  sequencer!: Sequencer;
  sources!: Sources;
  /** Settles when `run` does; never for one that was killed. */
  done: Promise<void> = Promise.resolve();
  ended = false;
  failure: unknown;

  constructor(name: string, store: MemoryStateStore) {
    this.name = name;
    this.store = store;
  }
}

export interface SimOptions {
  readonly world: World;
  readonly random: Random;
  readonly depth?: number;
  readonly confirmIdentities?: number;
  /** What becomes of a process's next call. */
  readonly fault?: ((call: CallName, process: SimProcess) => CallFault) | undefined;
  /** Called between turns, before anybody goes on. */
  readonly onTurn?: (turn: number) => Promise<void> | void;
}

/**
 * Any number of chainer processes on one log and one index, all in memory. Whenever a process calls the outside it waits for its turn, and
 * the seed decides who goes on: so a process can be stalled, killed or overtaken at every one of its calls, and a run can be repeated.
 */
export class ChainerSim {
  readonly #o: SimOptions;
  readonly log: SimLog;
  readonly dedup = new MemoryDedupIndex(() => this.wall);
  readonly objects = new MemoryObjectStore();
  readonly processes: SimProcess[] = [];
  #waiting: Waiting[] = [];
  now = START_MICROS;
  turns = 0;
  /** How far everybody's time of day is ahead of the time that passes, microseconds: clocks that were set. */
  wallAhead = 0;
  /** How far the clock of the log is ahead of everybody else's, microseconds. */
  logAhead = 0;
  /** False: every call does what it should. */
  faulty = true;
  /** What the registry gives as schema of an id, and as event schemas; undefined: it does not answer. */
  schemaOfId: ((id: number) => string | undefined) | undefined = (id) => (id === BATCH_SCHEMA_ID ? SCHEMA_TEXTS.SignedBatch : undefined);
  eventSchemas: readonly string[] | undefined;

  constructor(options: SimOptions) {
    this.#o = options;
    this.log = new SimLog(() => this.wall + this.logAhead);
    this.eventSchemas = options.world.schemas.map(({ text }) => text);
  }

  /** The time of day that clocks which are right show, microseconds since 1970. */
  get wall(): number {
    return this.now + this.wallAhead;
  }

  /** Starts a process on `store`. */
  start(store: MemoryStateStore = new MemoryStateStore()): SimProcess {
    const process = new SimProcess(`p${this.processes.length}`, store);
    this.processes.push(process);
    const { world, depth, confirmIdentities } = this.#o;
    const { origin, shards } = world;
    const [log, clock, registry] = [this.#log(process), this.#clock(process), this.#registry(process)];
    const sources = new Sources({ origin, log, registry, clock, logger: process.logger });
    process.sources = sources;
    process.sequencer = new Sequencer({
      origin,
      shards,
      shard: 0,
      log,
      dedup: this.#dedup(process),
      local: new LocalState(this.#store(process), 0),
      anchor: archiveAnchor(this.objects, sources, origin, shards),
      sources,
      ids: new BatchSchemaIds(registry, (text) => text === SCHEMA_TEXTS.SignedBatch, clock),
      signer: world.chainer,
      blockSchemaId: BLOCK_SCHEMA_ID,
      clock,
      logger: process.logger,
      metrics: process.metrics,
      settings: {
        depth: depth ?? 2,
        pollMs: 100,
        stateIntervalMs: 20,
        policyIntervalMs: 50,
        asksLogTime: true,
        confirmIdentities: confirmIdentities ?? 0,
        confirmIntervalMs: 1_000,
      },
      owns: () => process.owns,
    });
    process.done = process.sequencer.run(process.stop.signal).then(
      () => {
        process.ended = true;
      },
      (error: unknown) => {
        process.ended = true;
        process.failure = error;
      },
    );
    return process;
  }

  /** Ends a process at its present call: it gets no more turns. */
  kill(process: SimProcess): void {
    process.alive = false;
    this.#waiting = this.#waiting.filter((waiting) => waiting.process !== process);
  }

  get living(): SimProcess[] {
    return this.processes.filter(({ alive }) => alive);
  }

  /** Gives turns until `done` holds. Throws what a living process died of, and where there is no end. */
  async run(done: () => boolean, maxTurns = 20_000): Promise<void> {
    for (const end = this.turns + maxTurns; ; this.turns++) {
      // Everything that can go on without the outside has done so.
      await new Promise((resolve) => setImmediate(resolve));
      for (const process of this.living) if (process.failure !== undefined) throw process.failure;
      if (done()) return;
      if (this.turns > end) throw new Error(`no end after ${maxTurns} turns`);
      await this.#o.onTurn?.(this.turns);
      this.#next()?.resume();
    }
  }

  /** Stops the living as a signal does, and waits for their end. */
  async stopAll(): Promise<void> {
    for (const { stop } of this.living) stop.abort();
    await this.run(() => this.living.every(({ ended }) => ended));
  }

  /** Lets time pass in which nothing comes, so that the open segment of the archive closes, if there is one. */
  async beSilent(): Promise<void> {
    this.now += 2 * (this.#o.world.policies.versions[0]?.policy.segmentMaxAgeMs ?? 0) * 1000;
    const [turn, now] = [this.turns, this.wall];
    await this.run(() => this.turns > turn + 500 || this.living.some(({ sequencer }) => sequencer.state.head.acceptedAt >= now));
  }

  /** Archives what the chain topic holds now, outside of any turn. */
  async archive(): Promise<void> {
    const { world } = this.#o;
    const registry: SchemaRegistry = {
      register: async () => BLOCK_SCHEMA_ID,
      close: async () => undefined,
      list: async () => world.schemas.map(({ text }) => text),
      get: async () => undefined,
    };
    const clock: Clock = { nowMicros: () => this.now, monotonicMs: () => this.now / 1000, sleep: async () => undefined };
    const sources = new Sources({ origin: world.origin, log: this.log, registry, clock, logger: new TestLogger() });
    await archiveChain({ world, log: this.log, sources }, this.objects);
  }

  #next(): Waiting | undefined {
    for (;;) {
      const free = this.#waiting.filter(({ process }) => process === undefined || process.stalledTo <= this.turns);
      const ready = free.filter(({ wakeAt }) => wakeAt <= this.now);
      const next = ready.length > 0 ? this.#o.random.pick(ready) : undefined;
      if (next !== undefined) {
        this.#waiting = this.#waiting.filter((waiting) => waiting !== next);
        this.now += 100;
        return next;
      }
      if (this.#waiting.length === 0) return undefined;
      if (free.length > 0) this.now = Math.min(...free.map(({ wakeAt }) => wakeAt));
      else for (const process of this.processes) process.stalledTo = 0;
    }
  }

  #turn(process: SimProcess | undefined, delayMs = 0): Promise<void> {
    return new Promise((resolve) => {
      if (process === undefined || process.alive) this.#waiting.push({ process, wakeAt: this.now + delayMs * 1000, resume: resolve });
    });
  }

  async #call<T>(process: SimProcess, name: CallName, effect: () => Promise<T>): Promise<T> {
    process.calls += 1;
    await this.#turn(process);
    const fault = this.faulty ? (this.#o.fault?.(name, process) ?? NO_FAULT) : NO_FAULT;
    let answer: T | undefined;
    for (let i = 0; i < fault.now; i++) {
      const given = await effect();
      answer ??= given;
    }
    if (fault.late > 0) void this.#late(effect);
    // The answer travels: the process that waits for it can be stalled or killed meanwhile.
    if (this.#o.random.chance(0.3)) await this.#turn(process);
    if (fault.fails || fault.now === 0) throw new LineproofError('UNAVAILABLE', `cannot call ${name}: told to fail`);
    return answer as T;
  }

  async #late(effect: () => Promise<unknown>): Promise<void> {
    await this.#turn(undefined, this.#o.random.below(200));
    await effect();
  }

  #log(process: SimProcess): Log {
    const { log } = this;
    const call = <T>(name: string, topic: string, effect: () => Promise<T>): Promise<T> => this.#call(process, `${name} ${topic}`, effect);
    return {
      ensureTopic: (topic) => call('log.ensureTopic', topic, () => log.ensureTopic()),
      append: (topic, partition, records) => call('log.append', topic, () => log.append(topic, partition, records)),
      bounds: (topic, partition) => call('log.bounds', topic, () => log.bounds(topic, partition)),
      trim: (topic, partition, before) => call('log.trim', topic, () => log.trim(topic, partition, before)),
      close: () => log.close(),
      read: async (topic, partition, from, options) => {
        const found = await call('log.read', topic, () => log.read(topic, partition, from, options));
        if (found.length === 0 && options.waitMs > 0) await this.#turn(process, options.waitMs);
        return found;
      },
    };
  }

  #dedup(process: SimProcess): DedupIndex {
    const { dedup } = this;
    return {
      window: (call) => this.#call(process, 'dedup.window', () => dedup.window(call)),
      watermark: (shard) => this.#call(process, 'dedup.watermark', () => dedup.watermark(shard)),
      nowMicros: () => dedup.nowMicros(),
      close: () => dedup.close(),
    };
  }

  #store(process: SimProcess): StateStore {
    const { store } = process;
    return {
      get: (key) => store.get(key),
      entries: (prefix) => store.entries(prefix),
      commit: (changes) => this.#call(process, 'store.commit', () => store.commit(changes)),
      close: () => store.close(),
    };
  }

  #registry(process: SimProcess): SchemaRegistry {
    const answer = async <T>(given: T | undefined): Promise<T> => {
      if (given === undefined) throw new LineproofError('UNAVAILABLE', 'cannot reach the registry: told to be away');
      return given;
    };
    return {
      register: async () => BLOCK_SCHEMA_ID,
      close: async () => undefined,
      list: () => this.#call(process, 'registry.list', () => answer(this.eventSchemas)),
      get: (id) => this.#call(process, 'registry.get', async () => (await answer(this.schemaOfId))(id)),
    };
  }

  #clock(process: SimProcess): Clock {
    return {
      nowMicros: () => this.wall,
      monotonicMs: () => this.now / 1000,
      sleep: (ms) => this.#turn(process, ms),
    };
  }

  /** Publishes the first `count` versions of the world's policy, as far as they are not yet. */
  async publishPolicies(count: number): Promise<void> {
    const { end } = await this.log.bounds(TOPICS.control, 0);
    for (const value of this.#o.world.envelopes.slice(end, count)) await this.log.append(TOPICS.control, 0, [{ key: null, value }]);
  }
}
