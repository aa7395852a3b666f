import type { ChildProcess } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Message, Partitioners, type Producer } from 'kafkajs';
import { importPrivateKey, importPublicKey, type PrivateKey, randomBytes, sha256, signEd25519, verifyEd25519 } from '#crypto';
import { kafkaClient } from '../adapters/kafka-client.ts';
import { openKafkaLog } from '../adapters/kafka-log.ts';
import { pinoLogger } from '../adapters/pino-logger.ts';
import { equal, toHex } from '../core/base/bytes.ts';
import { LineproofError } from '../core/base/errors.ts';
import { EVENT_SCHEMA } from '../core/formats/event-schema.ts';
import { formatUuid } from '../core/formats/identity.ts';
import { shardOf } from '../core/formats/shard.ts';
import { isRecord, type Log, type LogEntry, type LogRecord, offsetAfter } from '../core/ports/log.ts';
import { buildEvent } from '../sdk/event-builder.ts';
import type { EventInput } from '../sdk/event-input.ts';
import { endChild, startNode } from './children.ts';
import type { LocalStack } from './local-stack.ts';
import type { NaiveConsumerOptions, NaiveProgress } from './naive-consumer.ts';
import { decodeNaiveEntry, hashNaiveEntry, NAIVE_START, NAIVE_TOPICS, SIGNATURE_HEADER } from './naive-entry.ts';
import { processorMicrosOf } from './processor-time.ts';
import type { BenchSystem, Checked } from './system.ts';

const REQUEST_TIMEOUT_MS = 10_000;
const READ_BYTES = 4 * 1024 * 1024;
const POLL_MS = 10;

/**
 * The baseline: a first and simple design of provenance, with the same libraries on the same servers. For each event it has one Ed25519 signature, one Kafka
 * message (acks=all, awaited by the caller), and in the consumer one verification, one `SET NX` and one message with an entry of a hash chain.
 *
 * It shares with the product: the codec (faster than avsc), the cached Ed25519 keys of node:crypto, the settings of kafkajs and of the topics, one
 * partition for each shard, all worked on at the same time, and the number of callers. It keeps no spool, no archive and no tree, so it proves much less.
 * Its events are neither on the producer's disk nor in S3, and it loses an event if its consumer ends between `SET NX` and append.
 * "Archived" means "in the chain" here. Its verification reads both topics, and checks every signature again, and every entry against its event.
 *
 * With `group` 1 it is naive: callers and consumer await every call, event by event. With a larger `group`, a caller signs and sends that many
 * events in one request, and the consumer sends that many `SET NX` in one pipeline and that many entries in one request. That is still one of each for
 * each event, but the improvement that a sceptic would make next. It then keeps no order within a stream, because requests of several callers overtake each other.
 */
export async function openNaiveSystem(stack: LocalStack, shards: number, group: number): Promise<BenchSystem> {
  const topicPrefix = `naive-${toHex(randomBytes(6))}.`;
  const { brokers } = stack.kafka;
  const settings = { brokers, clientId: 'naive', topicPrefix, tls: false, requestTimeoutMs: REQUEST_TIMEOUT_MS } as const;
  const logger = pinoLogger('error');
  const log = openKafkaLog(settings, logger);
  for (const topic of Object.values(NAIVE_TOPICS)) await log.ensureTopic(topic, { partitions: shards });
  const producer = kafkaClient(settings, logger).producer({ createPartitioner: Partitioners.DefaultPartitioner });
  await producer.connect();
  const key = importPrivateKey(randomBytes(32));
  const publicKey = toHex(key.publicKey);
  const consumer = new Consumer({ brokers, topicPrefix, redisUrl: stack.redis.url, publicKey, shards, group });
  await consumer.until('joined its group', () => consumer.ready);
  return new NaiveSystem({ stack, shards, group, topicPrefix, log, producer, consumer, key });
}

/** The consumer's process. */
class Consumer {
  readonly #child: ChildProcess;
  ready = false;
  /** Events that are in the chain, or were found to be repeated. */
  done = 0;
  /** performance.now(). */
  lastAtMs = Number.NaN;

