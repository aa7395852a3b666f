import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from '@jest/globals';
import { toBase64 } from '../../core/base/bytes.ts';
import type { Policy } from '../../core/policy/policy-document.ts';
import { ChainTail, onCluster, until } from '../support/cluster.ts';
import { linesFile, loadLines } from '../support/cluster-load.ts';
import { OpensslAuthority, serveStamps } from '../support/openssl-authority.ts';
import { describeOnStack, STACK_TIMEOUT_MS, type StackSettings, testStack } from '../support/stack.ts';

const TIMEOUT_MS = 5 * 60_000;

let stack: StackSettings;

describeOnStack('time stamps in a cluster', () => {
  beforeAll(async () => {
    stack = await testStack();
  }, STACK_TIMEOUT_MS);

  test(
    'an authority that the policy names is asked, status and metrics show it, and verify takes what it signed',
    async () => {
      const authority = new OpensslAuthority();
      const server = await serveStamps((query) => authority.reply(query));
      const [root, middle] = (['root', 'middle'] as const).map((name) => toBase64(authority.certificate(name))) as [string, string];
      await onCluster(stack, { shards: 1 }, async (cluster) => {
        const policy = JSON.parse((await cluster.must(['policy', 'show', '--json'])).stdout) as Policy;
        const authorities = [{ name: 'openssl', url: server.url, roots: [root], intermediates: [middle], policies: [] }];
        const file = join(cluster.folder, 'policy.json');
        writeFileSync(file, JSON.stringify({ ...policy, timestamping: { authorities, intervalMs: 1_000 } }));
        await cluster.must(['policy', 'publish', file]);
        const services = [cluster.start('chain', 'chainer'), cluster.start('archive', 'archiver')] as const;
        await Promise.all(services.map((service) => service.ready()));
        await cluster.emit('collector', linesFile(join(cluster.folder, 'lines'), loadLines(0, 200, 8)));
        await cluster.archived(new ChainTail(cluster.log, cluster.shards));
        const told = async () => (await cluster.status())[0] as unknown as Record<'attested' | 'stamped' | 'stampedSeconds', number | null>;
        await until('every leaf is stamped', async () => {
          const { stamped, attested } = await told();
          return stamped !== null && stamped === attested;
        });
        expect((await told()).stampedSeconds).toBeGreaterThanOrEqual(0);
        expect((await services[1].get('/metrics'))?.text).toMatch(/^lineproof_stamp_size\{shard="0",authority="openssl"\} \d+$/m);
        for (const service of services) expect(await service.end('SIGTERM')).toBe(0);
        const { properties } = await cluster.mustVerify();
        expect(properties.TIME).toMatchObject({ result: 'OK', counts: { uncoveredLeaves: 0 } });
        const roots = ['--tsa-root', authority.path('root.pem'), '--require', 'TIME'];
        const { code, stdout } = await cluster.run([
          'verify',
          cluster.archive,
          '--key',
          `@${join(cluster.folder, 'keys', 'root.pub')}`,
          ...roots,
        ]);
        expect([[0, 5].includes(code ?? -1), stdout]).toEqual([true, expect.stringMatching(/^ {2}TIME {8}OK/m)]);
      });
      await server.close();
      authority.close();
    },
    TIMEOUT_MS,
  );
});
