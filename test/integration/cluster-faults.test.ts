import { join } from 'node:path';
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Redis } from 'ioredis';
import { parseArchiveKey } from '../../core/archive/archive-keys.ts';
import { readContainer, writeContainer } from '../../core/avro/ocf.ts';
import { SCHEMA_TEXTS } from '../../core/avro/schema-texts.ts';
import { concat, equal } from '../../core/base/bytes.ts';
import type { StoredObject } from '../../core/ports/object-store.ts';
import { ChainTail, onCluster, preloading, type TestCluster, until } from '../support/cluster.ts';
import { linesFile, loadLines } from '../support/cluster-load.ts';
import { deleteKeys, dumpKeys, redisKeys, restoreKeys } from '../support/redis-keys.ts';
import { describeOnStack, ownStack, STACK_TIMEOUT_MS, type StackSettings, testStack } from '../support/stack.ts';

const TIMEOUT_MS = 5 * 60_000;
const MINUTE_MS = 60_000;

let stack: StackSettings;
let redis: Redis;

/** A segment's evidence as it is stored, and as it is when deflated at level 1, as the product does, and at level 9. */
interface EvidenceFile {
  readonly stored: Uint8Array;
  readonly levels: readonly [Uint8Array, Uint8Array];
}

async function evidenceFiles({ objects }: TestCluster): Promise<readonly EvidenceFile[]> {
  const files: EvidenceFile[] = [];
  const schema = SCHEMA_TEXTS.BlockEvidence;
  for await (const { key } of objects.list('logs/')) {
    if (parseArchiveKey(key).kind !== 'evidence') continue;
    const { bytes: stored } = (await objects.get(key)) as StoredObject;
    const sync = stored.slice(-16);
    const records: Uint8Array[] = [];
    for await (const block of readContainer(schema, sync, (at, length) => stored.subarray(at, at + length), inflate))
      records.push(...block.records);
    const deflated = async (level: number): Promise<Uint8Array> => {
      const pieces: Uint8Array[] = [];
      for await (const piece of writeContainer(schema, sync, records, (data) => deflateRawSync(data, { level }))) pieces.push(piece);
      return concat(...pieces);
    };
    files.push({ stored, levels: [await deflated(1), await deflated(9)] });
  }
  return files;
}

function inflate(data: Uint8Array, maxOutputLength: number): Uint8Array {
  return inflateRawSync(data, { maxOutputLength });
}

describeOnStack('the services when something goes wrong under load', () => {
  beforeAll(async () => {
    stack = await testStack();
    redis = new Redis(stack.redis.url);
  }, STACK_TIMEOUT_MS);
  afterAll(() => redis?.disconnect());

  test(
    'for a minute two chainers and two archivers, which deflate to other bytes, each believe that every shard is their own: one history, one archive',
    () =>
      onCluster(stack, { shards: 2 }, async (cluster) => {
        const chainers = ['x', 'y'].map((name) => cluster.start('chain', `chainer-${name}`, '--chain-group', `chainers-${name}`));
        const archivers = [
          cluster.start('archive', 'archiver-x', '--archive-group', 'archivers-x'),
          cluster.startWith(preloading('hard-deflate.js'), 'archive', 'archiver-y', '--archive-group', 'archivers-y'),
        ];
        await Promise.all([...chainers, ...archivers].map((service) => service.ready()));
        const lines = loadLines(0, 200_000, 16);
        const feed = cluster.feed('collector');
        let sent = 0;
        const load = setInterval(() => {
          feed.write(lines.slice(sent, sent + 50));
          sent += 50;
        }, 50);
        const tail = new ChainTail(cluster.log, cluster.shards);
        const races = async (): Promise<number> =>
          (await Promise.all(chainers.map((service) => service.metric('lineproof_chainer_lost_races_total')))).reduce(
            (sum, n) => sum + n,
            0,
          );
        let lost = 0;
        try {
          await until('some are linked', async () => (await tail.links()) > 0);
          for (let tenth = 1; tenth <= 10; tenth++) {
            const over = performance.now() + MINUTE_MS / 10;
            const before = lost;
            await until('a tenth of the minute is over', () => performance.now() > over);
            lost = await races();
            expect(lost).toBeGreaterThan(before);
          }
        } finally {
          clearInterval(load);
        }
        expect(await feed.end()).toBe(0);
        await until('all is linked', async () => (await tail.links()) >= sent);
        await cluster.archived(tail);
        for (const service of archivers)
          for (const metric of ['verified', 'archived'])
            await until(`${service.name} ${metric} all`, async () => {
              await tail.links();
              return (await service.metric(`lineproof_archiver_${metric}_size`)) === tail.sizes().reduce((sum, size) => sum + size, 0);
            });
        const written = await evidenceFiles(cluster);
        for (const service of archivers)
          expect([service.name, await service.metric('lineproof_archiver_segments_total')]).toEqual([service.name, written.length]);
        for (const service of [...chainers, ...archivers]) {
          expect([service.name, service.alarms()]).toEqual([service.name, []]);
          expect(await service.end('SIGTERM')).toBe(0);
        }
        // What one of the two stored is not what the other would have.
        for (const { stored, levels } of written) expect(levels.map((bytes) => equal(stored, bytes))).toContain(true);
        for (const { levels } of written) expect(equal(levels[0], levels[1])).toBe(false);
        process.stdout.write(
          `${sent} events, ${lost} races lost; of ${written.length} segments ${written.filter(({ stored, levels }) => equal(stored, levels[1])).length} are by the archiver that deflates harder\n`,
        );
        await cluster.mustVerify();
        expect(await cluster.counts()).toEqual({ links: sent, duplicates: 0, conflicts: 0, repeated: 0, rejected: 0 });
      }),
    TIMEOUT_MS,
  );

  test(
    'Redis flushed, and set back to an older dump, under load: nothing doubled, nothing lost, and the time to rebuild is logged',
    () =>
      onCluster(stack, { shards: 2, producers: ['second'] }, async (cluster) => {
        const lines = loadLines(0, 40_000, 16);
        const file = linesFile(join(cluster.folder, 'lines'), lines);
        const services = [cluster.start('chain', 'chainer'), cluster.start('archive', 'archiver')];
        await Promise.all(services.map((service) => service.ready()));
        const emitting = Promise.all([cluster.emit('collector', file), cluster.emit('second', file)]);
        emitting.catch(() => undefined);
        const tail = new ChainTail(cluster.log, cluster.shards);
        const linked = (share: number): Promise<unknown> =>
          until(`${share} are linked`, async () => (await tail.links()) >= share * lines.length);
        await linked(0.1);
        const older = await dumpKeys(redis, redisKeys(cluster));
        await linked(0.3);
        const flushedAt = await tail.links();
        await deleteKeys(redis, redisKeys(cluster));
        await linked(0.6);
        const setBackAt = await tail.links();
        await restoreKeys(redis, redisKeys(cluster), older);
        await emitting;
        await linked(1);
        await cluster.archived(tail);
        expect(setBackAt).toBeLessThan(lines.length);
        expect(flushedAt).toBeLessThan(setBackAt);
        const rebuilt = services[0]?.logged('dedup index rebuilt').filter(({ blocks }) => Number(blocks) > 0) ?? [];
        expect(new Set(rebuilt.map(({ shard }) => shard))).toEqual(new Set([0, 1]));
        for (const { ms } of rebuilt) expect(ms).toEqual(expect.any(Number));
        for (const service of services) expect([service.name, service.alarms()]).toEqual([service.name, []]);
        await cluster.mustVerify();
        expect(await cluster.counts()).toEqual({ links: lines.length, duplicates: lines.length, conflicts: 0, repeated: 0, rejected: 0 });
      }),
    TIMEOUT_MS,
  );

  test(
    'a Redis that evicts is waited for; one that begins to evict holds the shards with an alarm, and what it forgot is not linked twice',
    async () => {
      const own = await ownStack();
      try {
        await onCluster(own.settings, { shards: 2, producers: ['second'] }, (cluster) => whileRedisEvicts(cluster, own.settings.redis.url));
      } finally {
        await own.release();
      }
    },
    STACK_TIMEOUT_MS,
  );
});

