import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type DataFolder, openDataFolder } from '../adapters/data-folder.ts';
import { openFolderObjectStore } from '../adapters/folder-object-store.ts';
import { openFolderSchemaRegistry } from '../adapters/folder-schema-registry.ts';
import { openLmdbDedupIndex } from '../adapters/lmdb-dedup-index.ts';
import { openLmdbLog } from '../adapters/lmdb-log.ts';
import { checkEnvironments } from '../adapters/lmdb-probe.ts';
import { openLmdbStateStore } from '../adapters/lmdb-state-store.ts';
import { pinoLogger } from '../adapters/pino-logger.ts';
import { prometheusMetrics } from '../adapters/prometheus-metrics.ts';
import { systemClock } from '../adapters/system-clock.ts';
import { Archiver } from '../archiver/archiver.ts';
import { Chainer } from '../chainer/chainer.ts';
import { type Collector, openCollector } from '../collector/collector.ts';
import type { CollectorOptions } from '../collector/collector-options.ts';
import { listSpools } from '../collector/spool.ts';
import { archiveAnchor } from '../core/archive/archive-anchor.ts';
import { SCHEMA_TEXTS } from '../core/avro/schema-texts.ts';
import { LineproofError } from '../core/base/errors.ts';
import { EVENT_SUBJECT, Sources } from '../core/chain/governance-source.ts';
import { EVENT_SCHEMA } from '../core/formats/event-schema.ts';
import { encodeEnvelope, signEnvelope } from '../core/keys/dsse.ts';
import { newPolicy } from '../core/policy/new-policy.ts';
import { encodePolicy } from '../core/policy/policy.ts';
import type { DedupIndex } from '../core/ports/dedup-index.ts';
import { type Log, TOPICS } from '../core/ports/log.ts';
import type { Logger } from '../core/ports/logger.ts';
import type { Metrics } from '../core/ports/metrics.ts';
import type { ObjectStore } from '../core/ports/object-store.ts';
import type { SchemaRegistry } from '../core/ports/schema-registry.ts';
import type { StateStore } from '../core/ports/state-store.ts';
import { type Collector as FriendlyCollector, friendlyCollector } from '../sdk/lineproof.ts';
import { type EmbeddedKeys, makeEmbeddedKeys, readEmbeddedKeys } from './keys.ts';
import { loadSettings, type Settings } from '../settings/embedded-settings.ts';

const IDLE_POLL_MS = 10;

/** What the pipeline of an embedded system is made of, opened on one data folder. */
interface Stores {
  readonly log: Log;
  readonly dedup: DedupIndex;
  readonly state: StateStore;
  readonly objects: ObjectStore;
  readonly registry: SchemaRegistry;
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

