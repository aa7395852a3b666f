import { beforeEach, describe, expect, test } from '@jest/globals';
import { httpWitness } from '../../adapters/http-witness.ts';
import { Archiver } from '../../archiver/archiver.ts';
import { ARCHIVER_DEFAULTS } from '../../archiver/shard-archiver.ts';
import { logKeysOf, parseArchiveKey, schemaKey } from '../../core/archive/archive-keys.ts';
import { type ErrorCode, LineproofError } from '../../core/base/errors.ts';
import { Sources } from '../../core/chain/governance-source.ts';
import { EVENT_SCHEMA } from '../../core/formats/event-schema.ts';
import type { Clock } from '../../core/ports/clock.ts';
import { type LogRecord, TOPICS } from '../../core/ports/log.ts';
import type { Signer } from '../../core/ports/signer.ts';
import { archiveChain, makeChain, type TestChain } from '../support/archive.ts';
import { EVENT_SCHEMA_V2 } from '../support/event-v2.ts';
import { type MemoryLog, MemoryObjectStore, TestLogger, TestMetrics, testClock } from '../support/memory.ts';
import { makeWorld, testSigner } from '../support/producer.ts';
import { readNote } from '../support/tree-check.ts';

const KEYS = logKeysOf(0);
const SECOND_MS = 1_000;

/** A clock that stands still until it is moved. */
let ms: number;
const clock: Clock = { ...testClock(), monotonicMs: () => ms };

beforeEach(() => {
  ms = 0;
});

interface Read {
  readonly from: number;
  readonly waitMs: number;
}

/** The chain's log as one that gives a block at a time; `before` is called before each read. */
function slowly(given: TestChain, before: (read: Read) => void): TestChain {
  const slow: MemoryLog = Object.create(given.log);
  slow.read = async (topic, partition, from, options): Promise<readonly LogRecord[]> => {
    if (topic === TOPICS.chain) before({ from, waitMs: options?.waitMs ?? 0 });
    return (await given.log.read(topic, partition, from)).slice(0, 1);
  };
  for (const name of ['append', 'bounds', 'trim', 'ensureTopic'] as const) Object.assign(slow, { [name]: given.log[name].bind(given.log) });
  return { ...given, log: slow };
}

/** A chain of blocks that are so close together that no segment ends. */
async function closeChain(blocks: number): Promise<TestChain> {
  const given = await makeChain(0);
  for (let i = 0; i < blocks; i++) await given.grow([`${i}`], 1);
  return given;
}

/** The number of blocks that had been read when a note was signed, for each note. */
function signings(objects: MemoryObjectStore, blocksRead: () => number): number[] {
  const signed: number[] = [];
  const { replace } = objects;
  objects.replace = async (key, bytes, etag) => {
    if (key === KEYS.signed) signed.push(blocksRead());
    return replace.call(objects, key, bytes, etag);
  };
  return signed;
}

describe('a note is signed', () => {
  test('as soon as the interval has passed since the oldest leaf that waits', async () => {
    const given = await closeChain(8);
    const objects = new MemoryObjectStore();
    let read = 0;
    const signed = signings(objects, () => read);
    const ticking = slowly(given, ({ from }) => {
      read = from + 1;
      ms += SECOND_MS;
    });
    await archiveChain(ticking, objects, { clock, settings: { publishIntervalMs: 2 * SECOND_MS } });
    // The first leaf of each note was taken two reads before it.
    expect(signed).toEqual([3, 6, 9]);
  });

  test('as soon as enough leaves wait, however short the time', async () => {
    const given = await closeChain(4);
    const objects = new MemoryObjectStore();
    let read = 0;
    const signed = signings(objects, () => read);
    const publishLeaves = given.blocks[1]?.delta.head.size as number;
    await archiveChain(
      slowly(given, ({ from }) => {
        read = from + 1;
      }),
      objects,
      { clock, settings: { publishIntervalMs: 3_600_000, publishLeaves } },
    );
    expect(signed).toEqual([2, 4]);
  });

  test('each second by default, and leaves and polls have a default too', async () => {
    const given = await closeChain(6);
    const objects = new MemoryObjectStore();
    let read = 0;
    const signed = signings(objects, () => read);
    const ticking = slowly(given, ({ from }) => {
      read = from + 1;
      ms += SECOND_MS / 2;
    });
    await archiveChain(ticking, objects, { clock, settings: {} });
    expect(signed).toEqual([3, 6]);
    const { publishIntervalMs, publishLeaves, pollMs } = ARCHIVER_DEFAULTS;
    for (const each of [publishIntervalMs, publishLeaves, pollMs]) expect(each).toBeGreaterThan(0);
  });

  test('and a metric says how long its oldest leaf waited', async () => {
    const given = await closeChain(3);
    const waits: number[] = [];
    const metrics = new TestMetrics();
    metrics.observe = (_, seconds) => void waits.push(seconds);
    ms = 7 * SECOND_MS;
    const ticking = slowly(given, () => {
      ms += SECOND_MS;
    });
    await archiveChain(ticking, new MemoryObjectStore(), { clock, metrics, settings: { publishIntervalMs: 3_600_000 } });
    expect(waits).toEqual([3]);
  });
});

