import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeAll, expect, test } from '@jest/globals';
import { Partitioners, type Producer } from 'kafkajs';
import { type ArchivedEventView, queryArchive } from '../../auditor/query.ts';
import { TOPICS } from '../../core/ports/log.ts';
import { ChainTail, type ClusterService, onCluster, type TestCluster, until } from '../support/cluster.ts';
import { linesFile, loadLines } from '../support/cluster-load.ts';
import { lineproof } from '../support/command.ts';
import { describeOnStack, STACK_TIMEOUT_MS, type StackSettings, testStack } from '../support/stack.ts';

const TIMEOUT_MS = 5 * 60_000;

/** Each stream's events in its order, whole, with shard, place in the stream and producer: what a link says, times and leaves apart. */
async function streamsOf(events: AsyncIterable<ArchivedEventView> | Iterable<ArchivedEventView>): Promise<Record<string, unknown[]>> {
  const streams: Record<string, unknown[]> = {};
  for await (const { shard, streamIndex, producer, event } of events) {
    if (event === null) continue;
    streams[event.stream] ??= [];
    streams[event.stream]?.push({ shard, streamIndex, producer, event });
  }
  return streams;
}

interface Transaction {
  end(): Promise<void>;
}

/** A transaction with one message on each partition of each topic, which stays open until it is ended. */
async function openTransaction(cluster: TestCluster): Promise<Transaction> {
  const producer: Producer = cluster.kafka.producer({
    transactionalId: `${cluster.topicPrefix}open`,
    maxInFlightRequests: 1,
    idempotent: true,
    transactionTimeout: 600_000,
    createPartitioner: Partitioners.DefaultPartitioner,
  });
  await producer.connect();
  const transaction = await producer.transaction();
  for (const topic of Object.values(TOPICS)) {
    const partitions = topic === TOPICS.control ? 1 : cluster.shards;
    const messages = Array.from({ length: partitions }, (_, partition) => ({ partition, value: 'never committed' }));
    await transaction.send({ topic: cluster.topicPrefix + topic, messages });
  }
  return {
    end: async () => {
      await transaction.abort();
      await producer.disconnect();
    },
  };
}

async function lags(cluster: TestCluster): Promise<readonly number[]> {
  return (await cluster.status()).map(({ lag }) => lag);
}

/** Seconds between blocks of one shard that follow each other, the most over all shards. */
function longestGap(tail: ChainTail): number {
  const gaps = tail.seals.flatMap((seals) => seals.slice(1).map(({ acceptedAt }, i) => acceptedAt - (seals[i]?.acceptedAt as number)));
  return Math.max(...gaps) / 1e6;
}

