import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { openFolderObjectStore } from '../../adapters/folder-object-store.ts';
import { openFolderSchemaRegistry } from '../../adapters/folder-schema-registry.ts';
import { httpWitness } from '../../adapters/http-witness.ts';
import { openLmdbDedupIndex } from '../../adapters/lmdb-dedup-index.ts';
import { openLmdbLog } from '../../adapters/lmdb-log.ts';
import { openLmdbStateStore } from '../../adapters/lmdb-state-store.ts';
import { type PrometheusMetrics, prometheusMetrics } from '../../adapters/prometheus-metrics.ts';
import { Archiver } from '../../archiver/archiver.ts';
import type { Verdict } from '../../auditor/verdict.ts';
import { verifyArchive } from '../../auditor/verify.ts';
import { Chainer } from '../../chainer/chainer.ts';
import { archiveAnchor } from '../../core/archive/archive-anchor.ts';
import { SCHEMA_TEXTS } from '../../core/avro/schema-texts.ts';
import { EVENT_SUBJECT, Sources } from '../../core/chain/governance-source.ts';
import { decodeRejected, isTimeProbe, type Rejected } from '../../core/formats/rejected.ts';
import { parseVerifierKey } from '../../core/keys/key.ts';
import type { Clock } from '../../core/ports/clock.ts';
import { type Log, type NewRecord, TOPICS } from '../../core/ports/log.ts';
import type { ObjectStore } from '../../core/ports/object-store.ts';
import type { SchemaRegistry } from '../../core/ports/schema-registry.ts';
import { temporaryFolder } from './command.ts';
import { recordsOf } from './log-records.ts';
import { TestLogger } from './memory.ts';
import { BATCH_SCHEMA_ID, START_MICROS, type World } from './producer.ts';

interface Stores {
  readonly log: Log;
  readonly dedup: Awaited<ReturnType<typeof openLmdbDedupIndex>>;
  readonly state: Awaited<ReturnType<typeof openLmdbStateStore>>;
  readonly objects: ObjectStore;
  readonly registry: SchemaRegistry;
}

/** A sleep takes no time and gives way to others. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Chainer and archiver of shard 0 on the adapters of an embedded system, in a new folder, by a clock that the test moves. */
export class EmbeddedShard {
  readonly world: World;
  readonly stores: Stores;
  readonly metrics: PrometheusMetrics = prometheusMetrics();
  readonly logger = new TestLogger();
  readonly #folder: ReturnType<typeof temporaryFolder>;
  readonly #chainer: Chainer;
  readonly #archiver: Archiver;
  readonly #stop = new AbortController();
  readonly #work: Promise<void>[];
  #failure: unknown;
  #micros = START_MICROS;

  private constructor(world: World, folder: ReturnType<typeof temporaryFolder>, open: (clock: Clock) => Stores) {
    this.world = world;
    this.#folder = folder;
    const clock: Clock = {
      nowMicros: () => this.#micros++,
      monotonicMs: () => performance.now(),
      sleep: turn,
    };
    this.stores = open(clock);
    const { log, dedup, state, objects, registry } = this.stores;
    const { origin, shards } = world;
    const shared = { origin, shards, log, clock, logger: this.logger, metrics: this.metrics };
    const sources = [new Sources({ ...shared, registry }), new Sources({ ...shared, registry })] as const;
    this.#chainer = new Chainer({
      ...shared,
      dedup,
      registry,
      store: state,
      anchor: archiveAnchor(objects, sources[0], origin, shards),
      sources: sources[0],
      signer: world.chainer,
      settings: { pollMs: 2, asksLogTime: false },
    });
    this.#archiver = new Archiver({
      ...shared,
      objects,
      sources: sources[1],
      openWitness: httpWitness,
      signers: world.logs,
      settings: { publishIntervalMs: 0, pollMs: 2 },
    });
    const { signal } = this.#stop;
    this.#work = [this.#chainer.runShard(0, signal), this.#archiver.runShard(0, signal)].map((work) =>
      work.catch((error: unknown) => {
        this.#failure ??= error;
      }),
    );
  }

  static async open(world: World): Promise<EmbeddedShard> {
    const folder = temporaryFolder('shard');
    const path = (name: string): string => {
      mkdirSync(join(folder.path, name));
      return join(folder.path, name);
    };
    let now = (): number => START_MICROS;
    const log = await openLmdbLog(path('log'), { clock: { nowMicros: () => now(), monotonicMs: () => 0, sleep: turn } });
    const stores: Stores = {
      log,
      dedup: await openLmdbDedupIndex(path('dedup')),
      state: await openLmdbStateStore(path('state')),
      objects: await openFolderObjectStore(path('archive')),
      registry: await openFolderSchemaRegistry(path('registry')),
    };
    for (const topic of [TOPICS.events, TOPICS.chain, TOPICS.rejected]) await log.ensureTopic(topic, { partitions: world.shards });
    await log.ensureTopic(TOPICS.control, { partitions: 1 });
    for (const { text } of world.schemas) await stores.registry.register(EVENT_SUBJECT, text);
    for (let id = world.schemas.length + 1; id < BATCH_SCHEMA_ID; id++)
      await stores.registry.register('other', JSON.stringify({ type: 'string', doc: `other ${id}` }));
    await stores.registry.register('lineproof.v1.SignedBatch', SCHEMA_TEXTS.SignedBatch);
    for (const value of world.envelopes) await log.append(TOPICS.control, 0, [{ key: null, value }]);
    return new EmbeddedShard(world, folder, (clock) => {
      now = clock.nowMicros;
      return stores;
    });
  }

  /** Puts a value on the input topic and waits until it is in an accepted block. */
  async send(value: Uint8Array, headers: NewRecord['headers'] = {}): Promise<void> {
    const { offset } = await this.stores.log.append(TOPICS.events, 0, [{ key: null, value, headers }]);
    await this.#until(() => (this.#chainer.consumedTo(0) ?? 0) > offset);
  }

  /** Lets so much time pass in silence that the archive's open segment closes. */
  async closeSegment(): Promise<void> {
    this.#micros += 2 * this.world.policy.policy.segmentMaxAgeMs * 1000;
    await this.#until(() => {
      const size = this.#chainer.size(0) ?? 0;
      return size > 0 && this.#archiver.archivedSize(0) === size;
    });
  }

  /** The records on `provenance.rejected`. */
  async rejected(): Promise<readonly Rejected[]> {
    const records = await this.stores.log.read(TOPICS.rejected, 0, 0, { maxBytes: 64 * 1024 * 1024, waitMs: 0 });
    return recordsOf(records)
      .filter((record) => !isTimeProbe(record))
      .map(({ value }) => decodeRejected(value));
  }

  /** The value of one series, 0 where it was never counted. */
  async metric(series: string): Promise<number> {
    const line = (await this.metrics.text()).split('\n').find((each) => each.startsWith(`${series} `));
    return line === undefined ? 0 : Number(line.slice(series.length + 1));
  }

  /** The auditor's verdict by the root key. */
  verify(): Promise<Verdict> {
    return verifyArchive(this.stores.objects, { keys: [parseVerifierKey(this.world.root.verifierKey)] });
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#work);
    const { log, dedup, state, objects, registry } = this.stores;
    for (const store of [log, dedup, state, objects, registry]) await store.close();
    this.#folder.release();
  }

  async #until(done: () => boolean): Promise<void> {
    while (!done()) {
      if (this.#failure !== undefined) throw this.#failure;
      await turn();
    }
  }
}
