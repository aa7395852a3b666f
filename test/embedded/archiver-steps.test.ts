import { inflateRawSync } from 'node:zlib';
import { describe, expect, test } from '@jest/globals';
import { httpWitness } from '../../adapters/http-witness.ts';
import { Archiver } from '../../archiver/archiver.ts';
import { segmentSyncMarker } from '../../core/acceptance/segment-rule.ts';
import { logKeysOf, parseArchiveKey } from '../../core/archive/archive-keys.ts';
import { parseManifest } from '../../core/archive/manifest.ts';
import { readContainer } from '../../core/avro/ocf.ts';
import { fromHex, toHex, utf8 } from '../../core/base/bytes.ts';
import { LineproofError } from '../../core/base/errors.ts';
import { archivedEventSchema, decodeArchivedEvent } from '../../core/formats/archived-event.ts';
import { EVENT_SCHEMA, type EventSchema } from '../../core/formats/event-schema.ts';
import { decodeEnvelope } from '../../core/keys/dsse.ts';
import type { Clock } from '../../core/ports/clock.ts';
import { type LogRecord, TOPICS } from '../../core/ports/log.ts';
import type { Pieces } from '../../core/ports/object-store.ts';
import type { Signer } from '../../core/ports/signer.ts';
import { entriesPath, TILE_WIDTH } from '../../core/tree/tile.ts';
import { archiveChain, makeChain, noteOf, type TestChain } from '../support/archive.ts';
import { EVENT_SCHEMA_V2 } from '../support/event-v2.ts';
import { type MemoryLog, MemoryObjectStore, TestLogger, TestMetrics, testClock } from '../support/memory.ts';
import { makeWorld, type TestLane, testSigner } from '../support/producer.ts';
import { checkTree, readNote } from '../support/tree-check.ts';

const KEYS = logKeysOf(0);
const DIVERGED = { code: 'ARCHIVE_DIVERGED' };

function log(given: TestChain): Signer {
  return given.world.logs[0] as Signer;
}

/** Ends of segments, or of snapshots, that are stored. */
function ends(store: MemoryObjectStore, kind: 'manifest' | 'snapshot'): number[] {
  const endOf = (key: string): number[] => {
    const place = parseArchiveKey(key);
    if (place.kind === 'manifest' && kind === 'manifest') return [place.end];
    return place.kind === 'snapshot' && kind === 'snapshot' ? [place.size] : [];
  };
  return [...store.objects.keys()].flatMap(endOf).toSorted((a, b) => a - b);
}

/** The content of the store for comparison: every object but the notes that move. */
function fixed(store: MemoryObjectStore): [string, Uint8Array][] {
  const moving = new Set<string>([KEYS.signed, KEYS.checkpoint]);
  return [...store.objects].filter(([key]) => !moving.has(key)).toSorted(([a], [b]) => (a < b ? -1 : 1));
}

/** A store that does `before` ahead of each call that writes. */
function watched(store: MemoryObjectStore, before: (key: string, content: Uint8Array | Pieces) => Promise<void>): MemoryObjectStore {
  const front: MemoryObjectStore = Object.create(store);
  front.create = async (key, content) => {
    await before(key, content);
    return store.create(key, content);
  };
  front.replace = async (key, bytes, etag) => {
    await before(key, bytes);
    return store.replace(key, bytes, etag);
  };
  return front;
}

/** The chain's log as one that gives a record at a time, doing `before` ahead of each. */
function slowly(given: TestChain, before: (from: number) => void = () => undefined): TestChain {
  const slow: MemoryLog = Object.create(given.log);
  slow.read = async (topic, partition, from): Promise<readonly LogRecord[]> => {
    if (topic === TOPICS.chain) before(from);
    return (await given.log.read(topic, partition, from)).slice(0, 1);
  };
  for (const name of ['append', 'bounds', 'trim', 'ensureTopic'] as const) Object.assign(slow, { [name]: given.log[name].bind(given.log) });
  return { ...given, log: slow };
}

