import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { afterEach, expect, jest, test } from '@jest/globals';
import { openRedisDedupIndex } from '../../adapters/redis-dedup-index.ts';
import { LineproofError } from '../../core/base/errors.ts';
import type { DedupEntry, DedupIndex, Watermark, WindowCall } from '../../core/ports/dedup-index.ts';
import { dedupIndexContract } from '../contract/dedup-index-contract.ts';
import { newCertificates } from '../support/certificates.ts';
import { ChainTail, onCluster, until } from '../support/cluster.ts';
import { linesFile, loadLines } from '../support/cluster-load.ts';
import { TestLogger } from '../support/memory.ts';
import { RedisServers, redisCluster } from '../support/redis-servers.ts';
import { describeOnStack, testStack } from '../support/stack.ts';

jest.setTimeout(120_000);

let servers = new RedisServers();
const opened: DedupIndex[] = [];
afterEach(async () => {
  for (const index of opened.splice(0)) await index.close();
  await servers.end();
  servers = new RedisServers();
});

async function open(url: string, requestTimeoutMs = 2_000, ca?: string): Promise<DedupIndex> {
  const settings = { url, requestTimeoutMs, ...(ca === undefined ? {} : { tls: { ca } }) };
  const index = await openRedisDedupIndex(settings, 'test/roles', new TestLogger());
  opened.push(index);
  return index;
}

function at(size: number): Watermark {
  return { kind: 'at', size, seal: size.toString(16).padStart(64, '0'), chainOffset: size };
}

function entry(n: number): DedupEntry {
  const hash = (text: string): Uint8Array => createHash('sha256').update(text).digest().subarray(0, 16);
  return { key: hash(`${n}`), logIndex: n, digest: hash(`digest ${n}`), slot: 7 };
}

function call(size: number, rest: Partial<WindowCall> = {}): WindowCall {
  const before: Watermark = size === 0 ? { kind: 'absent' } : at(size);
  return { shard: 0, expect: before, next: at(size + 1), add: [entry(size)], wipe: false, lookup: [], ...rest };
}

/** What an index answers, or the code of its error. */
async function told(ask: () => Promise<unknown>): Promise<unknown> {
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof LineproofError)) throw error;
    return error.code;
  }
}

/** Asks until there is an answer, and returns it with the codes before. */
async function eventually<T>(ask: () => Promise<T>): Promise<{ readonly answer: T; readonly codes: readonly string[] }> {
  const codes: string[] = [];
  return until('the index answers', async () => {
    try {
      return { answer: await ask(), codes: [...new Set(codes)] };
    } catch (error) {
      codes.push((error as LineproofError).code);
      return undefined;
    }
  });
}

