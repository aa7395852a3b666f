import { join } from 'node:path';
import { beforeAll, expect, test } from '@jest/globals';
import { TOPICS } from '../../core/ports/log.ts';
import { ChainTail, type ClusterService, onCluster, until } from '../support/cluster.ts';
import { linesFile, loadLines } from '../support/cluster-load.ts';
import { newGate } from '../support/gate.ts';
import { describeOnStack, STACK_TIMEOUT_MS, type StackSettings, testStack } from '../support/stack.ts';

const TIMEOUT_MS = 5 * 60_000;
/** Labels of gauges that belong to a shard. */
const SHARD =
  /^(lineproof_(?:chainer_size|chainer_held|archiver_\w+(?<!_total|_bucket|_sum|_count))|kafka_consumergroup_(?:lag|lag_seconds|current_offset))\{.*(?:shard|partition)="(\d+)"/;

let stack: StackSettings;

async function shardsInGauges(service: ClusterService): Promise<readonly number[]> {
  const text = (await service.get('/metrics'))?.text ?? '';
  const shards = text.split('\n').flatMap((line) => SHARD.exec(line)?.[2] ?? []);
  return [...new Set(shards.map(Number))].toSorted((a, b) => a - b);
}

describeOnStack('what services and commands tell of shards', () => {
  beforeAll(async () => {
    stack = await testStack();
  }, STACK_TIMEOUT_MS);

  test(
    'gauges of shards that moved to another process are gone, counters stay, and a shard that holds says why',
    async () => {
      const gate = await newGate(new URL(stack.redis.url).host);
      await gate.open();
      await onCluster(stack, { shards: 4, env: { LINEPROOF_REDIS_URL: `redis://${gate.place}` } }, async (cluster) => {
        const first = [cluster.start('chain', 'chainer-1'), cluster.start('archive', 'archiver-1')];
        await Promise.all(first.map((service) => service.ready()));
        await cluster.emit('collector', linesFile(join(cluster.folder, 'lines'), loadLines(0, 2_000, 40)));
        const tail = new ChainTail(cluster.log, cluster.shards);
        await until('all is linked', async () => (await tail.links()) >= 2_000);
        await cluster.archived(tail);
        for (const service of first)
          await until(`${service.name} tells four shards`, async () => (await shardsInGauges(service)).length === 4);
        const [chainer, archiver] = first as [ClusterService, ClusterService];
        const counted = [await chainer.metric('lineproof_chainer_links_total'), await archiver.metric('lineproof_archiver_segments_total')];
        expect((await chainer.get('/metrics'))?.text).toContain(`topic="${cluster.topicPrefix}${TOPICS.events}"`);
        const second = [cluster.start('chain', 'chainer-2'), cluster.start('archive', 'archiver-2')];
        await Promise.all(second.map((service) => service.ready()));
        for (const [command, service] of [
          ['chain', chainer],
          ['archive', archiver],
        ] as const)
          await until(`${service.name} tells its own shards only`, async () => {
            const own = (await cluster.owners(command)).flatMap((owner, shard) => (owner === service.name ? [shard] : []));
            const told = await shardsInGauges(service);
            return own.length === 2 && told.length === 2 && told.every((shard) => own.includes(shard));
          });
        expect([await chainer.metric('lineproof_chainer_links_total'), await archiver.metric('lineproof_archiver_segments_total')]).toEqual(
          counted,
        );
        await gate.shut();
        await cluster.emit('collector', linesFile(join(cluster.folder, 'more'), loadLines(0, 2_400, 40).slice(2_000)));
        await until('the chainer tells that it holds', async () =>
          /lineproof_chainer_held\{shard="\d",reason="UNAVAILABLE"\} 1/.test((await chainer.get('/metrics'))?.text ?? ''),
        );
        await gate.open();
        await until('the chainer goes on', async () => !/^lineproof_chainer_held\{/m.test((await chainer.get('/metrics'))?.text ?? ''));
      });
      await gate.shut();
    },
    TIMEOUT_MS,
  );

  test(
    'status shows what it can read, names what it cannot, and ends with a code that says so; a topic made anew is no lag of 0',
    async () => {
      const gate = await newGate(new URL(stack.s3.endpoint).host);
      await onCluster(stack, { shards: 2 }, async (cluster) => {
        const services = [cluster.start('chain', 'chainer'), cluster.start('archive', 'archiver')];
        await Promise.all(services.map((service) => service.ready()));
        await cluster.emit('collector', linesFile(join(cluster.folder, 'lines'), loadLines(0, 200, 8)));
        await until('nothing waits', async () => (await cluster.status()).every(({ lag, size }) => lag === 0 && size > 0));
        await cluster.archived(new ChainTail(cluster.log, cluster.shards));
        const away = { LINEPROOF_S3_ENDPOINT: `http://${gate.place}` };
        const json = await cluster.run(['status', '--json'], away);
        expect([json.code, JSON.parse(json.stdout)]).toEqual([
          74,
          [0, 1].map((shard) =>
            expect.objectContaining({
              shard,
              lag: 0,
              chainer: 'chainer',
              attested: null,
              archived: null,
              size: null,
              stamped: null,
              problems: [expect.stringMatching(/^attested: /), expect.stringMatching(/^stamped: /), expect.stringMatching(/^archived: /)],
            }),
          ),
        ]);
        expect(json.stderr).toMatch(/^lineproof: shard 0: attested: cannot read .*\[UNAVAILABLE]$/m);
        const table = await cluster.run(['status'], away);
        expect(table.stdout).toMatch(/^0 +0 +\? +\? +\? +\? +\? +chainer +archiver$/m);
        for (const service of services) expect(await service.end('SIGTERM')).toBe(0);
        const admin = cluster.kafka.admin();
        await admin.connect();
        const topic = `${cluster.topicPrefix}${TOPICS.events}`;
        try {
          await admin.deleteTopics({ topics: [topic] });
          await until('the topic is gone', async () => !(await admin.listTopics()).includes(topic));
        } finally {
          await admin.disconnect();
        }
        await cluster.must(['topics', 'create', '--shards', '2']);
        const anew = await cluster.run(['status', '--json']);
        expect(anew.code).toBe(1);
        expect((JSON.parse(anew.stdout) as { lag: unknown }[]).map(({ lag }) => lag)).toEqual([null, null]);
        expect(anew.stderr).toMatch(
          /shard 1: lag: .*ends at 0, before \d+, which was consumed; it was made anew or lost its tail \[LOG_BEHIND]/,
        );
      });
    },
    TIMEOUT_MS,
  );

  test(
    'topics check compares with the policy, and knows what compression.type does',
    () =>
      onCluster(stack, { shards: 2 }, async (cluster) => {
        expect((await cluster.run(['topics', 'check'])).code).toBe(0);
        const other = await cluster.run(['topics', 'check', '--shards', '3']);
        expect([other.code, other.stdout]).toEqual([1, expect.stringMatching(/REFUSE .*holds a policy of 2 shards, and --shards is 3/)]);
        const admin = cluster.kafka.admin();
        await admin.connect();
        const set = async (value: string): Promise<string> => {
          const name = `${cluster.topicPrefix}${TOPICS.events}`;
          const kept = {
            'cleanup.policy': 'delete',
            'retention.ms': '-1',
            'retention.bytes': '-1',
            'message.timestamp.type': 'LogAppendTime',
          };
          const more = { 'unclean.leader.election.enable': 'false', 'max.message.bytes': '2097152', 'compression.type': value };
          const configEntries = Object.entries({ ...kept, ...more }).map(([key, each]) => ({ name: key, value: each }));
          await admin.alterConfigs({ validateOnly: false, resources: [{ type: 2, name, configEntries }] });
          const { code, stdout } = await cluster.run(['topics', 'check']);
          return `${code} ${stdout.split('\n').find((line) => line.includes('compression.type')) ?? ''}`;
        };
        try {
          expect(await set('zstd')).toMatch(/^1 REFUSE .*compression\.type=zstd; set it to producer/);
          expect(await set('uncompressed')).toMatch(/^0 warning .*compression\.type=uncompressed; set it to producer: the broker unpacks/);
          expect(await set('producer')).toBe('0 ');
        } finally {
          await admin.disconnect();
        }
      }),
    TIMEOUT_MS,
  );
});