/** An archiver that a test queries or stops while it runs. */
function archiverOf({ world, log: source, sources }: TestChain, objects: MemoryObjectStore, logger = new TestLogger()): Archiver {
  return new Archiver({
    origin: world.origin,
    shards: 1,
    log: source,
    objects,
    sources,
    signers: world.logs,
    openWitness: httpWitness,
    clock: testClock(),
    logger,
    metrics: new TestMetrics(),
    settings: { publishIntervalMs: 0 },
  });
}

/** The same chain on a new log, because a run trims it. */
async function again(given: TestChain): Promise<TestChain> {
  const fresh = await makeChain(0, given.world);
  await fresh.log.append(
    TOPICS.chain,
    0,
    given.values.map((value) => ({ key: null, value })),
  );
  return { ...fresh, state: given.state };
}

/** A chain that begins with many streams and goes on with few: its snapshots are larger than some of its segments. */
async function broadChain(blocks: number): Promise<TestChain> {
  const given = await makeChain(0);
  const { world } = given;
  await given.add([await world.lane('broad').next(Array.from({ length: 300 }, (_, i) => world.events(`stream/${i}`, 'only')).flat())]);
  for (let i = 0; i < blocks; i++) await given.grow([`${i}`]);
  return given;
}

describe('a start', () => {
  test('that the log interrupts while it catches up starts again, and makes the same archive', async () => {
    const given = await broadChain(17);
    const [whole, objects] = [new MemoryObjectStore(), new MemoryObjectStore()];
    await archiveChain(await again(given), whole);
    await archiveChain(await again(given), objects);
    // As if only the first snapshot had been written: there is much to catch up with.
    for (const size of ends(objects, 'snapshot').slice(1)) objects.objects.delete(KEYS.snapshot(size));
    let reads = 0;
    const interrupted = slowly(await again(given), () => {
      if (++reads === given.blocks.length - 5) throw new LineproofError('UNAVAILABLE', 'cannot reach the log');
    });
    const waits: number[] = [];
    const metrics = new TestMetrics();
    metrics.observe = (_, seconds) => void waits.push(seconds);
    const { logger } = await archiveChain(interrupted, objects, { metrics });
    expect(logger.lines).toEqual(['warn archiver holds']);
    expect(fixed(objects)).toEqual(fixed(whole));
    expect(checkTree(objects, KEYS.folder, KEYS.checkpoint, log(given))).toHaveLength(given.state.head.size);
    // The clock moves only for the wait before the second try, and the leaves are all from that try.
    expect([...new Set(waits)]).toEqual([0]);
  });

  test('that is stopped while it catches up ends without a word', async () => {
    const given = await makeChain(9);
    const objects = new MemoryObjectStore();
    await archiveChain(await again(given), objects);
    for (const size of ends(objects, 'snapshot')) objects.objects.delete(KEYS.snapshot(size));
    const before = fixed(objects);
    const stop = new AbortController();
    const stopped = slowly(await again(given), (from) => {
      if (from === 1) stop.abort();
    });
    const logger = new TestLogger();
    const archiver = archiverOf(stopped, objects, logger);
    await archiver.runShard(0, stop.signal);
    expect(logger.lines).toEqual([]);
    // The leaves that it had read are stored again under the same names; the longer note stays.
    for (const [key, bytes] of before) expect([key, objects.objects.get(key)]).toEqual([key, bytes]);
    expect(readNote(objects, KEYS.signed, log(given))?.size).toBe(given.state.head.size);
  });

  test('that is stopped while it catches up reads no further', async () => {
    const given = await makeChain(5);
    const objects = new MemoryObjectStore();
    await archiveChain(await again(given), objects);
    for (const size of ends(objects, 'snapshot')) objects.objects.delete(KEYS.snapshot(size));
    const stop = new AbortController();
    const reads: number[] = [];
    const stopped = slowly(await again(given), (from) => {
      reads.push(from);
      if (from === 1) stop.abort();
    });
    await archiverOf(stopped, objects).runShard(0, stop.signal);
    expect(reads).toEqual([0, 1]);
  });

  test('that finds nothing new knows what is archived and attested', async () => {
    const given = await makeChain(7);
    const objects = new MemoryObjectStore();
    await archiveChain(given, objects);
    const { metrics } = await archiveChain(given, objects);
    expect(metrics.last.get('lineproof_archiver_archived_size')).toBe(ends(objects, 'manifest').at(-1));
    expect(metrics.last.get('lineproof_archiver_attested_size')).toBe(given.state.head.size);
  });

  test('on a chain that has no block yet waits for the first', async () => {
    const given = await makeChain(0);
    const objects = new MemoryObjectStore();
    const { logger } = await archiveChain(given, objects);
    expect([logger.lines, objects.objects.size]).toEqual([[], 0]);
    await given.grow(['first']);
    await archiveChain(given, objects);
    expect(readNote(objects, KEYS.checkpoint, log(given))?.size).toBe(given.state.head.size);
  });

  test('is refused by a note over another root though nothing came after the snapshot', async () => {
    const given = await makeChain(0);
    await given.grow(['one']);
    await given.grow(['two'], 60);
    const objects = new MemoryObjectStore();
    await archiveChain(given, objects);
    const { size } = given.state.head;
    expect(ends(objects, 'snapshot')).toEqual([size]);
    objects.objects.set(KEYS.signed, utf8(await noteOf(log(given), size, new Uint8Array(32))));
    await expect(archiveChain(given, objects)).rejects.toMatchObject(DIVERGED);
  });

  test('is refused by a chain of which every block was trimmed before it was archived', async () => {
    const given = await makeChain(3);
    await given.log.trim(TOPICS.chain, 0, 3);
    const objects = new MemoryObjectStore();
    await expect(archiveChain(given, objects)).rejects.toMatchObject({ code: 'CHAIN_TRIMMED' });
    expect(objects.objects.size).toBe(0);
  });
});

