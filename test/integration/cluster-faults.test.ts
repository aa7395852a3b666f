import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Redis } from 'ioredis';
import { ChainTail, onCluster, type TestCluster, until } from '../support/cluster.ts';
import { linesFile, loadLines } from '../support/cluster-load.ts';
import { describeOnStack, STACK_TIMEOUT_MS, type StackSettings, testStack } from '../support/stack.ts';

const TIMEOUT_MS = 5 * 60_000;

let stack: StackSettings;
let redis: Redis;

/** Each is one step for everybody else. */
const FLUSH = "local keys = redis.call('KEYS', ARGV[1]) for _, key in ipairs(keys) do redis.call('DEL', key) end ";
const DUMP =
  "local out = {} for _, key in ipairs(redis.call('KEYS', ARGV[1])) do out[#out + 1] = key out[#out + 1] = redis.call('DUMP', key) end return out";
const RESTORE = `${FLUSH} for i = 2, #ARGV, 2 do redis.call('RESTORE', ARGV[i], 0, ARGV[i + 1]) end`;

function redisKeys({ origin }: TestCluster): string {
  return `lineproof:{${origin}/*`;
}

describeOnStack('the services when something goes wrong under load', () => {
  beforeAll(async () => {
    stack = await testStack();
    redis = new Redis(stack.redis.url);
  }, STACK_TIMEOUT_MS);
  afterAll(() => redis?.disconnect());

  test(
    'two chainers and two archivers of which each believes that every shard is its own make one history and one archive',
    () =>
      onCluster(stack, { shards: 2 }, async (cluster) => {
        const lines = loadLines(0, 40_000, 16);
        const chainers = ['x', 'y'].map((name) => cluster.start('chain', `chainer-${name}`, '--chain-group', `chainers-${name}`));
        const archivers = ['x', 'y'].map((name) => cluster.start('archive', `archiver-${name}`, '--archive-group', `archivers-${name}`));
        await Promise.all([...chainers, ...archivers].map((service) => service.ready()));
        await cluster.emit('collector', linesFile(join(cluster.folder, 'lines'), lines));
        const tail = new ChainTail(cluster.log, cluster.shards);
        await until('all is linked', async () => (await tail.links()) >= lines.length);
        await cluster.archived(tail);
        const races = await Promise.all(chainers.map((service) => service.metric('lineproof_chainer_lost_races_total')));
        expect(Math.max(...races)).toBeGreaterThan(0);
        const size = tail.sizes().reduce((sum, each) => sum + each, 0);
        for (const service of archivers)
          await until(`${service.name} read all`, async () => (await service.metric('lineproof_archiver_verified_size')) === size);
        for (const service of [...chainers, ...archivers]) {
          expect([service.name, service.alarms()]).toEqual([service.name, []]);
          expect(await service.end('SIGTERM')).toBe(0);
        }
        await cluster.mustVerify();
        expect(await cluster.counts()).toEqual({ links: lines.length, duplicates: 0, conflicts: 0, repeated: 0, rejected: 0 });
      }),
    TIMEOUT_MS,
  );

  test(
    'Redis flushed, and set back to an older dump, under load: nothing doubled, nothing lost, and the time to rebuild is told',
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
        const older = (await redis.callBuffer('EVAL', DUMP, 0, redisKeys(cluster))) as Buffer[];
        await linked(0.3);
        const flushedAt = await tail.links();
        await redis.call('EVAL', FLUSH, 0, redisKeys(cluster));
        await linked(0.6);
        const setBackAt = await tail.links();
        await redis.call('EVAL', RESTORE, 0, redisKeys(cluster), ...older);
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
});
