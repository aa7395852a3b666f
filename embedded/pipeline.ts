import { join } from 'node:path';
import { type DataFolder, openDataFolder } from '../adapters/data-folder.ts';
import { httpWitness } from '../adapters/http-witness.ts';
import { systemClock } from '../adapters/system-clock.ts';
import { Archiver } from '../archiver/archiver.ts';
import { Chainer } from '../chainer/chainer.ts';
import { archiveAnchor } from '../core/archive/archive-anchor.ts';
import { LineproofError, messageOf } from '../core/base/errors.ts';
import { Sources } from '../core/chain/governance-source.ts';
import { registerSchemas } from '../core/chain/registered-schemas.ts';
import { TOPICS } from '../core/ports/log.ts';
import type { Logger } from '../core/ports/logger.ts';
import type { Metrics } from '../core/ports/metrics.ts';
import { makeKeysOnce, mustBeFirstStart, publishFirstPolicy } from './first-start.ts';
import { mustBeOrigin, type OpenSettings, shardsInForce, warnOfOthers } from './fixed-settings.ts';
import { type EmbeddedKeys, readEmbeddedKeys } from './keys.ts';
import { closeStores, openStores, type Stores } from './stores.ts';

const IDLE_POLL_MS = 10;
/** A wait is told once it has lasted this long. */
const TOLD_AFTER_MS = 2_000;

/** The present state of one shard; null for what is not known while the shard recovers. */
export interface EmbeddedShard {
  readonly shard: number;
  /** Messages that no block has consumed. */
  readonly lag: number | null;
  /** Leaves of the log, leaves that a signed checkpoint covers, and leaves in closed segments. */
  readonly size: number | null;
  readonly attested: number | null;
  readonly archived: number | null;
  /** What keeps the shard from going on; null if nothing does. */
  readonly waitsFor: string | null;
}

/** The parts of a pipeline. */
interface PipelineParts {
  readonly folder: DataFolder;
  readonly keys: EmbeddedPipeline['keys'];
  readonly stores: Stores;
  readonly shards: number;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/**
 * The whole system in one process on one data folder: LMDB for log, index and state, folders for archive and registry.
 * A folder that another process works on is refused with DATA_IN_USE.
 */
export class EmbeddedPipeline {
  readonly keys: EmbeddedKeys & { readonly made: boolean };
  readonly stores: Stores;
  readonly sources: Sources;
  readonly shards: number;
  readonly #folder: DataFolder;
  readonly #chainer: Chainer;
  readonly #archiver: Archiver;
  readonly #stop = new AbortController();
  readonly #work: Promise<void>[] = [];
  #failure: unknown;

