import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { inspect } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { Redis } from 'ioredis';
import { openRedisDedupIndex } from '../../adapters/redis-dedup-index.ts';
import type { DedupEntry, DedupIndex, Watermark, WindowCall } from '../../core/ports/dedup-index.ts';
import { codeOf } from '../contract/contract.ts';
import { dedupIndexContract } from '../contract/dedup-index-contract.ts';
import { TestLogger } from '../support/memory.ts';
import { describeOnStack, STACK_TIMEOUT_MS, type StackSettings, testStack } from '../support/stack.ts';
import { type FaultyLink, openFaultyLink } from '../support/toxiproxy.ts';

// Room for a machine that is busy; nothing is asserted about time.
jest.setTimeout(60_000);

let redis: StackSettings['redis'];
let toxiproxy: StackSettings['toxiproxy'];
const ABSENT: Watermark = { kind: 'absent' };
const opened: DedupIndex[] = [];
const links: FaultyLink[] = [];

afterEach(async () => {
  for (const index of opened.splice(0)) await index.close();
  for (const link of links.splice(0)) await link.release();
});

async function newLink(): Promise<FaultyLink> {
  const link = await openFaultyLink(toxiproxy.url, redis.url);
  links.push(link);
  return link;
}

/** A name that no other run has used. */
function newOrigin(): string {
  return `test/${randomBytes(6).toString('hex')}`;
}

async function open(url: string, origin = newOrigin(), requestTimeoutMs = 5_000): Promise<DedupIndex> {
  const index = await openRedisDedupIndex({ url, requestTimeoutMs }, origin, new TestLogger());
  opened.push(index);
  return index;
}

function at(size: number): Watermark {
  return { kind: 'at', size, seal: size.toString(16).padStart(64, '0'), chainOffset: size };
}

function entry(n: number, slot: number, logIndex = n): DedupEntry {
  const key = createHash('sha256').update(`${n}`).digest().subarray(0, 16);
  return { key, logIndex, digest: createHash('sha256').update(`${logIndex}`).digest().subarray(0, 16), slot };
}

function entries(from: number, count: number, slot: number): DedupEntry[] {
  return Array.from({ length: count }, (_, i) => entry(from + i, slot));
}

function call(size: number, rest: Partial<WindowCall> = {}): WindowCall {
  return { shard: 0, expect: size === 0 ? ABSENT : at(size), next: at(size + 1), add: [], wipe: false, lookup: [], ...rest };
}

async function found(index: DedupIndex, size: number, wanted: readonly DedupEntry[]): Promise<readonly (number | undefined)[]> {
  const answer = await index.window(call(size, { next: at(size), lookup: wanted.map(({ key }) => key) }));
  return answer.ok ? answer.hits.map((hit) => hit?.logIndex) : [];
}

