import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openFolderObjectStore } from '../adapters/folder-object-store.ts';
import { openFolderSchemaRegistry } from '../adapters/folder-schema-registry.ts';
import { httpWitness } from '../adapters/http-witness.ts';
import { openLmdbDedupIndex } from '../adapters/lmdb-dedup-index.ts';
import { openLmdbLog } from '../adapters/lmdb-log.ts';
import { openLmdbStateStore } from '../adapters/lmdb-state-store.ts';
import { pinoLogger } from '../adapters/pino-logger.ts';
import { prometheusMetrics } from '../adapters/prometheus-metrics.ts';
import { systemClock } from '../adapters/system-clock.ts';
import { Archiver } from '../archiver/archiver.ts';
import { Chainer } from '../chainer/chainer.ts';
import { openCollector } from '../collector/collector.ts';
import { archiveAnchor } from '../core/archive/archive-anchor.ts';
import { Sources } from '../core/chain/governance-source.ts';
import { EVENT_SCHEMA } from '../core/formats/event-schema.ts';
import type { DedupIndex } from '../core/ports/dedup-index.ts';
import { isRecord, type Log, type LogRecord, offsetAfter, TOPICS } from '../core/ports/log.ts';
import type { ObjectStore } from '../core/ports/object-store.ts';
import type { SchemaRegistry } from '../core/ports/schema-registry.ts';
import type { StateStore } from '../core/ports/state-store.ts';
import { type EmbeddedKeys, makeEmbeddedKeys, readEmbeddedKeys } from '../embedded/keys.ts';
import { EmbeddedPipeline } from '../embedded/pipeline.ts';
import { friendlyCollector } from '../sdk/friendly-collector.ts';
import type { Settings } from '../settings/embedded-settings.ts';
import { type Cost, measured } from './cost.ts';
import { benchSettings, shownSettings, verifyFolder } from './embedded-system.ts';
import type { BenchSystem, Checked } from './system.ts';
import { offer } from './throughput.ts';
import type { Workload } from './workload.ts';

const POLL_MS = 5;
const READ_BYTES = 8 * 1024 * 1024;

export interface PartCosts {
  readonly offered: number;
  readonly settings: BenchSystem['settings'];
  readonly checked: Checked;
  readonly costs: {
    /** Making the events; also contained in the collector's cost. */
    readonly workload: Cost;
    readonly collector: Cost;
    readonly chainer: Cost;
    readonly archiver: Cost;
    readonly auditor: Cost;
    /** The log alone: each record of both topics is appended and read once. Also contained in the costs of the parts. */
    readonly log: Cost;
  };
}

interface Stores {
  readonly log: Log;
  readonly dedup: DedupIndex;
  readonly state: StateStore;
  readonly objects: ObjectStore;
  readonly registry: SchemaRegistry;
}

interface Site {
  readonly settings: Settings;
  readonly keys: EmbeddedKeys;
  readonly stores: Stores;
}

/** Runs the parts of the embedded system one after the other on the same data, so that the processor time of each can be measured. */
export async function measureParts(folder: string, workload: Workload, events: number, shards: number): Promise<PartCosts> {
  const settings = benchSettings(join(folder, 'data'), shards);
  const site = await openSite(settings);
  try {
    const made = await measured(events, () => {
      for (let i = 0; i < events; i++) workload.event(i);
    });
    const collector = await measured(events, () => collect(site, workload, events));
    const { cost: chainer, sizes } = await chain(site, events);
    // Before the archiver, which trims what it has archived.
    const log = await replay(site, join(folder, 'log-alone'), events);
    const archiver = await archive(site, sizes, events);
    let checked: Checked = { ok: false, links: 0, verdict: '' };
    const auditor = await measured(events, async () => {
      checked = await verifyFolder(join(settings.data, 'archive'), site.keys.root.verifierKey);
    });
    return {
      offered: events,
      settings: shownSettings(settings),
      checked,
      costs: { workload: made, collector, chainer, archiver, auditor, log },
    };
  } finally {
    for (const store of Object.values(site.stores)) await store.close();
  }
}

/** Makes keys, topics and policy by a first start that ends at once, and opens the stores. */
async function openSite(settings: Settings): Promise<Site> {
  await (await EmbeddedPipeline.open(settings, pinoLogger(settings.logLevel), prometheusMetrics())).close();
  const path = (name: string): string => join(settings.data, name);
  const stores = {
    log: await openLmdbLog(path('log'), { clock: systemClock }),
    dedup: await openLmdbDedupIndex(path('dedup')),
    state: await openLmdbStateStore(path('state')),
    objects: await openFolderObjectStore(path('archive')),
    registry: await openFolderSchemaRegistry(path('registry')),
  };
  await makeEmbeddedKeys(path('keys'), settings.origin, settings.shards);
  return { settings, keys: await readEmbeddedKeys(path('keys'), settings.shards), stores };
}