  private constructor({ folder, keys, stores, shards, logger, metrics }: PipelineParts) {
    this.#folder = folder;
    this.keys = keys;
    this.stores = stores;
    this.shards = shards;
    const { origin } = keys;
    const shared = { origin, shards, log: stores.log, clock: systemClock, metrics };
    this.sources = new Sources({ ...shared, registry: stores.registry, logger });
    // Chainer and archiver each read policies and schemas: neither relies on the other's reading.
    const archiverSources = new Sources({ ...shared, registry: stores.registry, logger });
    const anchor = archiveAnchor(stores.objects, this.sources, origin, shards);
    this.#chainer = new Chainer({
      ...shared,
      dedup: stores.dedup,
      store: stores.state,
      registry: stores.registry,
      anchor,
      sources: this.sources,
      signer: keys.chainer,
      logger: logger.child({ part: 'chainer' }),
      // The embedded log dates records by this process's clock.
      settings: { asksLogTime: false },
    });
    this.#archiver = new Archiver({
      ...shared,
      objects: stores.objects,
      sources: archiverSources,
      openWitness: httpWitness,
      signers: keys.logs,
      logger: logger.child({ part: 'archiver' }),
    });
  }

  /** Opens the folder, makes keys and policy at the first start, and starts chainer and archiver for every shard. */
  static async open(settings: OpenSettings, logger: Logger, metrics: Metrics): Promise<EmbeddedPipeline> {
    const folder = await openDataFolder(settings.data);
    try {
      const made = await makeKeysOnce(settings);
      const shards = shardsInForce(settings);
      const keys = { ...(await readEmbeddedKeys(join(settings.data, 'keys'), shards)), made };
      mustBeOrigin(settings, keys.origin);
      const stores = await openStores(settings.data);
      try {
        const pipeline = new EmbeddedPipeline({ folder, keys, stores, shards, logger, metrics });
        await pipeline.#prepare({ ...settings, shards });
        warnOfOthers(settings, pipeline.sources.policies.latest.policy, logger);
        pipeline.#start();
        return pipeline;
      } catch (error) {
        await closeStores(stores).catch(() => undefined);
        throw error;
      }
    } catch (error) {
      await folder.close();
      throw error;
    }
  }

  async #prepare(settings: OpenSettings): Promise<void> {
    const { log, registry } = this.stores;
    await log.ensureTopic(TOPICS.control, { partitions: 1 });
    await registerSchemas(registry);
    await this.sources.refreshPolicies();
    if ((await log.bounds(TOPICS.control, 0)).end === 0) {
      await mustBeFirstStart(this.stores.objects, settings.data);
      await publishFirstPolicy(log, this.keys, settings);
      await this.sources.refreshPolicies();
    }
    const { shards, origin } = this.sources.policies.latest.policy;
    if (shards !== settings.shards) {
      throw new LineproofError(
        'CONFIG_INVALID',
        `cannot start with ${settings.shards} shards: the policy of ${origin} has ${shards}, and that number never changes; the keys of the others are missing in ${join(settings.data, 'keys')}, so restore them from their backup`,
      );
    }
    for (const topic of [TOPICS.events, TOPICS.chain, TOPICS.rejected]) await log.ensureTopic(topic, { partitions: settings.shards });
  }

  #start(): void {
    for (let shard = 0; shard < this.shards; shard++) {
      this.#work.push(
        this.#watch(this.#chainer.runShard(shard, this.#stop.signal)),
        this.#watch(this.#archiver.runShard(shard, this.#stop.signal)),
      );
    }
  }

  /** Remembers the error that ended a part, and stops the others. */
  async #watch(work: Promise<void>): Promise<void> {
    try {
      await work;
    } catch (error) {
      this.#failure ??= error;
      this.#stop.abort();
    }
  }

  /** Resolves when `signal` aborts; throws the error that ended a part. */
  async failedOr(signal: AbortSignal): Promise<void> {
    const over = AbortSignal.any([signal, this.#stop.signal]);
    while (!signal.aborted) {
      this.check();
      await systemClock.sleep(200, over);
    }
  }

  /** The leaves of all shards together and their log keys, as a text for people. */
  describeSizes(): string {
    let leaves = 0;
    for (let shard = 0; shard < this.shards; shard++) leaves += this.#archiver.archivedSize(shard) ?? 0;
    return `${leaves} leaves in ${this.shards} shard${this.shards === 1 ? '' : 's'}, attested by ${this.keys.logs.map(({ name }) => name).join(', ')}`;
  }

  /** The present state of every shard. */
  status(): Promise<readonly EmbeddedShard[]> {
    const shards = Array.from({ length: this.shards }, async (_, shard): Promise<EmbeddedShard> => {
      const { end } = await this.stores.log.bounds(TOPICS.events, shard);
      const consumed = this.#chainer.consumedTo(shard);
      return {
        shard,
        lag: consumed === undefined ? null : Math.max(0, end - consumed),
        size: this.#chainer.size(shard) ?? null,
        attested: this.#archiver.attestedSize(shard) ?? null,
        archived: this.#archiver.archivedSize(shard) ?? null,
        waitsFor: this.#waitsFor(shard) ?? null,
      };
    });
    return Promise.all(shards);
  }

  /** Why not all shards are worked on; undefined if all are. */
  problem(): string | undefined {
    if (this.#failure !== undefined) return messageOf(this.#failure);
    for (let shard = 0; shard < this.shards; shard++) {
      const why = this.#chainer.consumedTo(shard) === undefined ? 'it recovers its state' : this.#waitsFor(shard);
      if (why !== undefined) return `shard ${shard}: ${why}`;
    }
    return undefined;
  }

  #waitsFor(shard: number): string | undefined {
    const holds = [this.#chainer.hold(shard)?.held, this.#archiver.hold(shard)?.held];
    return holds.find((held) => held !== undefined && held.forMs >= TOLD_AFTER_MS)?.text;
  }

  /** Whether an error has ended a part: then this process is about to end. */
  get failed(): boolean {
    return this.#failure !== undefined;
  }

  /** Throws the error that ended a part. */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Resolves when everything that the input log holds is linked, attested and in closed segments; throws the error that ended a part. */
  async idle(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.check();
      if (await this.#isIdle()) return;
      await systemClock.sleep(IDLE_POLL_MS, signal);
    }
  }

  /** Resolves when everything that the input log holds is linked, or a part failed. */
  async linked(signal: AbortSignal): Promise<void> {
    const over = AbortSignal.any([signal, this.#stop.signal]);
    while (!over.aborted && !(await this.#isLinked())) await systemClock.sleep(IDLE_POLL_MS, over);
  }

  async #isIdle(): Promise<boolean> {
    if (!(await this.#isLinked())) return false;
    for (let shard = 0; shard < this.shards; shard++) {
      const size = this.#chainer.size(shard);
      if (size === undefined || (this.#archiver.archivedSize(shard) ?? -1) < size) return false;
    }
    return true;
  }

  async #isLinked(): Promise<boolean> {
    for (let shard = 0; shard < this.shards; shard++) {
      const { end } = await this.stores.log.bounds(TOPICS.events, shard);
      if ((this.#chainer.consumedTo(shard) ?? -1) < end) return false;
    }
    return true;
  }

  /** Stops chainer and archiver, closes the stores, releases the folder. */
  async close(): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#work);
    try {
      await closeStores(this.stores);
    } finally {
      await this.#folder.close();
    }
    this.check();
  }
}