describe('a read of the chain waits', () => {
  /** How long each read of a chain of two blocks may wait: the first while no leaf waits for a note, the others while some do. */
  async function waits(settings: { readonly publishIntervalMs: number; readonly pollMs: number }): Promise<number[]> {
    const seen: number[] = [];
    const reading = slowly(await closeChain(2), ({ waitMs }) => void seen.push(waitMs));
    await archiveChain(reading, new MemoryObjectStore(), { clock, settings });
    return seen;
  }

  test('for a poll while no leaf waits, and no longer than to the next note while one does', async () => {
    expect(await waits({ publishIntervalMs: 40, pollMs: 100 })).toEqual([100, 40, 40]);
    expect(await waits({ publishIntervalMs: 1000, pollMs: 100 })).toEqual([100, 100, 100]);
  });
});

describe('a start', () => {
  test('reports that nothing is attested or archived if the archive is empty', async () => {
    const first = new Map<string, number>();
    const metrics = new TestMetrics();
    metrics.set = (name, value) => void (first.has(name) || first.set(name, value));
    await archiveChain(await closeChain(2), new MemoryObjectStore(), { metrics });
    expect([first.get('lineproof_archiver_attested_size'), first.get('lineproof_archiver_archived_size')]).toEqual([0, 0]);
  });

  test('reports from where it goes on', async () => {
    const given = await makeChain(9);
    const objects = new MemoryObjectStore();
    await archiveChain(given, objects);
    const snapshots = [...objects.objects.keys()].map(parseArchiveKey).flatMap((place) => (place.kind === 'snapshot' ? [place.size] : []));
    const told: unknown[] = [];
    const logger = new TestLogger();
    logger.info = (...line: unknown[]) => void told.push(line);
    await archiveChain(given, objects, { logger });
    const { size } = given.state.head;
    expect(told).toEqual([['shard recovered', { shard: 0, from: Math.max(...snapshots), size, attested: size }]]);
  });

  test('reads policies that came meanwhile: a log key that only the newest names may sign', async () => {
    const given = await makeChain(2);
    const second = testSigner(`${given.world.origin}/0`, 'second');
    await given.world.nextPolicy((policy) => ({
      ...policy,
      logs: [...policy.logs, { ...policy.logs[0], key: second.verifierKey } as (typeof policy.logs)[0]],
    }));
    await given.log.append(TOPICS.control, 0, [{ key: null, value: given.world.envelopes[1] as Uint8Array }]);
    const objects = new MemoryObjectStore();
    await archiveChain(given, objects, { signers: [second] });
    expect(readNote(objects, KEYS.signed, second)?.size).toBe(given.state.head.size);
  });

  test('is refused with a log key that is not active any more', async () => {
    const second = testSigner('example.org/log/0', 'second');
    const world = await makeWorld({
      policy: (policy) => {
        const [own] = policy.logs as [(typeof policy.logs)[0]];
        return {
          ...policy,
          logs: [
            { ...own, status: 'RETIRED' },
            { ...own, key: second.verifierKey },
          ],
        };
      },
    });
    const objects = new MemoryObjectStore();
    await expect(archiveChain(await makeChain(1, world), objects)).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    expect(objects.objects.size).toBe(0);
  });

  test('signs nothing from the block on whose policy calls its key retired, also if it learns of that on its way', async () => {
    const given = await makeChain(3);
    const { size } = given.state.head;
    const second = testSigner(`${given.world.origin}/0`, 'second');
    await given.world.nextPolicy((policy) => ({
      ...policy,
      logs: [
        { ...policy.logs[0], status: 'RETIRED' },
        { ...policy.logs[0], key: second.verifierKey },
      ] as typeof policy.logs,
    }));
    await given.grow(['after'], 1_000);
    const objects = new MemoryObjectStore();
    let published = false;
    // It starts before the policy is published, so its key is ACTIVE then.
    const slow = slowly(given, () => {
      if (!published) void given.log.append(TOPICS.control, 0, [{ key: null, value: given.world.envelopes[1] as Uint8Array }]);
      published = true;
    });
    await expect(archiveChain(slow, objects)).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('version 2 of the policy, in force there, calls example.org/log/0'),
    });
    expect(readNote(objects, KEYS.signed, given.world.logs[0] as Signer)?.size).toBe(size);
  });

  test('fetches all schemas in force, so that the archive also has those that no event uses yet', async () => {
    const world = await makeWorld({ schemas: [EVENT_SCHEMA, EVENT_SCHEMA_V2] });
    const given = await makeChain(2, world);
    const steps: string[] = [];
    const registry = {
      register: async () => 1,
      get: async () => undefined,
      list: async () => {
        steps.push('schemas');
        return world.schemas.map(({ text }) => text);
      },
      close: async () => undefined,
    };
    const sources = new Sources({ origin: world.origin, log: given.log, registry, clock, logger: new TestLogger() });
    const objects = new MemoryObjectStore();
    await archiveChain({ ...slowly(given, () => void steps.push('chain')), sources }, objects);
    expect(steps.slice(0, 2)).toEqual(['schemas', 'chain']);
    for (const { hex } of world.schemas) expect(objects.objects.has(schemaKey(hex))).toBe(true);
  });
});