async function collect({ settings, keys, stores }: Site, workload: Workload, events: number): Promise<void> {
  const { shards, lingerMs, heartbeatMs, spoolMaxBytes } = settings;
  const collector = await openCollector({
    origin: keys.origin,
    shards,
    signer: keys.collector,
    eventSchema: EVENT_SCHEMA,
    registry: stores.registry,
    log: stores.log,
    clock: systemClock,
    logger: pinoLogger(settings.logLevel),
    metrics: prometheusMetrics(),
    spool: { folder: join(settings.data, 'spool', 'own'), maxBytes: spoolMaxBytes, whenFull: 'block' },
    lingerMs,
    heartbeatMs,
  });
  await offer(friendlyCollector(collector), workload, { events });
  await collector.flush();
  await collector.close();
}

function shared({ settings, keys, stores }: Site) {
  const logger = pinoLogger(settings.logLevel);
  const sources = new Sources({ origin: keys.origin, log: stores.log, registry: stores.registry, clock: systemClock, logger });
  const { shards } = settings;
  return { origin: keys.origin, shards, log: stores.log, clock: systemClock, logger, metrics: prometheusMetrics(), sources };
}

/** Measures until all input is in blocks; then waits, unmeasured, for the blocks that close the last segments. Returns the sizes of the shards' logs. */
async function chain(site: Site, events: number): Promise<{ readonly cost: Cost; readonly sizes: readonly number[] }> {
  const { settings, keys, stores } = site;
  const common = shared(site);
  const anchor = archiveAnchor(stores.objects, common.sources, keys.origin, settings.shards);
  const { dedup, state: store, registry } = stores;
  const chainer = new Chainer({ ...common, dedup, store, registry, anchor, signer: keys.chainer });
  const ends = await endsOf(stores.log, TOPICS.events, settings.shards);
  const run = runShards(settings.shards, (shard, signal) => chainer.runShard(shard, signal));
  const cost = await measured(events, () => run.until((shard) => (chainer.consumedTo(shard) ?? -1) >= (ends[shard] as number)));
  const sizesNow = (): number[] => Array.from({ length: settings.shards }, (_, shard) => chainer.size(shard) ?? 0);
  const consumed = sizesNow();
  // If the last block closed its segment by itself, no other follows.
  const latest = performance.now() + 2 * settings.segmentMaxAgeMs;
  await run.until((shard) => chainer.size(shard) !== consumed[shard] || performance.now() > latest);
  const sizes = sizesNow();
  await run.stop();
  return { cost, sizes };
}

async function archive(site: Site, sizes: readonly number[], events: number): Promise<Cost> {
  const { settings, keys, stores } = site;
  const archiver = new Archiver({ ...shared(site), objects: stores.objects, signers: keys.logs, openWitness: httpWitness });
  const run = runShards(settings.shards, (shard, signal) => archiver.runShard(shard, signal));
  const cost = await measured(events, () => run.until((shard) => (archiver.archivedSize(shard) ?? -1) >= (sizes[shard] as number)));
  await run.stop();
  return cost;
}

async function endsOf(log: Log, topic: string, shards: number): Promise<number[]> {
  const ends: number[] = [];
  for (let shard = 0; shard < shards; shard++) ends.push((await log.bounds(topic, shard)).end);
  return ends;
}

interface Run {
  /** Resolves when `isDone` holds for every shard; rejects with the error of a shard's work. */
  until(isDone: (shard: number) => boolean): Promise<void>;
  stop(): Promise<void>;
}

function runShards(shards: number, work: (shard: number, signal: AbortSignal) => Promise<void>): Run {
  const stop = new AbortController();
  let failure: unknown;
  const all = Array.from({ length: shards }, (_, shard) =>
    work(shard, stop.signal).catch((error: unknown) => {
      failure ??= error;
    }),
  );
  return {
    until: async (isDone) => {
      while (!all.every((_, shard) => isDone(shard))) {
        if (failure !== undefined) throw failure;
        await sleep(POLL_MS);
      }
    },
    stop: async () => {
      stop.abort();
      await Promise.all(all);
      if (failure !== undefined) throw failure;
    },
  };
}

/** Appends every record of both topics to another log and reads it once, as the parts do. */
async function replay({ settings, stores }: Site, folder: string, events: number): Promise<Cost> {
  const records = new Map<string, LogRecord[]>();
  for (const topic of [TOPICS.events, TOPICS.chain])
    for (let shard = 0; shard < settings.shards; shard++) records.set(`${topic} ${shard}`, await readAll(stores.log, topic, shard));
  const log = await openLmdbLog(folder, { clock: systemClock });
  for (const topic of [TOPICS.events, TOPICS.chain]) await log.ensureTopic(topic, { partitions: settings.shards });
  const cost = await measured(events, async () => {
    for (const [name, all] of records) {
      const [topic, shard] = name.split(' ') as [string, string];
      for (const { key, value, headers } of all) await log.append(topic, Number(shard), [{ key, value, headers }]);
      await readAll(log, topic, Number(shard));
    }
  });
  await log.close();
  return cost;
}

async function readAll(log: Log, topic: string, shard: number): Promise<LogRecord[]> {
  const all: LogRecord[] = [];
  let { start } = await log.bounds(topic, shard);
  for (;;) {
    const records = await log.read(topic, shard, start, { maxBytes: READ_BYTES, waitMs: 0 });
    const last = records.at(-1);
    if (last === undefined) return all;
    all.push(...records.filter(isRecord));
    start = offsetAfter(last);
  }
}