describe('a note that another archiver signed meanwhile', () => {
  test.each<[string, (size: number) => number]>([
    ['at the size that is to be signed', (size) => size],
    ['at a size that is not the end of a block', (size) => size - 1],
  ])('over another root, %s, stops the shard and is left unchanged', async (_, at) => {
    const given = await makeChain(2);
    const objects = new MemoryObjectStore();
    const foreign = utf8(await noteOf(log(given), at(given.state.head.size), new Uint8Array(32)));
    const store = watched(objects, async (key) => {
      if (key.includes('/tile/')) objects.objects.set(KEYS.signed, foreign);
    });
    await expect(archiveChain(given, store)).rejects.toMatchObject(DIVERGED);
    expect(objects.objects.get(KEYS.signed)).toBe(foreign);
    expect(objects.objects.has(KEYS.checkpoint)).toBe(false);
  });

  test('over a longer chain is published at once', async () => {
    const given = await makeChain(5);
    const objects = new MemoryObjectStore();
    const shown: (number | undefined)[][] = [];
    let overtaken = false;
    let readFrom = 0;
    const store = watched(objects, async (key, bytes) => {
      if (key.includes('/tile/') && !overtaken) {
        overtaken = true;
        await archiveChain(await again(given), objects);
        objects.objects.delete(KEYS.checkpoint);
      }
      if (key === KEYS.checkpoint) {
        const note = new MemoryObjectStore();
        note.objects.set(key, bytes as Uint8Array);
        shown.push([readFrom, readNote(note, key, log(given))?.size]);
      }
    });
    const reading = slowly(given, (from) => {
      readFrom = from;
    });
    await archiveChain(reading, store);
    // Before it read on to the end itself.
    expect([overtaken, shown]).toEqual([true, [[0, given.state.head.size]]]);
  });
});

test('a checkpoint of the same size that has more signatures is left unchanged', async () => {
  const given = await makeChain(2);
  const objects = new MemoryObjectStore();
  let cosigned: Uint8Array | undefined;
  const store = watched(objects, async (key, bytes) => {
    if (key !== KEYS.signed) return;
    const own = new TextDecoder().decode(bytes as Uint8Array);
    const other = await noteOf(testSigner(log(given).name, 'witness'), 0, new Uint8Array(32));
    cosigned = utf8(`${own}${other.slice(other.indexOf('—'))}`);
    objects.objects.set(KEYS.checkpoint, cosigned);
  });
  await archiveChain(given, store);
  expect(cosigned).toBeDefined();
  expect(objects.objects.get(KEYS.checkpoint)).toBe(cosigned);
});