test.each<[ErrorCode, string]>([
  ['UNAVAILABLE', 'warn'],
  ['ANSWER_UNUSABLE', 'warn'],
  ['DISK_FULL', 'error'],
])('a shard that holds because of %s says so with the level %s', async (code, level) => {
  const objects = new MemoryObjectStore();
  const { create } = objects;
  let failed = false;
  objects.create = async (key, bytes) => {
    if (!failed) {
      failed = true;
      throw new LineproofError(code, 'not now');
    }
    return create.call(objects, key, bytes);
  };
  const given = await closeChain(2);
  const { logger } = await archiveChain(given, objects);
  expect(logger.lines).toEqual([`${level} archiver holds`]);
  expect(readNote(objects, KEYS.signed, given.world.logs[0] as Signer)?.size).toBe(given.state.head.size);
});

test('a shard says to readiness, health and metrics why it waits: for a policy that a block names, and for the store', async () => {
  const given = await makeChain(2);
  await given.world.nextPolicy((policy) => ({ ...policy, dedupWindowMs: policy.dedupWindowMs + 1 }));
  await given.grow(['after'], 1_000);
  const { world, log } = given;
  const objects = new MemoryObjectStore();
  const { create } = objects;
  let away = true;
  objects.create = async (key, bytes) => {
    if (away) throw new LineproofError('UNAVAILABLE', 'the store is away');
    return create.call(objects, key, bytes);
  };
  const told: unknown[] = [];
  const stop = new AbortController();
  const pacing: Clock = {
    ...clock,
    sleep: async (sleepMs) => {
      ms += sleepMs;
      const { held } = archiver.hold(0) ?? {};
      if (held?.text !== told.at(-1)) told.push(held?.reason, held?.text);
      if (ms > 60 * SECOND_MS) stop.abort();
      if (held === undefined || held.forMs < 3 * SECOND_MS) return;
      if (held.reason === 'POLICY_MISSING') await log.append(TOPICS.control, 0, [{ key: null, value: world.envelopes[1] as Uint8Array }]);
      else away = false;
      if (!away) stop.abort();
    },
  };
  const registry = {
    register: async () => 1,
    get: async () => undefined,
    list: async () => [EVENT_SCHEMA.text],
    close: async () => undefined,
  };
  const logger = new TestLogger();
  const sources = new Sources({ origin: world.origin, log, registry, clock: pacing, logger });
  const options = {
    origin: world.origin,
    shards: 1,
    log,
    objects,
    sources,
    signers: world.logs,
    openWitness: httpWitness,
    clock: pacing,
    logger,
  };
  const archiver = new Archiver({ ...options, metrics: new TestMetrics(), settings: { publishIntervalMs: 0 } });
  await archiver.runShard(0, stop.signal);
  expect(told).toEqual(['POLICY_MISSING', expect.stringMatching(/^cannot obtain policy /), 'UNAVAILABLE', 'the store is away']);
  expect(readNote(objects, KEYS.signed, world.logs[0] as Signer)?.size).toBe(given.state.head.size);
  expect(archiver.hold(0)).toBeUndefined();
});