  constructor(options: NaiveConsumerOptions) {
    const main = new URL('./naive-consumer.js', import.meta.url).pathname;
    this.#child = startNode([main, JSON.stringify(options)], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    this.#child.on('message', (progress: NaiveProgress) => {
      if ('ready' in progress) this.ready = true;
      else this.done += progress.done;
      this.lastAtMs = performance.now();
    });
  }

  /** Resolves when `condition` holds. Throws UNAVAILABLE once the process has ended. */
  async until(what: string, condition: () => boolean): Promise<void> {
    while (!condition()) {
      const { exitCode, signalCode } = this.#child;
      if (exitCode !== null || signalCode !== null)
        throw new LineproofError('UNAVAILABLE', `cannot go on: the naive consumer ended with ${exitCode ?? signalCode} before it ${what}`);
      await sleep(POLL_MS);
    }
  }

  processorMicros(): number {
    return processorMicrosOf(this.#child.pid ?? 0);
  }

  end(): Promise<void> {
    return endChild(this.#child);
  }
}

interface NaiveParts {
  readonly stack: LocalStack;
  readonly shards: number;
  readonly group: number;
  readonly topicPrefix: string;
  readonly log: Log;
  readonly producer: Producer;
  readonly consumer: Consumer;
  readonly key: PrivateKey;
}

class NaiveSystem implements BenchSystem {
  readonly name = 'naive';
  readonly settings: BenchSystem['settings'];
  readonly #parts: NaiveParts;
  /** Messages that a caller has signed and not sent yet. */
  #unsent: Message[] = [];
  #recorded = 0;

  constructor(parts: NaiveParts) {
    this.#parts = parts;
    this.settings = { shards: parts.shards, group: parts.group };
  }

  /** Signs the event. It is sent with the caller's next event that is recorded durably, or at the end. */
  record(input: EventInput): string {
    const event = buildEvent(input);
    const bytes = EVENT_SCHEMA.encode(event);
    const signature = Buffer.from(signEd25519(this.#parts.key, bytes));
    const value = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#unsent.push({ key: null, value, headers: { [SIGNATURE_HEADER]: signature }, partition: this.shardOf(event.stream) });
    this.#recorded++;
    return formatUuid(event.id);
  }

  async recordDurably(input: EventInput): Promise<string> {
    const id = this.record(input);
    await this.#send();
    return id;
  }

  async #send(): Promise<void> {
    const { producer, topicPrefix } = this.#parts;
    const messages = this.#unsent;
    if (messages.length === 0) return;
    this.#unsent = [];
    const answer = await producer.send({ topic: topicPrefix + NAIVE_TOPICS.events, acks: -1, messages });
    if (answer.length === 0) throw new LineproofError('UNAVAILABLE', 'cannot send events: the broker acknowledged nothing');
  }

  shardOf(stream: string): number {
    return shardOf(stream, this.#parts.shards);
  }

  othersMicros(): Readonly<Record<string, number>> {
    return { consumer: this.#parts.consumer.processorMicros(), ...this.#parts.stack.processorMicros() };
  }

  acceptedAtMs(): number {
    return this.#parts.consumer.lastAtMs;
  }

  attestations(): readonly never[] {
    return [];
  }

  async finish(): Promise<void> {
    const { consumer } = this.#parts;
    await this.#send();
    await consumer.until('was done with every event', () => consumer.done >= this.#recorded);
  }

  async verify(): Promise<Checked> {
    const { shards, log, key } = this.#parts;
    let links = 0;
    for (let shard = 0; shard < shards; shard++) links += await checkChain(log, shard, key.publicKey);
    return { ok: true, links, verdict: 'every entry follows the one before, every event is as it was signed' };
  }

  async close(): Promise<void> {
    const { consumer, producer, log } = this.#parts;
    await consumer.end();
    await producer.disconnect();
    await log.close();
  }
}

/** Checks one partition's chain against its events; returns the number of its entries. Throws FORMAT_INVALID or SIGNATURE_INVALID if it does not verify. */
async function checkChain(log: Log, shard: number, rawKey: Uint8Array): Promise<number> {
  const publicKey = importPublicKey(rawKey);
  const seen = new Set<string>();
  const events = readAll(log, NAIVE_TOPICS.events, shard);
  let head = NAIVE_START;
  for await (const { offset, value } of readAll(log, NAIVE_TOPICS.chain, shard)) {
    const entry = decodeNaiveEntry(value);
    const event = await recordAt(events, entry.offset);
    if (event === undefined || !equal(entry.previous, head) || !equal(entry.digest, sha256(event.value)))
      throw new LineproofError('FORMAT_INVALID', `cannot verify the naive chain: entry ${shard}/${offset} does not fit`);
    if (!verifyEd25519(publicKey, event.value, event.headers[SIGNATURE_HEADER] ?? new Uint8Array(0)))
      throw new LineproofError(
        'SIGNATURE_INVALID',
        `cannot verify the naive chain: event ${shard}/${entry.offset} is not as it was signed`,
      );
    const { id, stream } = EVENT_SCHEMA.readHead(event.value);
    const identity = `${stream} ${toHex(id)}`;
    if (seen.has(identity))
      throw new LineproofError('FORMAT_INVALID', `cannot verify the naive chain: entry ${shard}/${offset} is the second for its event`);
    seen.add(identity);
    head = hashNaiveEntry(value);
  }
  return seen.size;
}

/** The record at `offset`; skips the records before it. */
async function recordAt(records: AsyncGenerator<LogRecord>, offset: number): Promise<LogRecord | undefined> {
  for (;;) {
    const { value, done } = await records.next();
    if (done === true) return undefined;
    if (value.offset === offset) return value;
  }
}

async function* readAll(log: Log, topic: string, shard: number): AsyncGenerator<LogRecord> {
  const { end } = await log.bounds(topic, shard);
  for (let offset = 0; offset < end; ) {
    const records = await log.read(topic, shard, offset, { maxBytes: READ_BYTES, waitMs: 0 });
    if (records.length === 0) return;
    yield* records.filter(isRecord);
    offset = offsetAfter(records.at(-1) as LogEntry);
  }
}
