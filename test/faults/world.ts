import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type ClusterService, TestCluster, until } from '../support/cluster.ts';
import type { Random } from '../support/random.ts';
import type { OwnStack } from '../support/stack.ts';
import { Ledger } from './ledger.ts';
import type { Preparation } from './preparation.ts';
import { Producer } from './producer.ts';
import { Servers } from './servers.ts';

const SHARDS = 4;
const STREAMS = 16;
/** How long a failed row still looks on, to say whether it would have recovered. */
export const LATE_MS = 120_000;
const PRODUCERS = ['collector', 'second'];

/** How all scenes of a run are made. */
export interface RunOptions {
  readonly isShort: boolean;
  readonly random: Random;
  /** Events a second and producer. */
  readonly rate: number;
  readonly say: (text: string) => void;
  /** Keeps the services' logs of a scene that failed. */
  readonly keepLogs: (scene: string, logs: string) => void;
}

/** Two chainers, two archivers and two producers on three brokers, each a process. */
export class World {
  readonly stack: OwnStack;
  readonly servers: Servers;
  readonly cluster: TestCluster;
  readonly ledger: Ledger;
  readonly producers: readonly Producer[];
  readonly #services = new Map<string, ClusterService>();
  /** Processes that a scene ended itself. */
  readonly #ended = new Set<ClusterService>();
  readonly #options: RunOptions;
  readonly preparation: Preparation;
  #linkedAgain: Promise<number> | undefined;

  private constructor(stack: OwnStack, cluster: TestCluster, preparation: Preparation, options: RunOptions) {
    this.stack = stack;
    this.cluster = cluster;
    this.servers = new Servers(stack);
    this.ledger = new Ledger(cluster);
    this.#options = options;
    this.preparation = preparation;
    for (const name of ['chain-1', 'chain-2', 'archive-1', 'archive-2']) this.start(name);
    this.producers = PRODUCERS.map((name, index) => {
      const disk = join(cluster.folder, `producer-${name}`, 'disk');
      const launcher = index === 0 ? (preparation.producerLauncher?.(disk) ?? []) : [];
      return new Producer(cluster, { name, index, rate: options.rate, streams: preparation.streams ?? STREAMS, launcher });
    });
  }

  /** Starts everything, and waits until events of each shard are linked. */
  static async open(stack: OwnStack, preparation: Preparation, options: RunOptions): Promise<World> {
    const cluster = await TestCluster.make(stack.settings, {
      shards: SHARDS,
      producers: PRODUCERS.slice(1),
      segmentMaxAgeMs: 5_000,
      ...(preparation.env === undefined ? {} : { env: preparation.env }),
    });
    const world = new World(stack, cluster, preparation, options);
    try {
      await Promise.all(world.services().map((service) => service.ready()));
      await world.linkedSince(Date.now(), 60_000);
      await delay(world.ms(10_000, 3_000));
    } catch (error) {
      options.keepLogs('start', world.logs());
      await world.release();
      throw error;
    }
    return world;
  }

  get random(): Random {
    return this.#options.random;
  }

  /** A time of the full run, or of the short one. */
  ms(full: number, short: number): number {
    return this.#options.isShort ? short : full;
  }

  /** Lets the load go on for this time. */
  async lasting(full: number, short: number): Promise<void> {
    await delay(this.ms(full, short));
  }

  say(text: string): void {
    this.#options.say(text);
  }

  /** Starts a service by its name, `chain-…` or `archive-…`; with the name of one that ended, as its restart. */
  start(name: string): ClusterService {
    const command = name.startsWith('chain') ? 'chain' : 'archive';
    const { chainerEnv = {}, chainerLauncher } = this.preparation;
    const isFirst = name === 'chain-1';
    const data = join(this.cluster.folder, name);
    mkdirSync(data, { recursive: true });
    const launcher = isFirst ? (chainerLauncher?.(data) ?? []) : [];
    const service = this.cluster.startBy(launcher, command, name, isFirst ? chainerEnv : {});
    this.#services.set(name, service);
    return service;
  }

  service(name: string): ClusterService {
    return this.#services.get(name) as ClusterService;
  }

  /** Those that should run now. */
  services(): readonly ClusterService[] {
    return [...this.#services.values()].filter((service) => !this.#ended.has(service));
  }

  /** Ends a service as a part of the fault. */
  async end(name: string, signal: NodeJS.Signals): Promise<void> {
    const service = this.service(name);
    this.#ended.add(service);
    await service.end(signal);
  }

  /** Services that ended although no scene ended them. */
  dead(): readonly string[] {
    return this.services()
      .filter((service) => service.exitCode !== undefined)
      .map(({ name, exitCode, log }) => `${name} ended with ${exitCode}: ${log.trim().split('\n').at(-1)}`);
  }

  /**
   * The fault is over now, or is such that work should go on from now on. Gives the milliseconds until every shard has linked an event that was recorded
   * after the first call.
   */
  healed(): Promise<number> {
    if (this.#linkedAgain === undefined) {
      const at = Date.now();
      this.#linkedAgain = this.linkedSince(at, LATE_MS).then(() => Date.now() - at);
      // Whoever asks for the result is told; nobody may ask before it fails.
      this.#linkedAgain.catch(() => undefined);
    }
    return this.#linkedAgain;
  }

  /** Waits until every shard has linked an event that was recorded after this time. */
  async linkedSince(time: number, withinMs: number): Promise<void> {
    await until('every shard links new events', async () => (await this.ledger.newest()).every((at) => at > time), withinMs);
  }

  /** What all services wrote. */
  logs(): string {
    return [...this.#services.values()].map(({ name, log }) => `--- ${name}\n${log}`).join('\n');
  }

  async release(): Promise<void> {
    await Promise.all(this.producers.map((producer) => producer.kill()));
    await this.cluster.release();
  }
}