describe('what a note covers', () => {
  /** The figures that a run reports at the end of the chain: leaves attested, offset they reach to, leaves in closed segments. */
  async function told(given: TestChain, objects: MemoryObjectStore): Promise<unknown> {
    const stop = new AbortController();
    const answers: unknown[] = [];
    const idle = slowly(given, (from) => {
      if (from < given.blocks.length) return;
      answers.push([archiver.attestedSize(0), archiver.attestedTo(0), archiver.archivedSize(0)]);
      if (answers.length === 2) stop.abort();
    });
    const archiver = archiverOf(idle, objects);
    await archiver.runShard(0, stop.signal);
    return answers.at(-1);
  }

  test('is reported as far as it is signed, with the leaves in closed segments', async () => {
    const given = await makeChain(7);
    const objects = new MemoryObjectStore();
    const answer = await told(given, objects);
    expect(answer).toEqual([given.state.head.size, given.blocks.length, ends(objects, 'manifest').at(-1)]);
  });

  test('is reported after a start that found nothing new', async () => {
    const given = await makeChain(1);
    await given.grow(['last'], 60);
    const objects = new MemoryObjectStore();
    await archiveChain(given, objects);
    const { size } = given.state.head;
    expect(ends(objects, 'snapshot')).toEqual([size]);
    expect(await told(given, objects)).toEqual([size, given.blocks.length, size]);
  });

  test('is not reported after a start for blocks that still wait for a note', async () => {
    const given = await makeChain(2);
    const objects = new MemoryObjectStore();
    await archiveChain(given, objects);
    await given.grow(['later'], 1);
    const stop = new AbortController();
    const answers: unknown[] = [];
    const store = watched(objects, async (key) => {
      if (key === KEYS.signed) answers.push(archiver.attestedTo(0));
    });
    const idle = slowly(given);
    idle.log.read = async (topic, partition, from) => {
      if (topic === TOPICS.chain && from === given.blocks.length) stop.abort();
      return given.log.read(topic, partition, from);
    };
    const archiver = archiverOf(idle, store);
    await archiver.runShard(0, stop.signal);
    expect(answers).toEqual([undefined]);
  });

  test('is everything that was read, when the run ends before the next note is due', async () => {
    const given = await makeChain(2);
    const objects = new MemoryObjectStore();
    await archiveChain(given, objects, { settings: { publishIntervalMs: 3_600_000 } });
    expect(checkTree(objects, KEYS.folder, KEYS.checkpoint, log(given))).toHaveLength(given.state.head.size);
  });

  test('is signed once in an interval, however many blocks come', async () => {
    const given = await makeChain(0);
    for (let i = 0; i < 12; i++) await given.grow([`${i}`], 1);
    let ms = 0;
    const clock: Clock = { ...testClock(), monotonicMs: () => ms };
    const signed: number[] = [];
    const objects = new MemoryObjectStore();
    const store = watched(objects, async (key) => {
      if (key === KEYS.signed) signed.push(ms);
    });
    const ticking = slowly(given, () => {
      ms += 400;
    });
    await archiveChain(ticking, store, { clock, settings: { publishIntervalMs: 1200 } });
    expect(signed.length).toBeGreaterThan(1);
    for (const [i, at] of signed.slice(1, -1).entries()) expect(at - (signed[i] as number)).toBeGreaterThanOrEqual(1200);
    expect(checkTree(objects, KEYS.folder, KEYS.checkpoint, log(given))).toHaveLength(given.state.head.size);
  });

  test('names its policies and schemas, which are written once', async () => {
    const given = await makeChain(4);
    const writes = new Map<string, number>();
    const store = watched(new MemoryObjectStore(), async (key) => {
      if (['policy', 'schema'].includes(parseArchiveKey(key).kind)) writes.set(key, (writes.get(key) ?? 0) + 1);
    });
    await archiveChain(slowly(given), store);
    expect([...writes.values()]).toEqual([1, 1]);
  });
});

