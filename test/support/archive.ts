import { httpWitness } from '../../adapters/http-witness.ts';
import { Archiver, type ArchiverOptions } from '../../archiver/archiver.ts';
import type { AcceptedBlock } from '../../core/acceptance/accept.ts';
import type { LogState } from '../../core/acceptance/log-state.ts';
import type { Sources } from '../../core/chain/governance-source.ts';
import { formatCheckpoint } from '../../core/keys/checkpoint.ts';
import { signNote } from '../../core/keys/note.ts';
import { type Log, TOPICS } from '../../core/ports/log.ts';
import type { ObjectStore } from '../../core/ports/object-store.ts';
import type { Signer } from '../../core/ports/signer.ts';
import { MemoryLog, TestLogger, TestMetrics, testClock, testSources } from './memory.ts';
import { makeWorld, START_MICROS, type TestMessage, type World } from './producer.ts';

const SECOND = 1_000_000;

/** A chain on its topic, as one chainer wrote it. */
export interface TestChain {
  readonly world: World;
  readonly log: MemoryLog;
  readonly sources: Sources;
  /** The state after the last block. */
  readonly state: LogState;
  readonly blocks: AcceptedBlock[];
  readonly values: Uint8Array[];
  /** Appends a block with these words on stream `a`, `seconds` after the one before. */
  grow(words: readonly string[], seconds?: number): Promise<void>;
  /** Appends a block of these messages, `seconds` after the one before; a number means that many offsets without a message. */
  add(messages: readonly (TestMessage | Uint8Array | number)[], seconds?: number): Promise<void>;
}

/** A chain of `blocks` blocks, 20 s apart, with segments of a minute and a dedup window of two; `known` saves reading the policies again. */
export async function makeChain(blocks: number, world?: World, known?: Sources): Promise<TestChain> {
  const given = world ?? (await makeWorld({ policy: shortLived }));
  const log = new MemoryLog();
  const sources = known ?? (await testSources(given, log));
  const state = given.state();
  const lane = given.lane('chain');
  const chain: TestChain = {
    world: given,
    log,
    sources,
    state,
    blocks: [],
    values: [],
    grow: async (words, seconds) => {
      const message = await lane.next([...given.events('a', ...words), ...given.events(`b-${words.length}`, ...words)]);
      await chain.add([message, new Uint8Array(2), 1], seconds);
    },
    add: async (messages, seconds = 20) => {
      const time = Math.max(state.head.acceptedAt, START_MICROS) + seconds * SECOND;
      const { value, accepted } = await given.block(state, { messages, appendedAt: time, acceptedAt: time });
      for (const each of messages.flatMap(valuesOf)) await log.append(TOPICS.events, 0, [{ key: null, value: each }]);
      await log.append(TOPICS.chain, 0, [{ key: null, value }]);
      state.apply(accepted.delta);
      chain.blocks.push(accepted);
      chain.values.push(value);
    },
  };
  for (let i = 0; i < blocks; i++) await chain.grow(Array.from({ length: 1 + (i % 4) }, (_, k) => `${i}.${k}`));
  return chain;
}

function valuesOf(message: TestMessage | Uint8Array | number): Uint8Array[] {
  if (typeof message === 'number') return Array.from({ length: message }, () => new Uint8Array(0));
  return [message instanceof Uint8Array ? message : message.value];
}

/** Short enough that a dozen blocks close segments and are trimmed. */
function shortLived<P>(policy: P): P {
  return { ...policy, segmentMaxAgeMs: 60_000, dedupWindowMs: 120_000, clockSkewMs: 1000, laneRetentionMs: 3_600_000 };
}

export interface ArchiveRun {
  readonly metrics: TestMetrics;
  readonly logger: TestLogger;
  readonly archiver: Archiver;
}

/** What an archiver needs of a chain. */
export interface Archivable {
  readonly world: World;
  readonly log: Log;
  readonly sources: Sources;
}

/** Archives shard 0 of the chain until there is nothing more to read; `options` override the defaults. */
export async function archiveChain(chain: Archivable, objects: ObjectStore, options: Partial<ArchiverOptions> = {}): Promise<ArchiveRun> {
  const { world, log, sources } = chain;
  const [metrics, logger, stop] = [new TestMetrics(), new TestLogger(), new AbortController()];
  const archiver = new Archiver({
    origin: world.origin,
    shards: world.shards,
    log: untilIdle(log, stop),
    objects,
    sources,
    signers: world.logs,
    openWitness: httpWitness,
    clock: testClock(),
    logger,
    metrics,
    settings: { publishIntervalMs: 0 },
    ...options,
  });
  await archiver.runShard(0, stop.signal);
  return { metrics, logger, archiver };
}

/** The log for a reader that stops at the end of the chain. */
function untilIdle(log: Log, stop: AbortController): Log {
  return {
    ensureTopic: (topic, settings) => log.ensureTopic(topic, settings),
    append: (topic, partition, records) => log.append(topic, partition, records),
    bounds: (topic, partition) => log.bounds(topic, partition),
    trim: (topic, partition, before) => log.trim(topic, partition, before),
    close: () => log.close(),
    read: async (topic, partition, from, options) => {
      const records = await log.read(topic, partition, from, options);
      if (records.length === 0 && topic === TOPICS.chain && options.waitMs > 0) stop.abort();
      return records;
    },
  };
}

/** A note of the log key over any tree head. */
export function noteOf(signer: Signer, size: number, root: Uint8Array): Promise<string> {
  return signNote(formatCheckpoint({ origin: signer.name, size, root }), signer);
}
