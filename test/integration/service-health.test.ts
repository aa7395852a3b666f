import { join } from 'node:path';
import { beforeAll, expect, test } from '@jest/globals';
import { type ClusterService, onCluster, until } from '../support/cluster.ts';
import { linesFile, loadLines } from '../support/cluster-load.ts';
import { describeOnStack, STACK_TIMEOUT_MS, type StackSettings, testStack } from '../support/stack.ts';
import { openFaultyLink, openToxiproxy } from '../support/toxiproxy.ts';

const TIMEOUT_MS = 6 * 60_000;
/** Longer than a shard with input may stand still. */
const LONG_MS = 70_000;
const SILENCE = { type: 'timeout', stream: 'downstream', attributes: { timeout: 0 } } as const;

async function ready(service: ClusterService): Promise<string> {
  return (await service.get('/readyz'))?.text ?? 'no answer';
}

/** For longer than a stall lasts, the service is not ready for this reason, and nobody is told to restart it. */
async function staysAlive(service: ClusterService, reason: RegExp): Promise<void> {
  await until(`${service.name} says why it is not ready`, async () => reason.test(await ready(service)));
  const over = performance.now() + LONG_MS;
  await until('more than a stall has passed', async () => {
    expect(await service.get('/healthz')).toEqual({ status: 200, text: 'ok\n' });
    return performance.now() > over;
  });
  expect(await service.get('/readyz')).toEqual({ status: 503, text: expect.stringMatching(reason) });
}

describeOnStack('health of a service whose servers fall silent', () => {
  let stack: StackSettings;
  beforeAll(async () => {
    stack = await testStack();
  }, STACK_TIMEOUT_MS);

  test(
    'says which one keeps it from its work, does not ask for a restart, and is ready again when they answer',
    async () => {
      const redis = await openFaultyLink(stack.toxiproxy.url, stack.redis.url);
      try {
        const env = { LINEPROOF_REDIS_URL: redis.url };
        await onCluster(stack, { shards: 2 }, async (cluster) => {
          const kafka = { LINEPROOF_KAFKA_BROKERS: stack.toxiproxy.kafka.brokers.join(',') };
          const chainer = cluster.startWith({ ...env, ...kafka }, 'chain', 'chainer');
          await chainer.ready();
          const file = linesFile(join(cluster.folder, 'lines'), loadLines(0, 1000, 8));
          await redis.during(SILENCE, async () => {
            await cluster.emit('collector', file);
            await staysAlive(chainer, /^shard [01] held: /m);
          });
          await chainer.ready();
          await openToxiproxy(stack.toxiproxy.url, 'kafka-1').during(SILENCE, async () => {
            await staysAlive(
              chainer,
              /^no heartbeat for \d+ s: cannot share the shards as .*: no answer within \d+ ms$|^not in the group: .*no answer within/m,
            );
            expect(await chainer.metric('lineproof_group_heartbeat_age_seconds')).toBeGreaterThan(LONG_MS / 1000);
          });
          const answered = performance.now();
          await chainer.ready();
          process.stdout.write(`silence of the broker over: ready again after ${((performance.now() - answered) / 1000).toFixed(1)} s\n`);
          await until('nothing waits, as the group and the metrics say', async () => {
            const [status, committed, consumed] = [
              await cluster.status(),
              await chainer.metric('lineproof_group_committed_offset'),
              await chainer.metric('kafka_consumergroup_current_offset'),
            ];
            return status.every(({ lag }) => lag === 0) && committed === consumed && committed > 0;
          });
          expect(await chainer.metric('lineproof_group_heartbeat_age_seconds')).toBeLessThan(10);
          expect(await chainer.end('SIGTERM')).toBe(0);
        });
      } finally {
        await redis.release();
      }
    },
    TIMEOUT_MS,
  );
});
