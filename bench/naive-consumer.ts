import { Redis } from 'ioredis';
import { type KafkaMessage, Partitioners } from 'kafkajs';
import { importPublicKey, sha256, verifyEd25519 } from '#crypto';
import { kafkaClient } from '../adapters/kafka-client.ts';
import { pinoLogger } from '../adapters/pino-logger.ts';
import { fromHex, toHex } from '../core/base/bytes.ts';
import { LineproofError } from '../core/base/errors.ts';
import { EVENT_SCHEMA } from '../core/formats/event-schema.ts';
import { encodeNaiveEntry, hashNaiveEntry, NAIVE_START, NAIVE_TOPICS, SIGNATURE_HEADER } from './naive-entry.ts';

/** The argument of the process, as JSON. */
export interface NaiveConsumerOptions {
  readonly brokers: readonly string[];
  readonly topicPrefix: string;
  readonly redisUrl: string;
  /** Hex of the producer's public key. */
  readonly publicKey: string;
  readonly shards: number;
  /** Number of events that share one request to Redis and one to Kafka. */
  readonly group: number;
}

/** Messages to the parent process: that this one is in its group, then how many more events it has finished. */
export type NaiveProgress = { readonly ready: true } | { readonly done: number };

const REQUEST_TIMEOUT_MS = 10_000;
const MAX_WAIT_MS = 100;
/** The default dedup window of a cluster's policy. */
const WINDOW_MS = 3_600_000;

/**
 * The consumer of the baseline, a separate process as a chainer is. For each event it verifies the signature, asks Redis by `SET NX` whether the event
 * is new, and appends one entry to the hash chain of its partition, awaited with acks=all. It works on all partitions at the same time.
 */
async function consume(options: NaiveConsumerOptions, tell: (progress: NaiveProgress) => void): Promise<void> {
  const { brokers, topicPrefix, redisUrl, shards, group } = options;
  const settings = { brokers, clientId: 'naive-consumer', topicPrefix, tls: false, requestTimeoutMs: REQUEST_TIMEOUT_MS } as const;
  const kafka = kafkaClient(settings, pinoLogger('error'));
  const redis = new Redis(redisUrl, { maxRetriesPerRequest: 0, enableAutoPipelining: false });
  const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner });
  const consumer = kafka.consumer({ groupId: `${topicPrefix}naive`, maxWaitTimeInMs: MAX_WAIT_MS });
  const publicKey = importPublicKey(fromHex(options.publicKey));
  const heads = Array.from({ length: shards }, () => NAIVE_START);

  const isNew = async (keys: readonly string[]): Promise<readonly boolean[]> => {
    if (keys.length === 1) return [(await redis.set(keys[0] as string, '1', 'PX', WINDOW_MS, 'NX')) === 'OK'];
    const pipeline = redis.pipeline();
    for (const key of keys) pipeline.set(key, '1', 'PX', WINDOW_MS, 'NX');
    return ((await pipeline.exec()) ?? []).map(([error, answer]) => {
      if (error !== null) throw error;
      return answer === 'OK';
    });
  };

  const chain = async (partition: number, messages: readonly KafkaMessage[]): Promise<void> => {
    const keys = messages.map(({ value, headers, offset }) => {
      const event = value as Buffer;
      if (!verifyEd25519(publicKey, event, headers?.[SIGNATURE_HEADER] as Buffer))
        throw new LineproofError('SIGNATURE_INVALID', `cannot take the event at ${partition}/${offset}: its signature does not verify`);
      const { id, stream } = EVENT_SCHEMA.readHead(event);
      return `${topicPrefix}${stream} ${toHex(id)}`;
    });
    const fresh = await isNew(keys);
    const entries = messages
      .filter((_, i) => fresh[i])
      .map(({ value, offset }) => {
        const previous = heads[partition] as Uint8Array;
        const entry = encodeNaiveEntry({ previous, digest: sha256(value as Buffer), offset: Number(offset) });
        heads[partition] = hashNaiveEntry(entry);
        return { key: null, value: entry, partition };
      });
    if (entries.length === 0) return;
    const answer = await producer.send({ topic: topicPrefix + NAIVE_TOPICS.chain, acks: -1, messages: entries });
    if (answer.length === 0) throw new LineproofError('UNAVAILABLE', 'cannot append to the chain: the broker acknowledged nothing');
  };

  await Promise.all([producer.connect(), consumer.connect()]);
  await consumer.subscribe({ topics: [topicPrefix + NAIVE_TOPICS.events], fromBeginning: true });
  consumer.on(consumer.events.GROUP_JOIN, () => tell({ ready: true }));
  // After an error of a handler the library tries again for a while; here it ends the run.
  consumer.on(consumer.events.CRASH, ({ payload }) => fail(payload.error));
  await consumer.run({
    partitionsConsumedConcurrently: shards,
    eachBatch: async ({ batch, heartbeat, resolveOffset }) => {
      for (let i = 0; i < batch.messages.length; i += group) {
        const messages = batch.messages.slice(i, i + group);
        await chain(batch.partition, messages);
        resolveOffset((messages.at(-1) as KafkaMessage).offset);
        tell({ done: messages.length });
        await heartbeat();
      }
    },
  });
}

function fail(error: unknown): never {
  process.stderr.write(`naive consumer: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exit(1);
}

process.once('disconnect', () => process.exit(0));
consume(JSON.parse(process.argv[2] ?? '{}') as NaiveConsumerOptions, (progress) => process.send?.(progress)).catch(fail);
