import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { beforeAll } from '@jest/globals';
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
});
