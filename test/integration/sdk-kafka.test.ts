import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createKafkaTopics, kafkaAdmin } from '../../adapters/kafka-topics.ts';
import { unframe } from '../../core/avro/framing.ts';
import { decodeBatchHeader, decodeSignedBatch } from '../../core/formats/batch.ts';
import { TOPICS } from '../../core/ports/log.ts';
import { connectKafka, type KafkaConnection, type KafkaOptions } from '../../sdk/kafka.ts';
import { createCollector, keySigner } from '../../sdk/lineproof.ts';
import { temporaryFolder } from '../support/command.ts';
import { recordsOf } from '../support/log-records.ts';
import { TestLogger } from '../support/memory.ts';
import { describeOnStack, STACK_TIMEOUT_MS, type StackSettings, testStack } from '../support/stack.ts';

const folder = temporaryFolder('sdk-kafka');
const topicPrefix = `sdk${randomBytes(6).toString('hex')}.`;
const opened: KafkaConnection[] = [];
let stack: StackSettings;

/** The same entry as the SDK package has it: it asks the registry through files that the build copied. */
async function connectOfPackage(): Promise<typeof connectKafka> {
  const entry = new URL('../../dist/sdk-package/sdk/kafka.js', import.meta.url).href;
  return ((await import(entry)) as { connectKafka: typeof connectKafka }).connectKafka;
}

function open(options: Partial<KafkaOptions> = {}, connect = connectKafka): KafkaConnection {
  const connection = connect({ brokers: stack.kafka.brokers, topicPrefix, registry: stack.registry, ...options });
  opened.push(connection);
  return connection;
}

describeOnStack('a service on Kafka', () => {
  beforeAll(async () => {
    stack = await testStack();
    const settings = { brokers: stack.kafka.brokers, clientId: 'test', topicPrefix, tls: false as const, requestTimeoutMs: 10_000 };
    await createKafkaTopics(kafkaAdmin(settings, new TestLogger()), { [TOPICS.events]: 2 });
  }, STACK_TIMEOUT_MS);

  afterAll(async () => {
    for (const connection of opened) await connection.close();
    folder.release();
  });

  test.each<[string, () => Partial<KafkaOptions>, typeof connectOfPackage?]>([
    ['in clear', () => ({})],
    ['from the SDK package', () => ({}), connectOfPackage],
    [
      'by TLS and SCRAM',
      () => ({
        brokers: stack.kafka.secure.brokers,
        tls: { ca: readFileSync(stack.kafka.secure.caFile, 'utf8') },
        sasl: { mechanism: 'scram-sha-256', ...stack.kafka.secure.scramSha256 },
      }),
    ],
  ])(
    'records, flushes, and closes with nothing left, %s',
    async (_, options, connect = () => Promise.resolve(connectKafka)) => {
      const connection = open(options(), await connect());
      const before = await Promise.all([0, 1].map((shard) => connection.log.bounds(TOPICS.events, shard)));
      const collector = await createCollector({
        origin: 'test',
        shards: 2,
        signer: keySigner('test/service', randomBytes(32)),
        log: connection.log,
        registry: connection.registry,
        spool: { folder: `${folder.path}/${randomBytes(4).toString('hex')}` },
      });
      for (let i = 0; i < 500; i++) collector.record({ stream: `s${i % 7}`, type: 'CREATE', actor: 'test' });
      await collector.flush();
      expect(await collector.close()).toBe(true);
      let events = 0;
      for (const shard of [0, 1]) {
        const from = before[shard]?.end ?? 0;
        for (const { value } of recordsOf(await connection.log.read(TOPICS.events, shard, from, { maxBytes: 1e7, waitMs: 0 })))
          events += decodeBatchHeader(decodeSignedBatch(unframe(value).payload).header).count;
      }
      expect(events).toBe(500);
    },
    60_000,
  );

  test('starts, and records on disk, while no broker is there', async () => {
    const connection = open({ brokers: ['127.0.0.1:1'] });
    const collector = await createCollector({
      origin: 'test',
      shards: 2,
      signer: keySigner('test/service', randomBytes(32)),
      log: connection.log,
      registry: connection.registry,
      spool: { folder: `${folder.path}/away` },
    });
    await collector.recordDurably({ stream: 's', type: 'CREATE', actor: 'test' });
    expect(await collector.close(500)).toBe(false);
  }, 60_000);
});
