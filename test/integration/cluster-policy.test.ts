import { copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from '@jest/globals';
import { toHex } from '../../core/base/bytes.ts';
import type { Policy } from '../../core/policy/policy-document.ts';
import { ChainTail, type ClusterService, onCluster, type TestCluster, until } from '../support/cluster.ts';
import { linesFile, loadLines } from '../support/cluster-load.ts';
import { describeOnStack, STACK_TIMEOUT_MS, type StackSettings, testStack } from '../support/stack.ts';

const TIMEOUT_MS = 5 * 60_000;

async function newest(cluster: TestCluster): Promise<Policy> {
  return JSON.parse((await cluster.must(['policy', 'show', '--json'])).stdout);
}

async function takenUp(chainer: ClusterService, shards: number, version: number): Promise<void> {
  await until(
    `version ${version} is in force`,
    () => chainer.logged('policy in force').filter((line) => line['version'] === version).length === shards,
  );
}

describeOnStack('a policy that changes', () => {
  let stack: StackSettings;
  beforeAll(async () => {
    stack = await testStack();
  }, STACK_TIMEOUT_MS);

  test(
    'is taken up by running services: a new producer is linked, a retired one no longer; events that it had signed are sent again, and the archive verifies',
    () =>
      onCluster(stack, { shards: 2, producers: ['old'] }, async (cluster) => {
        const [chainer, archiver] = [cluster.start('chain', 'chainer'), cluster.start('archive', 'archiver')];
        await Promise.all([chainer.ready(), archiver.ready()]);
        const tail = new ChainTail(cluster.log, cluster.shards);
        const emit = (producer: string, from: number, to: number): Promise<void> =>
          cluster.emit(producer, linesFile(join(cluster.folder, `${producer}-${from}`), loadLines(0, to, 8).slice(from)));
        await emit('old', 0, 300);
        await until('the first producer is linked', async () => (await tail.links()) === 300);

        await cluster.must(['policy', 'publish', '--producer', 'new']);
        await takenUp(chainer, cluster.shards, 2);
        await emit('new', 300, 600);
        await until('the new producer is linked', async () => (await tail.links()) === 600);

        const second = await newest(cluster);
        const retired = second.producers.map((each) => (each.key.includes('/old+') ? { ...each, status: 'RETIRED' } : each));
        const file = join(cluster.folder, 'policy.json');
        writeFileSync(file, JSON.stringify({ ...second, producers: retired }, undefined, 2));
        const dry = await cluster.must(['policy', 'publish', file, '--dry-run']);
        expect(dry.stdout).toMatch(/old\+.*: status: "ACTIVE" -> "RETIRED"\nWould publish version 3/);
        expect((await newest(cluster)).version).toBe(2);
        await cluster.must(['policy', 'publish', file]);
        await takenUp(chainer, cluster.shards, 3);
        await emit('old', 600, 900);
        await emit('new', 900, 1200);
        await until('the new producer is linked again', async () => (await tail.links()) === 900);
        const sealed = new Set(tail.seals.flat().map(({ policy }) => toHex(policy)));
        expect(sealed.size).toBe(3);

        const refused = (await cluster.must(['rejected', 'list'])).stdout.trim().split('\n');
        expect(refused.every((line) => line.includes('KEY_NOT_ACTIVE'))).toBe(true);
        let references = 0;
        for (const line of refused) {
          const place = line.split(' ')[0] as string;
          const { code, stderr } = await cluster.run(['rejected', 'resubmit', place, '--data', join(cluster.folder, 'anew')]);
          expect([code, stderr.includes('it is a heartbeat')]).toEqual(code === 0 ? [0, false] : [1, true]);
          if (code === 0) references += 1;
        }
        expect(references).toBeGreaterThan(0);
        await until('what the retired key had signed is linked', async () => (await tail.links()) === 1200 + references);
        await cluster.archived(tail);
        expect((await cluster.mustVerify()).ok).toBe(true);
        const counted = { links: 1200 + references, duplicates: 0, conflicts: 0, repeated: 0, rejected: refused.length };
        expect(await cluster.counts()).toEqual(counted);
      }),
    TIMEOUT_MS,
  );

  test(
    'is refused at the command line where it is stale, unsigned or says nothing new',
    () =>
      onCluster(stack, { shards: 1 }, async (cluster) => {
        const first = await newest(cluster);
        const file = join(cluster.folder, 'policy.json');
        const publish = (policy: unknown, ...args: string[]) => {
          writeFileSync(file, JSON.stringify(policy));
          return cluster.run(['policy', 'publish', file, ...args]);
        };
        expect(await publish(first)).toMatchObject({
          code: 0,
          stderr: expect.stringContaining('nothing to publish: version 1 says the same'),
        });
        const stranger = join(cluster.folder, 'keys', 'chainer.key');
        const changed = { ...first, segmentMaxAgeMs: 5000 };
        expect(await publish(changed, '--sign-with', stranger)).toMatchObject({
          code: 78,
          stderr: expect.stringContaining('0 of 1 needed root keys signed it'),
        });
        expect(await publish({ ...first, producers: [] })).toMatchObject({
          code: 78,
          stderr: expect.stringContaining('was removed or changed its role'),
        });
        expect(await publish(changed)).toMatchObject({ code: 0, stdout: expect.stringContaining('Published version 2') });
        expect(await publish(changed)).toMatchObject({
          code: 78,
          stderr: expect.stringContaining('made from version 1 and the newest is 2'),
        });
        expect(await cluster.run(['policy', 'publish', '--shards', '2'])).toMatchObject({ code: 2 });
        expect(await cluster.run(['policy', 'publish', '--producer', 'x', '--dry-run'])).toMatchObject({ code: 2 });
        copyFileSync(join(cluster.folder, 'keys', 'collector.key'), join(cluster.folder, 'keys', 'borrowed.key'));
        expect(await cluster.run(['policy', 'publish', '--producer', 'borrowed'])).toMatchObject({
          code: 78,
          stderr: expect.stringContaining(`holds the key of ${cluster.origin}/collector`),
        });
      }),
    TIMEOUT_MS,
  );
});