describe('snapshots', () => {
  test('are written when the segments since the last one are larger than it, also after a restart', async () => {
    const given = await broadChain(17);
    const [whole, objects] = [new MemoryObjectStore(), new MemoryObjectStore()];
    await archiveChain(await again(given), whole);
    const [expected, all]: [number[], number[]] = [[], []];
    let [bytes, snapshot] = [0, 0];
    for (const [key, stored] of [...whole.objects].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
      if (parseArchiveKey(key).kind !== 'manifest') continue;
      const manifest = parseManifest(decodeEnvelope(stored, 'manifest').payload);
      bytes += manifest.objects.reduce((sum, { size }) => sum + size, 0);
      all.push(manifest.end);
      if (bytes <= snapshot) continue;
      expected.push(manifest.end);
      [bytes, snapshot] = [0, whole.objects.get(KEYS.state(manifest.end))?.length ?? 0];
    }
    expect(ends(whole, 'snapshot')).toEqual(expected);
    expect([expected.length >= 2, expected.length < all.length]).toEqual([true, true]);
    // The rest of the chain comes block by block, each to a new archiver.
    const part = await makeChain(0, given.world);
    for (const value of given.values) {
      await part.log.append(TOPICS.chain, 0, [{ key: null, value }]);
      await archiveChain(part, objects);
    }
    expect(ends(objects, 'snapshot')).toEqual(expected);
  });

  test('allow trimming only if a restart could read them', async () => {
    for (const answer of ['damaged', 'missing'] as const) {
      const given = await makeChain(14);
      const objects = new MemoryObjectStore();
      const { get } = objects;
      objects.get = async (key, range) => {
        const stored = await get.call(objects, key, range);
        if (stored === undefined || parseArchiveKey(key).kind !== 'snapshot') return stored;
        return answer === 'missing' ? undefined : { ...stored, bytes: stored.bytes.subarray(1) };
      };
      await expect(archiveChain(given, objects)).rejects.toMatchObject(DIVERGED);
      expect((await given.log.bounds(TOPICS.chain, 0)).start).toBe(0);
      expect((await given.log.bounds(TOPICS.events, 0)).start).toBe(0);
    }
  });

  test('allow no trimming if only an older one can be read', async () => {
    const given = await makeChain(14);
    const objects = new MemoryObjectStore();
    const starts: number[] = [];
    const { get } = objects;
    objects.get = async (key, range) => {
      const stored = await get.call(objects, key, range);
      const newest = KEYS.snapshot(ends(objects, 'snapshot').at(-1) ?? 0);
      if (ends(objects, 'snapshot').length < 2 || key !== newest) return stored;
      starts.push((await given.log.bounds(TOPICS.events, 0)).start);
      return undefined;
    };
    await expect(archiveChain(given, objects)).rejects.toMatchObject(DIVERGED);
    expect(ends(objects, 'snapshot')).toHaveLength(2);
    expect((await given.log.bounds(TOPICS.events, 0)).start).toBe(starts[0]);
  });
});

describe('the chain is trimmed', () => {
  /** First offset of the chain topic after a run. */
  async function start(given: TestChain): Promise<number> {
    await archiveChain(given, new MemoryObjectStore());
    return (await given.log.bounds(TOPICS.chain, 0)).start;
  }

  test('by the window of the policy that sealed the last block, not by that of a policy that no block names yet', async () => {
    const given = await makeChain(14);
    const expected = await start(await again(given));
    expect(expected).toBeGreaterThan(0);
    const fresh = await again(given);
    await given.world.nextPolicy((policy) => ({ ...policy, dedupWindowMs: 20_000 }));
    await fresh.log.append(TOPICS.control, 0, [{ key: null, value: given.world.envelopes[1] as Uint8Array }]);
    expect(await start(fresh)).toBe(expected);
    expect(fresh.sources.policies.versions).toHaveLength(2);
  });

  test('and the input is not if the newest policy begins a topic that no block has read yet', async () => {
    const given = await makeChain(14);
    await given.world.nextPolicy((policy) => ({ ...policy, inputGeneration: { generation: 1, firstOffsets: [0] } }));
    await given.log.append(TOPICS.control, 0, [{ key: null, value: given.world.envelopes[1] as Uint8Array }]);
    expect(await start(given)).toBeGreaterThan(0);
    expect((await given.log.bounds(TOPICS.events, 0)).start).toBe(0);
  });

  test('to a block that consumed input: a block without input says nothing about the window', async () => {
    const given = await makeChain(0);
    for (let i = 0; i < 14; i++) {
      await given.grow([`${i}`]);
      await given.add([], 0.001);
    }
    const first = await start(given);
    expect(first).toBeGreaterThan(0);
    expect(given.blocks[first]?.inputs.length).toBeGreaterThan(0);
  });
});

