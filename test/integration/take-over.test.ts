import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from '@jest/globals';
import { ChainTail, type ClusterService, onCluster, type TestCluster, until } from '../support/cluster.ts';
import { linesFile, loadLines } from '../support/cluster-load.ts';
import { describeOnStack, STACK_TIMEOUT_MS, type StackSettings, testStack } from '../support/stack.ts';

const TIMEOUT_MS = 5 * 60_000;
const ROOT_USER = process.getuid?.() === 0;

let stack: StackSettings;

async function ownedBy(cluster: TestCluster, name: string): Promise<boolean> {
  return (await cluster.owners('chain').catch(() => [])).every((owner) => owner === name);
}

/** Seconds until all shards are the other's, with 50 ms between looks. */
async function takenOver(cluster: TestCluster, by: string): Promise<number> {
  const begun = performance.now();
  await until(`${by} has every shard`, () => ownedBy(cluster, by));
  return (performance.now() - begun) / 1000;
}

describeOnStack('shards of a process that cannot go on', () => {
  beforeAll(async () => {
    stack = await testStack();
  }, STACK_TIMEOUT_MS);

  test(
    'are handed over when its state disk is full, and it comes back when there is room',
    () =>
      onCluster(stack, { shards: 2 }, async (cluster) => {
        const data = join(cluster.folder, 'small');
        mkdirSync(data);
        const mount = ['unshare', ROOT_USER ? '-m' : '-Urm', 'sh', '-c', 'mount -t tmpfs -o size=24m none "$0" && exec "$@"', data];
        const small = cluster.startBy(mount, 'chain', 'small');
        await small.ready();
        const other = cluster.start('chain', 'other');
        await other.ready();
        const file = linesFile(join(cluster.folder, 'lines'), loadLines(0, 4_000, 16));
        const filler = join('/proc', String(small.pid), 'root', data, 'filler');
        const fill = (): void => {
          for (const bytes of [1 << 20, 1 << 12])
            try {
              for (;;) writeFileSync(filler, new Uint8Array(bytes), { flag: 'a' });
            } catch (error) {
              expect((error as NodeJS.ErrnoException).code).toBe('ENOSPC');
            }
        };
        fill();
        await cluster.emit('collector', file);
        const seconds = await takenOver(cluster, 'other');
        process.stdout.write(`take-over after a full disk: ${seconds.toFixed(1)} s\n`);
        await until('it says why', async () => {
          const ready = await small.get('/readyz');
          return ready?.status === 503 && ready.text.startsWith('DISK_FULL: ');
        });
        expect((await small.get('/healthz'))?.status).toBe(200);
        const tail = new ChainTail(cluster.log, cluster.shards);
        await until('all is linked', async () => (await tail.links()) >= 4_000);
        rmSync(filler);
        await until('it has shards again', async () =>
          (await cluster.owners('chain').catch((): readonly undefined[] => [])).some((owner) => owner === 'small'),
        );
        await small.ready();
        for (const service of [small, other]) expect(await service.end('SIGTERM')).toBe(0);
      }),
    TIMEOUT_MS,
  );

  test(
    'are taken over after SIGTERM and after SIGKILL in the documented time',
    () =>
      onCluster(stack, { shards: 4 }, async (cluster) => {
        const shared = (): Promise<boolean> =>
          until('both have shards', async () => {
            const owners = await cluster.owners('chain').catch(() => []);
            return ['a', 'b'].every((name) => owners.filter((owner) => owner === name).length === 2);
          });
        const [a, b] = ['a', 'b'].map((name) => cluster.start('chain', name)) as [ClusterService, ClusterService];
        await shared();
        const stopping = a.end('SIGTERM');
        const term = await takenOver(cluster, 'b');
        expect(await stopping).toBe(0);
        const again = cluster.start('chain', 'a');
        await shared();
        const killed = b.end('SIGKILL');
        const kill = await takenOver(cluster, 'a');
        await killed;
        await again.ready();
        process.stdout.write(`take-over after SIGTERM: ${term.toFixed(1)} s, after SIGKILL: ${kill.toFixed(1)} s\n`);
        expect([term < 20, kill < 30]).toEqual([true, true]);
      }),
    TIMEOUT_MS,
  );
});
