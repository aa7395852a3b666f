import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from '@jest/globals';
import type { Diagnosis } from '../../cli/doctor-checks.ts';
import { onCluster, type TestCluster } from '../support/cluster.ts';
import { describeOnStack, STACK_TIMEOUT_MS, type StackSettings, testStack } from '../support/stack.ts';

const TIMEOUT_MS = 5 * 60_000;
/** Nothing listens on it: connections are refused at once. */
const NOBODY = '127.0.0.1:1';

let stack: StackSettings;

interface Examined {
  readonly code: number | null;
  readonly stderr: string;
  /** Results by what they are about. */
  readonly results: Readonly<Record<string, Diagnosis['result']>>;
  readonly texts: Readonly<Record<string, string>>;
}

async function examine(cluster: TestCluster, env: NodeJS.ProcessEnv = {}): Promise<Examined> {
  const { code, stdout, stderr } = await cluster.run(['doctor', '--json', '--data', join(cluster.folder, 'chainer')], env);
  const found = JSON.parse(stdout) as readonly Diagnosis[];
  return {
    code,
    stderr,
    results: Object.fromEntries(found.map(({ about, result }) => [about, result])),
    texts: Object.fromEntries(found.map(({ about, text }) => [about, text])),
  };
}

const WELL = {
  'root key': 'ok',
  policy: 'ok',
  // All topics are on the only broker.
  topics: 'warn',
  Redis: 'ok',
  registry: 'ok',
  'object store': 'ok',
  chainers: 'ok',
  archivers: 'ok',
  'key collector': 'ok',
  'key chainer': 'ok',
  'key log-0': 'ok',
  'key log-1': 'ok',
} as const;

describeOnStack('lineproof doctor', () => {
  beforeAll(async () => {
    stack = await testStack();
  }, STACK_TIMEOUT_MS);

  test(
    'says ok of a cluster that works, and of each part that does not what is wrong and what to do, while it looks at the others',
    async () => {
      await onCluster(stack, { shards: 2 }, async (cluster) => {
        const before = await examine(cluster);
        expect([before.code, before.results['chainers'], before.results['archivers']]).toEqual([0, 'warn', 'warn']);
        const services = [cluster.start('chain', 'chainer'), cluster.start('archive', 'archiver')];
        await Promise.all(services.map((service) => service.ready()));
        const well = await examine(cluster);
        expect(well).toMatchObject({ code: 0, stderr: '', results: { ...WELL, disk: expect.stringMatching(/^(?:ok|warn)$/) } });
        expect(well.texts).toMatchObject({
          chainers: 'chainer works on all 2 shards',
          policy: `Kafka gives version 1 of ${cluster.origin}, 2 shards`,
        });
        const text = await cluster.run(['doctor']);
        expect(text.code).toBe(0);
        // A word that is longer, such as a key, has a line for itself.
        expect(text.stdout.split('\n').filter((line) => line.length > 80 && line.trim().includes(' '))).toEqual([]);
        expect(text.stdout).toMatch(/^ok {4}Redis {9}answers, and may not evict;/m);
        expect(text.stdout).toMatch(/\n\d+ ok, \d warnings?, 0 wrong, \d not looked at\n$/);
        const faults: readonly (readonly [NodeJS.ProcessEnv, string, RegExp])[] = [
          [{ LINEPROOF_REDIS_URL: `redis://${NOBODY}` }, 'Redis', /\[UNAVAILABLE\]$/],
          [{ LINEPROOF_REGISTRY_URL: `http://${NOBODY}` }, 'registry', /\[UNAVAILABLE\]$/],
          [{ LINEPROOF_S3_ENDPOINT: `http://${NOBODY}` }, 'object store', /\[UNAVAILABLE\]$/],
          [{ LINEPROOF_S3_BUCKET: 'no-such-bucket' }, 'object store', /\[(?:REFUSED|CONFIG_INVALID|NOT_FOUND)\]$/],
        ];
        for (const [env, about, says] of faults) {
          const { code, results, texts } = await examine(cluster, env);
          expect([about, code, results]).toEqual([about, 1, expect.objectContaining({ ...WELL, [about]: 'fail' })]);
          expect(texts[about]).toMatch(says);
        }
      });
    },
    TIMEOUT_MS,
  );

  test(
    'a key that is not in the policy, one that others can read, and one of another role are wrong; without a policy the rest is not looked at',
    async () => {
      await onCluster(stack, { shards: 2 }, async (cluster) => {
        const own = join(cluster.folder, 'keys');
        const keys = join(cluster.folder, 'others');
        mkdirSync(keys, { mode: 0o700 });
        copyFileSync(join(own, 'root.pub'), join(keys, 'root.pub'));
        writeFileSync(join(keys, 'chainer.key'), readFileSync(join(own, 'collector.key')), { mode: 0o600 });
        writeFileSync(join(keys, 'log-0.key'), readFileSync(join(own, 'log-0.key')), { mode: 0o644 });
        writeFileSync(join(keys, 'log-1.key'), 'no key', { mode: 0o600 });
        const { code, results, texts } = await examine(cluster, { LINEPROOF_KEYS: keys });
        expect([code, results]).toMatchObject([1, { 'key chainer': 'fail', 'key log-0': 'fail', 'key log-1': 'fail' }]);
        expect(texts['key chainer']).toMatch(/is not in the newest policy in this role$/);
        expect([texts['key log-0'], texts['key log-1']]).toEqual([
          expect.stringMatching(/\[KEY_UNREADABLE\]$/),
          expect.stringMatching(/\[KEY_UNREADABLE\]$/),
        ]);
        copyFileSync(join(own, 'log-1.key'), join(keys, 'log-1.key'));
        rmSync(join(keys, 'log-0.key'));
        copyFileSync(join(own, 'log-1.key'), join(keys, 'log-0.key'));
        const swapped = await examine(cluster, { LINEPROOF_KEYS: keys });
        expect(swapped.results).toMatchObject({ 'key log-0': 'fail', 'key log-1': 'ok' });
        rmSync(keys, { recursive: true });
        const none = await examine(cluster, { LINEPROOF_KEYS: keys, LINEPROOF_KAFKA_BROKERS: NOBODY });
        expect([none.code, none.results]).toMatchObject([
          1,
          {
            'root key': 'warn',
            policy: 'fail',
            topics: 'unchecked',
            Redis: 'unchecked',
            registry: 'unchecked',
            'object store': 'unchecked',
            keys: 'unchecked',
          },
        ]);
      });
    },
    TIMEOUT_MS,
  );
});