describe('a segment that closes', () => {
  test('is read back alone: full bundles before it are not read again', async () => {
    const given = await makeChain(0);
    const words = (name: string, count: number): string[] => Array.from({ length: count }, (_, i) => `${name}${i}`);
    await given.grow(words('many', TILE_WIDTH));
    for (let i = 0; i < 9; i++) await given.grow([`${i}`]);
    const objects = new MemoryObjectStore();
    let asked = 0;
    const { get } = objects;
    objects.get = async (key, range) => {
      if (key === `${KEYS.folder}/${entriesPath(0, TILE_WIDTH)}`) asked += 1;
      return get.call(objects, key, range);
    };
    await archiveChain(given, objects);
    expect(ends(objects, 'manifest').length).toBeGreaterThanOrEqual(2);
    // Once for its leaves, once as what they give.
    expect(asked).toBe(2);
    const { state } = given;
    for (let i = 0; i < 6; i++) await given.grow([`more ${i}`]);
    await archiveChain(given, objects);
    expect(readNote(objects, KEYS.checkpoint, log(given))?.size).toBe(state.head.size);
    expect(asked).toBe(2);
  });

  test('has an events file for each schema, each with its own events', async () => {
    const world = await makeWorld({
      schemas: [EVENT_SCHEMA, EVENT_SCHEMA_V2],
      policy: (policy) => ({ ...policy, segmentMaxAgeMs: 60_000 }),
    });
    const given = await makeChain(0, world);
    const lanes = [world.lane('first'), world.lane('second')];
    for (let i = 0; i < 5; i++) {
      const [lane, schema] = [lanes[i % 2], world.schemas[i % 2]] as [TestLane, EventSchema];
      const events = [`${i}.0`, `${i}.1`].map((word) => schema.encode(world.event('a', word)));
      await given.add([await lane.next(events, { schema: schema.digest })]);
    }
    const objects = new MemoryObjectStore();
    await archiveChain(given, objects);
    const [key, stored] = [...objects.objects].find(([each]) => parseArchiveKey(each).kind === 'manifest') as [string, Uint8Array];
    const manifest = parseManifest(decodeEnvelope(stored, 'manifest').payload);
    expect([key, manifest.schemas]).toEqual([KEYS.manifest(0, manifest.end), [EVENT_SCHEMA.hex, EVENT_SCHEMA_V2.hex].toSorted()]);
    const covered = given.blocks.filter(({ seal }) => seal.firstIndex < manifest.end);
    for (const schema of world.schemas) {
      const bytes = objects.objects.get(KEYS.events(0, manifest.end, schema.hex)) as Uint8Array;
      const sync = segmentSyncMarker(manifest.origin, 0, manifest.end, fromHex(manifest.root));
      const events: (Uint8Array | null)[] = [];
      const read = readContainer(
        archivedEventSchema(schema.text),
        sync,
        (at, length) => bytes.subarray(at, at + length),
        (data) => inflateRawSync(data),
      );
      for await (const { records } of read) events.push(...records.map((record) => decodeArchivedEvent(record).event));
      const own = covered.flatMap(({ block, links }) =>
        block.events.filter((_, i) => toHex(links[i]?.schema as Uint8Array) === schema.hex),
      );
      expect(events).toEqual(own);
      expect(own.length).toBeGreaterThan(0);
    }
  });

  test('waits for a store that does not give its files back yet', async () => {
    const given = await makeChain(5);
    const objects = new MemoryObjectStore();
    let held = 0;
    const { get } = objects;
    objects.get = async (key, range) => {
      if (parseArchiveKey(key).kind === 'evidence' && held++ === 0) return undefined;
      return get.call(objects, key, range);
    };
    const { logger } = await archiveChain(given, objects);
    expect(logger.lines).toEqual(['warn archiver holds']);
    expect(ends(objects, 'manifest').length).toBeGreaterThan(0);
  });
});