  private constructor(
    folder: DataFolder,
    keys: EmbeddedPipeline['keys'],
    stores: Stores,
    settings: Settings,
    logger: Logger,
    metrics: Metrics,
  ) {
    this.#folder = folder;
    this.keys = keys;
    this.stores = stores;
    const { origin } = keys;
    this.shards = settings.shards;
    const shared = { origin, shards: settings.shards, log: stores.log, clock: systemClock, metrics };
    this.sources = new Sources({ ...shared, registry: stores.registry, logger });
    // Chainer and archiver read policies and schemas each for themselves: neither believes what the other saw.
    const archiverSources = new Sources({ ...shared, registry: stores.registry, logger });
    const anchor = archiveAnchor(stores.objects, this.sources, origin, settings.shards);
    this.#chainer = new Chainer({
      ...shared,
      dedup: stores.dedup,
      store: stores.state,
      registry: stores.registry,
      anchor,
      sources: this.sources,
      signer: keys.chainer,
      logger: logger.child({ part: 'chainer' }),
    });
    this.#archiver = new Archiver({
      ...shared,
      objects: stores.objects,
      sources: archiverSources,
      signers: keys.logs,
      logger: logger.child({ part: 'archiver' }),
    });
  }

  /** Opens the folder, makes keys and policy at the first start, and starts chainer and archiver for every shard. */
  static async open(settings: Settings, logger: Logger, metrics: Metrics): Promise<EmbeddedPipeline> {
    const folder = await openDataFolder(settings.data);
    try {
      const path = (name: string): string => {
        mkdirSync(join(settings.data, name), { recursive: true, mode: 0o700 });
        return join(settings.data, name);
      };
      const made = await makeKeysOnce(settings);
      const keys = await readEmbeddedKeys(join(settings.data, 'keys'), settings.shards);
      checkEnvironments(['log', 'dedup', 'state'].map(path));
      const stores: Stores = {
        log: await openLmdbLog(path('log'), { clock: systemClock }),
        dedup: await openLmdbDedupIndex(path('dedup')),
        state: await openLmdbStateStore(path('state')),
        objects: await openFolderObjectStore(path('archive')),
        registry: await openFolderSchemaRegistry(path('registry')),
      };
      const pipeline = new EmbeddedPipeline(folder, { ...keys, made }, stores, settings, logger, metrics);
      await pipeline.#prepare(settings);
      pipeline.#start();
      return pipeline;
    } catch (error) {
      await folder.close();
      throw error;
    }
  }

  async #prepare(settings: Settings): Promise<void> {
    const { log, registry } = this.stores;
    for (const topic of [TOPICS.events, TOPICS.chain, TOPICS.rejected]) await log.ensureTopic(topic, { partitions: settings.shards });
    await log.ensureTopic(TOPICS.control, { partitions: 1 });
    await registry.register('lineproof.v1.SignedBatch', SCHEMA_TEXTS.SignedBatch);
    await registry.register('lineproof.v1.Block', SCHEMA_TEXTS.Block);
    await registry.register(EVENT_SUBJECT, EVENT_SCHEMA.text);
    await this.sources.refreshPolicies();
    if ((await log.bounds(TOPICS.control, 0)).end === 0) {
      await mustBeFirstStart(this.stores.objects, settings.data);
      await this.#publishFirstPolicy(settings);
    }
    const { shards, origin } = this.sources.policies.latest.policy;
    if (shards !== settings.shards) {
      throw new LineproofError(
        'CONFIG_INVALID',
        `cannot start with ${settings.shards} shards: the policy of ${origin} has ${shards}, and that number never changes`,
      );
    }
  }

  async #publishFirstPolicy(settings: Settings): Promise<void> {
    const { keys } = this;
    const policy = newPolicy({
      origin: keys.origin,
      shards: settings.shards,
      roots: [keys.root.verifierKey],
      producers: [{ key: keys.collector.verifierKey, streams: ['*', 'lineproof/*'] }],
      chainers: [keys.chainer.verifierKey],
      logs: keys.logs.map(({ verifierKey }) => verifierKey),
      schemas: [EVENT_SCHEMA.hex],
      dedupWindowMs: settings.dedupWindowMs,
      segmentMaxAgeMs: settings.segmentMaxAgeMs,
    });
    const envelope = await signEnvelope('policy', encodePolicy(policy), [keys.root]);
    await this.stores.log.append(TOPICS.control, 0, [{ key: null, value: encodeEnvelope(envelope) }]);
    await this.sources.refreshPolicies();
  }

  #start(): void {
    for (let shard = 0; shard < this.shards; shard++) {
      this.#work.push(
        this.#watch(this.#chainer.runShard(shard, this.#stop.signal)),
        this.#watch(this.#archiver.runShard(shard, this.#stop.signal)),
      );
    }
  }

  /** Remembers what a part died of, and stops the others. */
  async #watch(work: Promise<void>): Promise<void> {
    try {
      await work;
    } catch (error) {
      this.#failure ??= error;
      this.#stop.abort();
    }
  }

  /** Resolves when `signal` aborts; throws what a part died of. */
  async failedOr(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.check();
      await systemClock.sleep(200, AbortSignal.any([signal, this.#stop.signal]));
    }
  }

  /** Sizes of all shards, in words. */
  describeSizes(): string {
    let leaves = 0;
    for (let shard = 0; shard < this.shards; shard++) leaves += this.#archiver.archivedSize(shard) ?? 0;
    return `${leaves} leaves in ${this.shards} shard${this.shards === 1 ? '' : 's'}, attested by ${this.keys.logs.map(({ name }) => name).join(', ')}`;
  }

  /** Throws what a part died of. */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Resolves when everything that the input log holds is linked, attested and in closed segments; throws what a part died of. */
  async idle(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.check();
      if (await this.#isIdle()) return;
      await systemClock.sleep(IDLE_POLL_MS, signal);
    }
  }

  async #isIdle(): Promise<boolean> {
    for (let shard = 0; shard < this.shards; shard++) {
      const { end } = await this.stores.log.bounds(TOPICS.events, shard);
      const size = this.#chainer.size(shard);
      if (size === undefined || (this.#chainer.consumedTo(shard) ?? -1) < end) return false;
      if ((this.#archiver.archivedSize(shard) ?? -1) < size) return false;
    }
    return true;
  }

  /** Stops chainer and archiver, closes the stores, gives the folder free. */
  async close(): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#work);
    const { log, dedup, state, objects, registry } = this.stores;
    for (const store of [log, dedup, state, objects, registry]) await store.close();
    await this.#folder.close();
    this.check();
  }
}

/** Makes keys at the first start only: where a log is, keys were, and new ones would not fit it. */
async function makeKeysOnce({ data, origin, shards }: Settings): Promise<boolean> {
  const folder = join(data, 'keys');
  if (!existsSync(join(data, 'log'))) return makeEmbeddedKeys(folder, origin, shards);
  if (existsSync(folder)) return false;
  throw new LineproofError('KEY_UNREADABLE', `cannot read the keys in ${folder}: the folder is gone; restore it from its backup`);
}

/** Throws LOG_BEHIND where an archive is there and its log is not: whatever a new log took would be lost once the old one is back. */
async function mustBeFirstStart(objects: ObjectStore, data: string): Promise<void> {
  for await (const { key } of objects.list('')) {
    throw new LineproofError(
      'LOG_BEHIND',
      `cannot start: the log in ${join(data, 'log')} is empty, but the archive beside it holds ${key}; restore the log from its backup`,
    );
  }
}

/** What processes that record into a running system need: its spools are taken up by whoever works on the data folder. */
const SPOOLS = 'spool';
const ADOPT_MS = 1_000;

/** A pipeline with a collector on the same folder: what a process that records and archives by itself needs. */
export class EmbeddedSystem {
  readonly pipeline: EmbeddedPipeline;
  readonly collector: Collector;
  readonly #collect: (spool: string) => Promise<Collector>;
  readonly #spools: string;
  readonly #logger: Logger;
  readonly #stop = new AbortController();
  readonly #adopting: Promise<void>;

  private constructor(
    pipeline: EmbeddedPipeline,
    collector: Collector,
    collect: (spool: string) => Promise<Collector>,
    spools: string,
    logger: Logger,
  ) {
    this.pipeline = pipeline;
    this.collector = collector;
    this.#collect = collect;
    this.#spools = spools;
    this.#logger = logger;
    this.#adopting = this.#adopt();
  }

  /** Opens pipeline and collector on the data folder of `settings`. */
  static async open(settings: Settings, logger: Logger, metrics: Metrics): Promise<EmbeddedSystem> {
    const pipeline = await EmbeddedPipeline.open(settings, logger, metrics);
    try {
      const { keys, stores } = pipeline;
      const spools = join(settings.data, SPOOLS);
      const collect = (folder: string): Promise<Collector> =>
        openCollector({
          ...collectorOptions(settings, keys, logger, metrics),
          registry: stores.registry,
          log: stores.log,
          spool: { folder, maxBytes: settings.spoolMaxBytes, whenFull: settings.spoolWhenFull },
        });
      return new EmbeddedSystem(pipeline, await collect(join(spools, 'own')), collect, spools, logger);
    } catch (error) {
      await pipeline.close();
      throw error;
    }
  }

  /** Resolves when every spool beside this system's own was taken up once. */
  async adoptSpools(): Promise<void> {
    for (const folder of listSpools(this.#spools)) {
      try {
        const adopted = await this.#collect(folder);
        const done = await adopted.close();
        if (done) rmSync(folder, { recursive: true, force: true });
      } catch (error) {
        this.#logger.warn('spool not taken up; trying again later', {
          folder,
          reason: error instanceof Error ? error.message : String(error),
        });
      }
    }
  }

  async #adopt(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      await this.adoptSpools();
      await systemClock.sleep(ADOPT_MS, this.#stop.signal);
    }
  }

  /** Sends everything with the statement that nothing follows, then waits until all of it is in closed segments. */
  async finish(signal: AbortSignal): Promise<void> {
    await this.#endAdopting();
    await this.adoptSpools();
    // Closing waits only so long: on a slow disk it would leave the rest in the spool.
    if (!signal.aborted) await Promise.race([this.collector.flush(), aborted(signal)]);
    await this.collector.close();
    await this.pipeline.idle(signal);
  }

  async #endAdopting(): Promise<void> {
    this.#stop.abort();
    await this.#adopting;
  }

  /** Closes the collector first: what it could not send stays in its spool. */
  async close(): Promise<void> {
    await this.#endAdopting();
    await this.collector.close();
    await this.pipeline.close();
  }
}