describeOnStack('Redis', () => {
  beforeAll(async () => {
    ({ redis, toxiproxy } = await testStack());
  }, STACK_TIMEOUT_MS);

  dedupIndexContract('Redis', async () => {
    const origin = newOrigin();
    return {
      open: () => openRedisDedupIndex({ url: redis.url, requestTimeoutMs: 5_000 }, origin, new TestLogger()),
      release: async () => undefined,
    };
  });

  dedupIndexContract('Redis with TLS and a password', async () => {
    const { url, caFile } = redis.secure;
    const origin = newOrigin();
    const tls = { ca: readFileSync(caFile, 'utf8') };
    return {
      open: () => openRedisDedupIndex({ url, tls, requestTimeoutMs: 5_000 }, origin, new TestLogger()),
      release: async () => undefined,
    };
  });

  describe('a broken connection to Redis', () => {
    test('a call that took effect, but whose answer was lost, is unknown; the same call again is answered and nothing is written twice', async () => {
      const link = await newLink();
      const index = await open(link.url);
      const lost = call(0, { add: entries(0, 3, 7), lookup: entries(0, 4, 7).map(({ key }) => key) });
      const fault = { type: 'limit_data', stream: 'downstream', attributes: { bytes: 1 } } as const;
      expect(await link.during(fault, () => codeOf(() => index.window(lost)))).toBe('UNAVAILABLE');
      expect(await eventually(() => index.watermark(0))).toEqual(at(1));
      const again = await index.window(lost);
      expect(again.ok && again.hits.map((hit) => hit?.logIndex)).toEqual([0, 1, 2, undefined]);
    });

    test('a call that is not answered in time is unknown, and a later answer is not taken for that of another call', async () => {
      const link = await newLink();
      const index = await open(link.url, newOrigin(), 300);
      await index.window(call(0, { add: [entry(1, 7)] }));
      const fault = { type: 'timeout', stream: 'downstream', attributes: { timeout: 0 } } as const;
      const silent = call(1, { add: [entry(2, 7)], lookup: [entry(1, 7).key] });
      expect(await link.during(fault, () => codeOf(() => index.window(silent)))).toBe('UNAVAILABLE');
      expect(await eventually(() => index.watermark(0))).toEqual(at(2));
      expect(await found(index, 2, [entry(2, 7), entry(3, 7), entry(1, 7)])).toEqual([2, undefined, 1]);
    });

    test('a Redis that is not there is UNAVAILABLE', async () => {
      const server = createServer().listen(0, '127.0.0.1');
      await once(server, 'listening');
      const { port } = server.address() as AddressInfo;
      server.close();
      await once(server, 'close');
      expect(await codeOf(() => open(`redis://127.0.0.1:${port}`))).toBe('UNAVAILABLE');
    });
  });

  describe('what Redis holds', () => {
    let direct: Redis;
    beforeAll(() => {
      direct = new Redis(redis.url);
    });
    afterAll(async () => {
      await direct.quit();
    });

    /** Names of the origin's keys, by what follows the shard's tag. */
    async function names(origin: string): Promise<string[]> {
      const keys: string[] = [];
      for await (const some of direct.scanStream({ match: `lineproof:{${origin}/0}:*`, count: 10_000 })) keys.push(...(some as string[]));
      return keys.map((name) => name.slice(name.indexOf('}:') + 2)).toSorted();
    }

    /** Entries in buckets, each of which has its own mark as well. */
    async function entriesIn(origin: string, buckets: readonly string[]): Promise<number> {
      const fields = await Promise.all(buckets.map((name) => direct.hlen(`lineproof:{${origin}/0}:${name}`)));
      return fields.reduce((sum, each) => sum + each - 1, 0);
    }

    test('a script that the server forgot is sent again', async () => {
      const index = await open(redis.url);
      await index.window(call(0, { add: [entry(1, 7)] }));
      await direct.script('FLUSH');
      expect(await index.window(call(1, { lookup: [entry(1, 7).key] }))).toMatchObject({ ok: true, hits: [{ logIndex: 1 }] });
    });

    test('a state that was lost is an absent watermark, and what is left of its entries is never seen again', async () => {
      const origin = newOrigin();
      const index = await open(redis.url, origin);
      await index.window(call(0, { add: entries(0, 100, 7) }));
      await direct.del(`lineproof:{${origin}/0}:window`);
      expect(await index.window(call(1))).toEqual({ ok: false, watermark: ABSENT });
      const answer = await index.window(call(0, { lookup: [entry(1, 7).key] }));
      expect(answer).toEqual({ ok: true, hits: [undefined] });
    });

    test('ids are found through every stage of growth, in buckets that stay listpacks', async () => {
      const origin = newOrigin();
      const index = await open(redis.url, origin);
      const all: DedupEntry[] = [];
      for (const [i, count] of [1, 60, 500, 3_000, 1, 9_000, 700].entries()) {
        const add = entries(all.length, count, 7);
        all.push(...add);
        await index.window(call(i, { add }));
        expect(await found(index, i + 1, all)).toEqual(all.map(({ logIndex }) => logIndex));
      }
      const buckets = (await names(origin)).filter((name) => /:\d+$/.test(name));
      expect(buckets.length).toBeGreaterThan(all.length / 50);
      const encodings = await Promise.all(buckets.map((name) => direct.object('ENCODING', `lineproof:{${origin}/0}:${name}`)));
      expect([...new Set(encodings)]).toEqual([expect.stringMatching(/^(listpack|ziplist)$/)]);
      expect(await entriesIn(origin, buckets)).toBe(all.length);
    });

    test('what was dropped is invisible at once and removed by the calls that follow', async () => {
      const origin = newOrigin();
      const index = await open(redis.url, origin);
      const all = [...entries(0, 3_000, 5), ...entries(3_000, 3_000, 6)];
      await index.window(call(0, { add: [...all, entry(7_000, 9)] }));
      await index.window(call(1, { dropBelowSlot: 7 }));
      expect(new Set(await found(index, 2, all))).toEqual(new Set([undefined]));
      let size = 2;
      while (size < 50 && (await direct.hget(`lineproof:{${origin}/0}:window`, 'count')) !== '1') await index.window(call(size++));
      const buckets = (await names(origin)).filter((name) => /:\d+$/.test(name));
      expect(await entriesIn(origin, buckets)).toBe(1);
      const rest = (await names(origin)).filter((name) => !buckets.includes(name));
      expect(rest.map((name) => name.replace(/^[0-9a-f]{12}/, 'G'))).toEqual(['G:t', 'G:t9', 'window']);
      expect(await found(index, size, [entry(7_000, 9)])).toEqual([7_000]);
    });

    test('what was wiped is removed by the calls that follow', async () => {
      const origin = newOrigin();
      const index = await open(redis.url, origin);
      let size = 0;
      for (const slot of [1, 2, 3]) await index.window(call(size++, { add: entries(slot * 12_000, 12_000, slot) }));
      await index.window(call(size++, { wipe: true }));
      const before = await names(origin);
      await index.window(call(size++, { wipe: true, add: [entry(1, 1)] }));
      while (size < 50 && (await names(origin)).length > 4) await index.window(call(size++));
      const held = (await names(origin)).map((name) => name.replace(/^[0-9a-f]{12}/, 'G'));
      expect([before.length > 300, held]).toEqual([true, ['G:0', 'G:t', 'G:t1', 'window']]);
      expect(await found(index, size, [entry(1, 1), entry(12_001, 1)])).toEqual([1, undefined]);
    });

    test('an index that lost one of its keys answers that it is absent as soon as the loss matters, and never that an identity is new', async () => {
      const origin = newOrigin();
      const added = entries(0, 200, 7);
      const state = `lineproof:{${origin}/0}:window`;
      const index = await open(redis.url, origin);
      const buckets = 200 / 40;
      for (let lost = 0; lost < buckets; lost++) {
        await direct.unlink(state);
        await index.window(call(0, { add: added }));
        expect(await direct.unlink(`lineproof:{${origin}/0}:${await direct.hget(state, 'generation')}:${lost}`)).toBe(1);
        // Growth spreads what is left over new keys.
        const more = await index.window(call(1, { add: entries(1_000, 300, 8) }));
        expect(more.ok).toBe(true);
        let told = false;
        for (const { key, logIndex } of added) {
          const answer = await index.window(call(2, { next: at(2), lookup: [key] }));
          if (answer.ok) expect(answer.hits[0]?.logIndex).toBe(logIndex);
          else expect(answer.watermark).toEqual(ABSENT);
          told ||= !answer.ok;
        }
        expect([lost, told, await index.watermark(0)]).toEqual([lost, true, ABSENT]);
        const token = 'rebuilt';
        expect((await index.window({ ...call(0), next: { kind: 'building', token, step: 0 }, wipe: true })).ok).toBe(true);
        expect((await index.window({ ...call(0), expect: { kind: 'building', token, step: 0 }, next: at(2), add: added })).ok).toBe(true);
        expect(await found(index, 2, added)).toEqual(added.map(({ logIndex }) => logIndex));
      }
    });

    test('a watermark that somebody else wrote is CONFIG_INVALID', async () => {
      const origin = newOrigin();
      const index = await open(redis.url, origin);
      await direct.hset(`lineproof:{${origin}/0}:window`, 'wm', 'something');
      expect(await codeOf(() => index.watermark(0))).toBe('CONFIG_INVALID');
      await direct.del(`lineproof:{${origin}/0}:window`);
      await direct.set(`lineproof:{${origin}/0}:window`, 'something');
      expect(await codeOf(() => index.watermark(0))).toBe('CONFIG_INVALID');
    });
  });

  describe('a Redis that must not be used', () => {
    /** What opening says to a server which calls itself so. */
    async function refusal(change: Readonly<Record<string, string>>): Promise<unknown> {
      const info = { redis_version: '7.0.15', role: 'master', maxmemory_policy: 'noeviction', cluster_enabled: '0', ...change };
      const server = await redisThatSays(
        Object.entries(info)
          .map(([name, value]) => `${name}:${value}\r\n`)
          .join(''),
      );
      try {
        return await openRedisDedupIndex({ url: server.url, requestTimeoutMs: 5_000 }, newOrigin(), new TestLogger()).then(
          (index) => index.close(),
          (error: Error) => error.message,
        );
      } finally {
        await server.close();
      }
    }

    test('is refused with what to do about it', async () => {
      expect(await refusal({})).toBeUndefined();
      expect(await refusal({ maxmemory_policy: 'allkeys-lru' })).toMatch(/allkeys-lru.*set maxmemory-policy noeviction/);
      expect(await refusal({ role: 'slave' })).toMatch(/replica; the primary is looked for again/);
      expect(await refusal({ redis_version: '6.0.16' })).toMatch(/version 6\.0\.16; 6\.2 or newer/);
      expect(await refusal({ redis_version: 'x'.repeat(1_000) })).toMatch(/^.{1,120}$/);
    });

    test('a wrong password is REFUSED, and no error and no line of the log holds it', async () => {
      const { caFile } = redis.secure;
      const url = redis.secure.url.replace(/:[^:@]+@/, ':wr0ng-pass@');
      const logger = new TestLogger();
      const settings = { url, tls: { ca: readFileSync(caFile, 'utf8') }, requestTimeoutMs: 5_000 };
      const error = await openRedisDedupIndex(settings, newOrigin(), logger).catch((each: unknown) => each);
      expect(error).toMatchObject({ code: 'REFUSED', message: expect.stringContaining('refuses user name or password') });
      expect(inspect([error, logger.lines], { depth: 10 })).not.toContain('wr0ng-pass');
    });

    test('an authority that did not sign its certificate is not trusted', async () => {
      const error = await open(redis.secure.url).catch((each: unknown) => each);
      expect(error).toMatchObject({ code: 'REFUSED', details: { setting: 'redisCa' }, message: expect.stringMatching(/certificate/) });
    });
  });
});

/** Asks until there is an answer: a connection that broke comes back by itself. */
async function eventually<T>(ask: () => Promise<T>): Promise<T> {
  for (let tries = 0; ; tries++) {
    try {
      return await ask();
    } catch (error) {
      if (tries === 500) throw error;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}

/** A server that answers INFO with `info` and everything else with OK. */
async function redisThatSays(info: string): Promise<{ readonly url: string; close(): Promise<void> }> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (bytes: Buffer) => {
      const commands = bytes.toString().match(/\*\d+\r\n\$\d+\r\n\w+/g) ?? [];
      for (const command of commands) socket.write(command.endsWith('info') ? `$${info.length}\r\n${info}\r\n` : '+OK\r\n');
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: async () => {
      server.close();
      await once(server, 'close');
    },
  };
}
