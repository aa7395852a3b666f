import { randomBytes } from 'node:crypto';
import { openKafkaLog } from '../../adapters/kafka-log.ts';
import { pinoLogger } from '../../adapters/pino-logger.ts';
import { logContract } from './log-contract.ts';

logContract('Kafka', async () => {
  const prefix = `t${randomBytes(6).toString('hex')}`;
  return {
    prefix: 'contract',
    open: async () => openKafkaLog({ brokers: ['127.0.0.1:19092'], clientId: 'test', topicPrefix: prefix, tls: false, requestTimeoutMs: 10_000 }, pinoLogger('error')),
    release: async () => undefined,
  };
});