function collectorOptions(
  settings: Settings,
  keys: EmbeddedKeys,
  logger: Logger,
  metrics: Metrics,
): Pick<CollectorOptions, 'origin' | 'shards' | 'signer' | 'eventSchema' | 'clock' | 'logger' | 'metrics' | 'lingerMs' | 'heartbeatMs'> {
  const { lingerMs, heartbeatMs, shards } = settings;
  return {
    origin: keys.origin,
    shards,
    signer: keys.collector,
    eventSchema: EVENT_SCHEMA,
    clock: systemClock,
    logger: logger.child({ part: 'collector' }),
    metrics,
    lingerMs,
    heartbeatMs,
  };
}

/** Opens a spool of its own beside a system that another process runs: that process takes it up. Throws KEY_UNREADABLE where there are no keys yet. */
export async function openSpoolOnly(settings: Settings, name: string, logger: Logger, metrics: Metrics): Promise<Collector> {
  const keys = await readEmbeddedKeys(join(settings.data, 'keys'), settings.shards);
  const registry = await openFolderSchemaRegistry(join(settings.data, 'registry'));
  return openCollector({
    ...collectorOptions(settings, keys, logger, metrics),
    registry,
    log: null,
    spool: { folder: join(settings.data, SPOOLS, name) },
  });
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}