describeOnStack('operating the services', () => {
  let stack: StackSettings;
  let transaction: Transaction | undefined;
  afterEach(async () => {
    await transaction?.end();
    transaction = undefined;
  });
  beforeAll(async () => {
    stack = await testStack();
  }, STACK_TIMEOUT_MS);

  test(
    'the same input gives the same streams on Kafka and embedded, and both archives verify',
    () =>
      onCluster(stack, { shards: 2 }, async (cluster) => {
        const lines = loadLines(0, 3000, 12);
        const again = lines.filter((_, i) => i % 20 === 0);
        const file = linesFile(join(cluster.folder, 'lines'), [...lines, ...again]);
        const data = join(cluster.folder, 'embedded');
        await cluster.must([
          'emit',
          '--quiet',
          '--data',
          data,
          '--origin',
          cluster.origin,
          '--shards',
          '2',
          '--segment-max-age-ms',
          '1000',
          file,
        ]);
        const { stdout } = await cluster.must(['start', '--until-idle', '--verify', '--json', '--data', data, '--shards', '2']);
        expect(JSON.parse(stdout).verdict.ok).toBe(true);
        const services = [cluster.start('chain', 'chainer'), cluster.start('archive', 'archiver')];
        await Promise.all(services.map((service) => service.ready()));
        await cluster.emit('collector', file);
        const tail = new ChainTail(cluster.log, cluster.shards);
        await until('all is linked', async () => (await tail.links()) >= lines.length);
        await cluster.archived(tail);
        await cluster.mustVerify();
        expect(await cluster.counts()).toEqual({ links: lines.length, duplicates: again.length, conflicts: 0, repeated: 0, rejected: 0 });
        const queried = (await lineproof(['query', join(data, 'archive'), '--json'])).stdout.trim().split('\n');
        const embedded = await streamsOf(queried.map((line) => JSON.parse(line) as ArchivedEventView));
        expect(Object.values(embedded).flat()).toHaveLength(lines.length);
        expect(await streamsOf(queryArchive(cluster.objects, {}))).toEqual(embedded);
      }),
    TIMEOUT_MS,
  );

  test(
    'a transaction that a client leaves open on every topic stalls nothing, and lag is what really waits',
    () =>
      onCluster(stack, { shards: 2 }, async (cluster) => {
        transaction = await openTransaction(cluster);
        const archiver = cluster.start('archive', 'archiver');
        const chainer = cluster.start('chain', 'chainer');
        await Promise.all([archiver.ready(), chainer.ready()]);
        const emit = (from: number, to: number): Promise<void> =>
          cluster.emit('collector', linesFile(join(cluster.folder, `lines-${from}`), loadLines(0, to, 8).slice(from)));
        await emit(0, 2000);
        const tail = new ChainTail(cluster.log, cluster.shards);
        await until('all is linked', async () => (await tail.links()) >= 2000);
        await cluster.archived(tail);
        await until('nothing waits', async () => (await lags(cluster)).every((lag) => lag === 0));
        expect(await chainer.end('SIGTERM')).toBe(0);
        await emit(2000, 4000);
        for (const { shard, lag, lagSeconds } of await cluster.status()) {
          const { end } = await cluster.log.bounds(TOPICS.events, shard);
          const consumed = tail.seals[shard]?.at(-1)?.inputTo as number;
          expect([shard, lag]).toEqual([shard, end - consumed]);
          expect(lag).toBeGreaterThan(0);
          expect(lagSeconds).toBeGreaterThan(0);
        }
        const next = cluster.start('chain', 'chainer');
        await until('all is linked', async () => (await tail.links()) >= 4000);
        await until('nothing waits', async () => (await lags(cluster)).every((lag) => lag === 0));
        await transaction.end();
        transaction = undefined;
        await until('nothing waits behind the markers', async () => (await lags(cluster)).every((lag) => lag === 0));
        await cluster.archived(tail);
        for (const service of [archiver, next]) expect([service.name, service.alarms()]).toEqual([service.name, []]);
        await cluster.mustVerify();
        expect(await cluster.counts()).toEqual({ links: 4000, duplicates: 0, conflicts: 0, repeated: 0, rejected: cluster.shards });
      }),
    TIMEOUT_MS,
  );

  test(
    'all chainers and archivers are restarted one after the other under load, and each hands its shards over when it gets the signal to end',
    () =>
      onCluster(stack, { shards: 4 }, async (cluster) => {
        const lines = loadLines(0, 200_000, 32);
        const kinds = ['chain', 'archive'] as const;
        const services = kinds.flatMap((kind) => ['a', 'b'].map((letter) => ({ kind, name: `${kind}-${letter}` })));
        const running = new Map<string, ClusterService>();
        for (const { kind, name } of services) running.set(name, cluster.start(kind, name));
        await Promise.all([...running.values()].map((service) => service.ready()));
        const tail = new ChainTail(cluster.log, cluster.shards);
        const feed = cluster.feed('collector');
        let sent = 0;
        const load = setInterval(() => {
          const some = lines.slice(sent, sent + 100);
          sent += some.length;
          feed.write(some);
        }, 50);
        await until('some are linked', async () => (await tail.links()) > 0);
        const handedOver: string[] = [];
        try {
          for (const { kind, name } of services) {
            const told = performance.now();
            const ended = running.get(name)?.end('SIGTERM');
            await until(`${name} has no shard`, async () =>
              (await cluster.owners(kind)).every((owner) => owner !== undefined && owner !== name),
            );
            handedOver.push(`${name} ${((performance.now() - told) / 1000).toFixed(1)} s`);
            expect([name, await ended]).toEqual([name, 0]);
            running.set(name, cluster.start(kind, name));
            await until(`${name} is back`, async () => (await cluster.owners(kind)).includes(name));
          }
        } finally {
          clearInterval(load);
        }
        expect(await feed.end()).toBe(0);
        await until('all is linked', async () => (await tail.links()) >= sent);
        await cluster.archived(tail);
        process.stdout.write(
          `handed over after ${handedOver.join(', ')}; longest gap in attested time ${longestGap(tail).toFixed(1)} s, ${sent} events\n`,
        );
        await cluster.mustVerify();
        expect(await cluster.counts()).toEqual({ links: sent, duplicates: 0, conflicts: 0, repeated: 0, rejected: 0 });
      }),
    TIMEOUT_MS,
  );

  test(
    'a service refuses to start on topics that break its protocol, and says what to do',
    () =>
      onCluster(stack, { shards: 1 }, async (cluster) => {
        const admin = cluster.kafka.admin();
        await admin.connect();
        const configure = (topic: string, name: string, value: string): Promise<unknown> =>
          admin.alterConfigs({
            validateOnly: false,
            resources: [{ type: 2, name: cluster.topicPrefix + topic, configEntries: [{ name, value }] }],
          });
        // All settings that are not named fall back to the broker's own.
        await configure(TOPICS.events, 'retention.ms', '86400000');
        await admin.disconnect();
        for (const command of ['chain', 'archive'] as const) {
          const { code, stderr } = await cluster.run([command, '--data', join(cluster.folder, command)]);
          expect([command, code]).toEqual([command, 78]);
          expect(stderr).toMatch(/provenance\.events has retention\.ms=86400000; set it to -1/);
          expect(stderr).toMatch(/message\.timestamp\.type=CreateTime; set it to LogAppendTime/);
        }
      }),
    TIMEOUT_MS,
  );

  test(
    'a service refuses to start on a registry that answers HTML, and says what to do',
    () =>
      onCluster(stack, { shards: 1 }, async (cluster) => {
        const server = createServer((_, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<html>Log in</html>'));
        await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
        try {
          const { port } = server.address() as AddressInfo;
          const env = { LINEPROOF_REGISTRY_URL: `http://127.0.0.1:${port}` };
          for (const command of ['chain', 'archive'] as const) {
            const { code, stderr } = await cluster.run([command, '--data', join(cluster.folder, command)], env);
            expect([command, code, stderr]).toEqual([
              command,
              78,
              expect.stringMatching(/not a JSON object: <html>Log in.*set registryUrl to/),
            ]);
          }
        } finally {
          server.close();
        }
      }),
    TIMEOUT_MS,
  );
});
