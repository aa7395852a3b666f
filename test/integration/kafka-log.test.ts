import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { beforeAll, expect, test } from '@jest/globals';
import { Kafka, logLevel, Partitioners } from 'kafkajs';
import type { KafkaSettings } from '../../adapters/kafka-client.ts';
import { openKafkaLog } from '../../adapters/kafka-log.ts';
import { logContract } from '../contract/log-contract.ts';
import { TestLogger } from '../support/memory.ts';
import { describeOnStack, STACK_TIMEOUT_MS, type StackSettings, testStack } from '../support/stack.ts';

let kafka: StackSettings['kafka'];

function settings(): KafkaSettings {
  return {
    brokers: kafka.brokers,
    clientId: 'test',
    topicPrefix: `t${randomBytes(6).toString('hex')}.`,
    tls: false,
    requestTimeoutMs: 10_000,
  };
}

function suite(name: string, change: (given: KafkaSettings) => KafkaSettings): void {
  logContract(name, async () => {
    const place = change(settings());
    return { prefix: 'contract', open: async () => openKafkaLog(place, new TestLogger()), release: async () => undefined };
  });
}

/** Commits a message in a transaction, which leaves a marker behind it. */
async function commitOne(topic: string): Promise<void> {
  const producer = new Kafka({ brokers: [...kafka.brokers], logLevel: logLevel.NOTHING }).producer({
    transactionalId: topic,
    maxInFlightRequests: 1,
    idempotent: true,
    createPartitioner: Partitioners.DefaultPartitioner,
  });
  await producer.connect();
  const transaction = await producer.transaction();
  await transaction.send({ topic, messages: [{ partition: 0, value: 'committed' }] });
  await transaction.commit();
  await producer.disconnect();
}

describeOnStack('the log on Kafka', () => {
  beforeAll(async () => {
    ({ kafka } = await testStack());
  }, STACK_TIMEOUT_MS);

  suite('Kafka', (given) => given);

  suite('Kafka by TLS and SCRAM-SHA-256', (given) => ({
    ...given,
    brokers: kafka.secure.brokers,
    tls: { ca: readFileSync(kafka.secure.caFile, 'utf8') },
    sasl: { mechanism: 'scram-sha-256', ...kafka.secure.scramSha256 },
  }));

  suite('Kafka by TLS and PLAIN', (given) => ({
    ...given,
    brokers: kafka.secure.brokers,
    tls: { ca: readFileSync(kafka.secure.caFile, 'utf8') },
    sasl: { mechanism: 'plain', ...kafka.secure.plain },
  }));

  test('records after the marker of a transaction are read, also by a reader that does not wait and gets one batch at a time', async () => {
    const given = settings();
    const log = openKafkaLog(given, new TestLogger());
    try {
      await log.ensureTopic('marked', { partitions: 1 });
      await commitOne(`${given.topicPrefix}marked`);
      // The marker comes when the coordinator gets round to it.
      let { end } = await log.bounds('marked', 0);
      while (end < 2) ({ end } = await log.bounds('marked', 0));
      const { offset } = await log.append('marked', 0, [{ key: null, value: new Uint8Array([7]) }]);
      expect(offset).toBe(2);
      const read = await log.read('marked', 0, 1, { maxBytes: 1, waitMs: 0 });
      expect(read.map((record) => record.offset)).toEqual([2]);
      expect(await log.read('marked', 0, 3, { maxBytes: 1, waitMs: 0 })).toEqual([]);
    } finally {
      await log.close();
    }
  }, 60_000);
});