/** What a caller of the library says about an embedded system; everything else has the default of `lineproof config`. */
export type EmbeddedOptions = Partial<Settings>;

/** An embedded system for a process that is no command: records through the friendly collector of the SDK. */
export interface EmbeddedHandle {
  readonly collector: FriendlyCollector;
  readonly origin: string;
  /** Verifier key of the root: what an auditor pins. */
  readonly rootKey: string;
  /** Folder of the archive. */
  readonly archive: string;
  /** Sends everything, states the end, and resolves when all of it is archived. */
  finish(): Promise<void>;
  close(): Promise<void>;
}

/** Opens the whole system in this process, made at the first start. Throws DATA_IN_USE, CONFIG_INVALID, KEY_UNREADABLE, DISK_FULL, IO_FAILED. */
export async function openEmbedded(options: EmbeddedOptions = {}): Promise<EmbeddedHandle> {
  const settings: Settings = { ...loadSettings({}, {}, undefined).values, ...options };
  const system = await EmbeddedSystem.open(settings, pinoLogger(settings.logLevel), prometheusMetrics());
  const { keys } = system.pipeline;
  return {
    collector: friendlyCollector(system.collector),
    origin: keys.origin,
    rootKey: keys.root.verifierKey,
    archive: join(settings.data, 'archive'),
    finish: () => system.finish(new AbortController().signal),
    close: () => system.close(),
  };
}