describeOnStack('Redis by role', () => {
  test('a replica is not used: the connection looks for a primary until it is one', async () => {
    const [primary, replica] = [await servers.start(), await servers.start()];
    await replica.follow(primary);
    expect(await told(() => open(`redis://${replica.place}`))).toBe('UNAVAILABLE');
    await replica.direct.replicaof('NO', 'ONE');
    expect((await (await open(`redis://${replica.place}`)).window(call(0))).ok).toBe(true);
  });

  test('a primary that becomes a replica under a connection answers READONLY once, not for ever: it is used again when it is primary again', async () => {
    const [one, two] = [await servers.start(), await servers.start()];
    const index = await open(`redis://${one.place}`);
    expect((await index.window(call(0))).ok).toBe(true);
    await one.follow(two);
    // Its data went with the new primary's: this call would write.
    for (let i = 0; i < 5; i++) expect(await told(() => index.window({ ...call(0), expect: { kind: 'absent' } }))).toBe('UNAVAILABLE');
    await one.direct.replicaof('NO', 'ONE');
    const { answer } = await eventually(() => index.window({ ...call(0), expect: { kind: 'absent' } }));
    expect(answer.ok).toBe(true);
  });

  test('Sentinels name the new primary after the old one died; what it had not replicated is a MISMATCH, never a new identity', async () => {
    const [primary, replica] = [await servers.start(), await servers.start()];
    await replica.follow(primary);
    const watch = await servers.sentinel('main', primary);
    await until('the Sentinel knows the replica', async () =>
      String(await watch.direct.call('SENTINEL', 'replicas', 'main')).includes(String(replica.port)),
    );
    const index = await open(`redis+sentinel://127.0.0.1:1,${watch.place}/main`);
    expect((await index.window(call(0))).ok).toBe(true);
    await until('it is replicated', async () => (await replica.direct.dbsize()) > 0);
    // The replica stops to hear, and its connection ends: the next write is acknowledged, and lost.
    replica.signal('SIGSTOP');
    await primary.direct.call('CLIENT', 'KILL', 'TYPE', 'replica');
    expect((await index.window(call(1))).ok).toBe(true);
    primary.signal('SIGKILL');
    replica.signal('SIGCONT');
    const lookup = [entry(0).key, entry(1).key];
    const { answer, codes } = await eventually(() => index.window(call(2, { next: at(2), lookup })));
    expect(codes).toEqual(['UNAVAILABLE']);
    expect(answer).toEqual({ ok: false, watermark: at(1) });
    expect((await index.window(call(1, { lookup }))).ok).toBe(true);
  });

  test('Sentinels that cannot be reached are UNAVAILABLE in time, and a name that they do not know is, too', async () => {
    const primary = await servers.start();
    const watch = await servers.sentinel('main', primary);
    expect(await told(() => open('redis+sentinel://127.0.0.1:1/main', 500))).toBe('UNAVAILABLE');
    expect(await told(() => open(`redis+sentinel://${watch.place}/other`, 500))).toBe('UNAVAILABLE');
  });

  test('a cluster is used node by node; while one is away its shards wait, and the others go on', async () => {
    const nodes = await redisCluster(servers);
    const index = await open(`redis+cluster://127.0.0.1:1,${nodes[0]?.place},${nodes[1]?.place}`);
    for (let shard = 0; shard < 24; shard++) {
      expect((await index.window(call(0, { shard }))).ok).toBe(true);
      const again = await index.window(call(1, { shard, next: at(1), add: [], lookup: [entry(0).key, entry(9).key] }));
      expect(again.ok && again.hits.map((hit) => hit?.logIndex)).toEqual([0, undefined]);
    }
    const sizes = await Promise.all(nodes.map(({ direct }) => direct.dbsize()));
    expect(sizes.every((size) => size > 0)).toBe(true);
    expect(Math.abs(((await index.nowMicros()) ?? 0) / 1e6 - Date.now() / 1e3)).toBeLessThan(60);
    await nodes[2]?.direct.config('SET', 'maxmemory-policy', 'allkeys-lru');
    expect(await told(() => index.nowMicros())).toBe('INDEX_FORGETS');
    await nodes[2]?.direct.config('SET', 'maxmemory-policy', 'noeviction');
    expect(await told(() => index.nowMicros())).toEqual(expect.any(Number));
    const key = 'lineproof:{test/roles/0}:window';
    const slot = Number(await nodes[0]?.direct.call('CLUSTER', 'KEYSLOT', key));
    const owner = nodes[Math.min(2, Math.floor(slot / 5462))];
    owner?.signal('SIGSTOP');
    expect(await told(() => index.watermark(0))).toBe('UNAVAILABLE');
    owner?.signal('SIGCONT');
    expect((await eventually(() => index.watermark(0))).answer).toEqual(at(1));
  });

  test('a slot that moves to another node is followed', async () => {
    const nodes = await redisCluster(servers);
    const index = await open(`redis+cluster://${nodes[0]?.place}`);
    expect((await index.window(call(0))).ok).toBe(true);
    const slot = String(await nodes[0]?.direct.call('CLUSTER', 'KEYSLOT', 'lineproof:{test/roles/0}:window'));
    const from = nodes[Math.min(2, Math.floor(Number(slot) / 5462))];
    const to = nodes.find((node) => node !== from);
    const ids = [await from?.direct.call('CLUSTER', 'MYID'), await to?.direct.call('CLUSTER', 'MYID')];
    await to?.direct.call('CLUSTER', 'SETSLOT', slot, 'IMPORTING', String(ids[0]));
    await from?.direct.call('CLUSTER', 'SETSLOT', slot, 'MIGRATING', String(ids[1]));
    const keys = (await from?.direct.call('CLUSTER', 'GETKEYSINSLOT', slot, '1000')) as string[];
    for (const name of keys) await from?.direct.call('MIGRATE', '127.0.0.1', String(to?.port), name, '0', '5000');
    for (const node of nodes) await node.direct.call('CLUSTER', 'SETSLOT', slot, 'NODE', String(ids[1]));
    expect((await eventually(() => index.window(call(1, { lookup: [entry(0).key] })))).answer).toEqual({
      ok: true,
      hits: [expect.objectContaining({ logIndex: 0 })],
    });
  });

  test('eviction that was turned on while the connection was lost is seen at the reconnection, and holds every call until it is off', async () => {
    const server = await servers.start();
    const index = await open(`redis://${server.place}`);
    expect((await index.window(call(0))).ok).toBe(true);
    await server.direct.config('SET', 'maxmemory-policy', 'volatile-ttl');
    await server.direct.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    const { codes } = await eventually(async () => {
      const answer = await told(() => index.window(call(1)));
      if (answer === 'INDEX_FORGETS') return answer;
      throw new LineproofError('UNAVAILABLE', String(answer));
    });
    expect(codes.length).toBeLessThanOrEqual(1);
    for (let i = 0; i < 3; i++) expect(await told(() => index.watermark(0))).toBe('INDEX_FORGETS');
    await server.direct.config('SET', 'maxmemory-policy', 'noeviction');
    expect((await index.window(call(1))).ok).toBe(true);
  });
});