async function whileRedisEvicts(cluster: TestCluster, url: string): Promise<void> {
  const server = new Redis(url);
  const evict = async (policy: string, maxmemory: number): Promise<unknown> => [
    await server.config('SET', 'maxmemory-policy', policy),
    await server.config('SET', 'maxmemory', maxmemory),
  ];
  try {
    await evict('allkeys-lru', 0);
    const chainer = cluster.start('chain', 'chainer');
    await until('the chainer waits', async () =>
      /^waiting for Redis: .*maxmemory-policy is allkeys-lru, .*; set maxmemory-policy noeviction$/.test(
        (await chainer.get('/readyz'))?.text.trim() ?? '',
      ),
    );
    await evict('noeviction', 0);
    const archiver = cluster.start('archive', 'archiver');
    await Promise.all([chainer.ready(), archiver.ready()]);
    const lines = loadLines(0, 20_000, 16);
    const tail = new ChainTail(cluster.log, cluster.shards);
    await cluster.emit('collector', linesFile(join(cluster.folder, 'lines'), lines));
    await until('all is linked', async () => (await tail.links()) === lines.length);
    const told = async (section: string, name: string): Promise<number> =>
      Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(await server.info(section))?.[1]);
    const states = await Promise.all((await server.keys('*:window')).map(async (key) => [key, await server.dumpBuffer(key)] as const));
    expect(states).toHaveLength(cluster.shards);
    const keys = await server.dbsize();
    const kept = await told('memory', 'used_memory_dataset');
    await evict('allkeys-random', (await told('memory', 'used_memory')) - Math.round(kept / 3));
    await until('a tenth of the keys is forgotten', async () => (await told('stats', 'evicted_keys')) > keys / 10);
    await evict('allkeys-random', 0);
    // Random eviction may remove the keys that show the loss; the hard case is that it does not.
    for (const [key, dump] of states) if ((await server.exists(key)) === 0) await server.restore(key, 0, dump);
    const again = cluster.emit('second', linesFile(join(cluster.folder, 'again'), lines));
    again.catch(() => undefined);
    const held = () => chainer.logged('shard holds: the dedup index may forget');
    await until('the chainer says what is wrong', () => held().length >= cluster.shards);
    for (const { reason } of held()) expect(reason).toMatch(/maxmemory-policy is allkeys-random, .*; set maxmemory-policy noeviction$/);
    await evict('noeviction', 0);
    await again;
    await until('nothing waits', async () => (await cluster.status()).every(({ lag }) => lag === 0));
    await tail.links();
    await cluster.archived(tail);
    expect(archiver.alarms()).toEqual([]);
    await cluster.mustVerify();
    expect(await cluster.counts()).toEqual({ links: lines.length, duplicates: lines.length, conflicts: 0, repeated: 0, rejected: 0 });
  } finally {
    server.disconnect();
  }
}