describeOnStack('Redis by role and by TLS', () => {
  test('Sentinels are asked, and the primary that they name is used, by TLS alone; another authority is refused', async () => {
    const certificates = await newCertificates('IP:127.0.0.1');
    servers = new RedisServers(certificates);
    const [primary, replica] = [await servers.start(), await servers.start()];
    await replica.follow(primary);
    const watch = await servers.sentinel('main', primary);
    await until('the Sentinel knows the replica', async () =>
      String(await watch.direct.call('SENTINEL', 'replicas', 'main')).includes(String(replica.port)),
    );
    const url = `rediss+sentinel://${watch.place}/main`;
    const { ca: stranger } = await newCertificates();
    expect(['REFUSED', 'UNAVAILABLE']).toContain(await told(() => open(url, 2_000, stranger)));
    const index = await open(url, 2_000, certificates.ca);
    expect((await index.window(call(0))).ok).toBe(true);
    await until('it is replicated', async () => (await replica.direct.dbsize()) > 0);
    primary.signal('SIGKILL');
    const { answer, codes } = await eventually(() => index.window(call(1, { lookup: [entry(0).key] })));
    expect(codes).toEqual(['UNAVAILABLE']);
    expect(answer).toEqual({ ok: true, hits: [expect.objectContaining({ logIndex: 0 })] });
  });

  test('a cluster whose certificates are for the names of its nodes is used by these names', async () => {
    const certificates = await newCertificates();
    servers = new RedisServers(certificates);
    const nodes = await redisCluster(servers, 'cluster-announce-hostname localhost', 'cluster-preferred-endpoint-type hostname');
    const [first] = nodes;
    const index = await open(`rediss+cluster://localhost:${first?.port}`, 2_000, certificates.ca);
    for (let shard = 0; shard < 24; shard++) expect((await index.window(call(0, { shard }))).ok).toBe(true);
    const sizes = await Promise.all(nodes.map(({ direct }) => direct.dbsize()));
    expect(sizes.every((size) => size > 0)).toBe(true);
  });
});

describeOnStack('a chainer on Sentinels', () => {
  test('links nothing twice and nothing never when a fail-over loses what was written last', async () => {
    const [primary, replica] = [await servers.start(), await servers.start()];
    await replica.follow(primary);
    const watch = await servers.sentinel('main', primary);
    await until('the Sentinel knows the replica', async () =>
      String(await watch.direct.call('SENTINEL', 'replicas', 'main')).includes(String(replica.port)),
    );
    const env = { LINEPROOF_REDIS_URL: `redis+sentinel://${watch.place}/main` };
    await onCluster(await testStack(), { shards: 1, producers: ['second'], env }, async (cluster) => {
      const [chainer, archiver] = [cluster.start('chain', 'chainer'), cluster.start('archive', 'archiver')];
      await Promise.all([chainer.ready(), archiver.ready()]);
      const lines = loadLines(0, 3_000, 8);
      const tail = new ChainTail(cluster.log, cluster.shards);
      const emit = async (producer: string, from: number, to: number): Promise<void> =>
        cluster.emit(producer, linesFile(join(cluster.folder, `${producer}-${from}`), lines.slice(from, to)));
      await emit('collector', 0, 1_000);
      await until('a part is linked', async () => (await tail.links()) >= 1_000);
      await until('it is replicated', async () => (await replica.direct.hget(`lineproof:{${cluster.origin}/0}:window`, 'wm')) !== null);
      replica.signal('SIGSTOP');
      await primary.direct.call('CLIENT', 'KILL', 'TYPE', 'replica');
      const before = await primary.direct.hget(`lineproof:{${cluster.origin}/0}:window`, 'wm');
      await emit('collector', 1_000, 3_000);
      await until('all is linked', async () => (await tail.links()) >= 3_000);
      // The second producer's events make the chainer confirm those of the first, which the replica never hears of.
      await emit('second', 0, 100);
      await until('a write was lost', async () => (await primary.direct.hget(`lineproof:{${cluster.origin}/0}:window`, 'wm')) !== before);
      primary.signal('SIGKILL');
      replica.signal('SIGCONT');
      await emit('second', 100, 3_000);
      await until('nothing waits', async () => (await cluster.status()).every(({ lag }) => lag === 0));
      await tail.links();
      await cluster.archived(tail);
      await cluster.mustVerify();
      expect(await cluster.counts()).toMatchObject({ links: 3_000, duplicates: 3_000, conflicts: 0, rejected: 0 });
      for (const service of [chainer, archiver]) expect(await service.end('SIGTERM')).toBe(0);
    });
  }, 300_000);
});

describeOnStack('a cluster of Redis', () => {
  dedupIndexContract('Redis Cluster', async () => {
    const own = new RedisServers();
    const [first] = await redisCluster(own);
    const settings = { url: `redis+cluster://${first?.place}`, requestTimeoutMs: 5_000 };
    return { open: () => openRedisDedupIndex(settings, 'test/contract', new TestLogger()), release: () => own.end() };
  });
});
