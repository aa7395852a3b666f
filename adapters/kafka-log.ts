import type { Kafka } from 'kafkajs';
import { LineproofError } from '../core/base/errors.ts';
import type { Appended, Log, LogBounds, LogRecord, NewRecord, ReadOptions, TopicSettings } from '../core/ports/log.ts';
import type { Logger } from '../core/ports/logger.ts';
import {
  askLeader,
  type KafkaBroker,
  type KafkaCluster,
  type KafkaMessage,
  type KafkaNewMessage,
  type KafkaSettings,
  kafkaClient,
  kafkaCluster,
} from './kafka-client.ts';
import { ensureKafkaTopic } from './kafka-topics.ts';

const READ_UNCOMMITTED = 0;
const EARLIEST = -2;
const LATEST = -1;
/** The broker's limit of a message applies to a record batch: the records of one request stay below it. */
const REQUEST_BYTES = 900_000;
/** A long fetch is made in pieces, so that an abort takes effect soon. */
const MAX_WAIT_MS = 500;
const EMPTY = new Uint8Array(0);

/** Opens the {@link Log} on a Kafka cluster. Connects at the first use. */
export function openKafkaLog(settings: KafkaSettings, logger: Logger): Log {
  return new KafkaLog(kafkaClient(settings, logger), settings, logger);
}

/** One fetch: records of about `maxBytes` from `offset` on, awaited for `waitMs`. */
interface Fetch {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly waitMs: number;
  readonly maxBytes: number;
}

/** The connections that read one partition, and the fetch that is under way. */
interface Reader {
  readonly cluster: KafkaCluster;
  turn: Promise<void>;
}

/**
 * Appends are one produce request with acks −1, never sent again by the client. Reads are fetches from an offset, uncommitted records included:
 * an open transaction of another client must not stop a reader.
 */
class KafkaLog implements Log {
  readonly #kafka: Kafka;
  readonly #requestTimeoutMs: number;
  readonly #prefix: string;
  readonly #logger: Logger;
  /** The connections for everything but reading. */
  readonly #cluster: KafkaCluster;
  /** One for each partition that is read: a broker answers a connection's requests in turn, and a fetch may wait. */
  readonly #readers = new Map<string, Reader>();
  readonly #closing = new AbortController();
  readonly #requests = new Set<Promise<unknown>>();

  constructor(kafka: Kafka, settings: KafkaSettings, logger: Logger) {
    this.#kafka = kafka;
    this.#requestTimeoutMs = settings.requestTimeoutMs;
    this.#prefix = settings.topicPrefix;
    this.#logger = logger;
    this.#cluster = kafkaCluster(kafka);
  }

  async ensureTopic(topic: string, settings: TopicSettings): Promise<void> {
    this.#mustBeOpen('create topic');
    await ensureKafkaTopic({ kafka: this.#kafka, prefix: this.#prefix }, topic, settings.partitions, this.#logger);
  }

  async append(topic: string, partition: number, records: readonly NewRecord[]): Promise<Appended> {
    this.#mustBeOpen(`append to ${topic}`);
    let first: Appended | undefined;
    for (const group of requestsOf(records)) {
      const appended = await this.#produce(topic, partition, group);
      first ??= appended;
    }
    return first ?? { offset: (await this.bounds(topic, partition)).end, timestampMicros: undefined };
  }

  async #produce(name: string, partition: number, records: readonly NewRecord[]): Promise<Appended> {
    const topic = this.#prefix + name;
    const act = `append to ${topic}/${partition}`;
    const timestamp = Date.now();
    const messages = records.map((record) => messageOf(record, timestamp));
    return this.#ask(this.#cluster, { topic, partition }, act, async (broker) => {
      const topicData = [{ topic, partitions: [{ partition, messages }] }];
      const answer = await broker.produce({ acks: -1, timeout: this.#requestTimeoutMs, topicData });
      const taken = answer.topics[0]?.partitions.find((each) => each.partition === partition);
      // An answer that does not name the partition acknowledges nothing.
      if (taken === undefined) throw new LineproofError('UNAVAILABLE', `cannot ${act}: the broker's answer does not name it`);
      return { offset: Number(taken.baseOffset), timestampMicros: appendTime(taken.logAppendTime) };
    });
  }

  async read(topic: string, partition: number, from: number, options: ReadOptions): Promise<readonly LogRecord[]> {
    this.#mustBeOpen(`read ${topic}`);
    const until = performance.now() + options.waitMs;
    const signal = options.signal === undefined ? this.#closing.signal : AbortSignal.any([options.signal, this.#closing.signal]);
    let offset = from;
    for (;;) {
      const waitMs = Math.max(0, Math.min(MAX_WAIT_MS, Math.ceil(until - performance.now())));
      const fetched = await unlessAborted(this.#fetch({ topic, partition, offset, waitMs, maxBytes: options.maxBytes }), signal);
      const records = fetched.filter(({ isControlRecord }) => isControlRecord !== true).map(recordOf);
      if (records.length > 0) return records;
      const last = fetched.at(-1);
      if (signal.aborted || (last === undefined && performance.now() >= until)) return [];
      // These were only markers of transactions. Records may follow them at once, so read on.
      if (last !== undefined) offset = Number(last.offset) + 1;
    }
  }

  /** Fetches of one reader follow each other: two at a time would make two connections of which one is never closed. */
  #fetch(wanted: Fetch): Promise<readonly KafkaMessage[]> {
    const place = `${wanted.topic}/${wanted.partition}`;
    const reader = this.#readers.get(place) ?? { cluster: kafkaCluster(this.#kafka), turn: Promise.resolve() };
    this.#readers.set(place, reader);
    const fetched = reader.turn.then(() => {
      this.#mustBeOpen(`read ${place}`);
      return this.#fetchNow(reader.cluster, wanted);
    });
    reader.turn = fetched.then(nothing, nothing);
    return fetched;
  }

  async #fetchNow(cluster: KafkaCluster, wanted: Fetch): Promise<readonly KafkaMessage[]> {
    const { partition, offset: from, waitMs, maxBytes } = wanted;
    const topic = this.#prefix + wanted.topic;
    return this.#ask(cluster, { topic, partition }, `read ${topic}/${partition}`, async (broker) => {
      const topics = [{ topic, partitions: [{ partition, fetchOffset: String(from), maxBytes }] }];
      try {
        const { responses } = await broker.fetch({ isolationLevel: READ_UNCOMMITTED, maxWaitTime: waitMs, minBytes: 1, maxBytes, topics });
        // A record batch may begin before the requested offset.
        return (responses[0]?.partitions[0]?.messages ?? []).filter(({ offset }) => Number(offset) >= from);
      } catch (error) {
        if ((error as { type?: string }).type !== 'OFFSET_OUT_OF_RANGE') throw error;
        const { start } = await this.bounds(wanted.topic, partition);
        if (start <= from) return [];
        return this.#fetchNow(cluster, { ...wanted, offset: start, waitMs: 0 });
      }
    });
  }

  async bounds(name: string, partition: number): Promise<LogBounds> {
    const topic = this.#prefix + name;
    this.#mustBeOpen(`read bounds of ${topic}`);
    const at = async (timestamp: number): Promise<number> =>
      askLeader(
        this.#cluster,
        { topic, partition, closing: this.#closing.signal },
        `read bounds of ${topic}/${partition}`,
        async (broker) => {
          const topics = [{ topic, partitions: [{ partition, timestamp }] }];
          const { responses } = await broker.listOffsets({ isolationLevel: READ_UNCOMMITTED, topics });
          return Number(responses[0]?.partitions[0]?.offset);
        },
      );
    // The start is read first: the end is then never below it, as both only rise.
    const start = await at(EARLIEST);
    return { start, end: await at(LATEST) };
  }

  async trim(name: string, partition: number, before: number): Promise<void> {
    const topic = this.#prefix + name;
    const { start, end } = await this.bounds(name, partition);
    const offset = Math.min(before, end);
    if (offset <= start) return;
    await this.#ask(this.#cluster, { topic, partition }, `trim ${topic}/${partition}`, (broker) =>
      broker.deleteRecords({ topics: [{ topic, partitions: [{ partition, offset: String(offset) }] }] }),
    );
  }

  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    // A call of `disconnect` while the cluster connects has no effect.
    await Promise.allSettled(this.#requests);
    await Promise.all([this.#cluster, ...[...this.#readers.values()].map(({ cluster }) => cluster)].map((cluster) => cluster.disconnect()));
  }

  async #ask<T>(
    cluster: KafkaCluster,
    place: { readonly topic: string; readonly partition: number },
    act: string,
    ask: (broker: KafkaBroker) => Promise<T>,
  ): Promise<T> {
    const request = askLeader(cluster, { ...place, closing: this.#closing.signal }, act, ask);
    this.#requests.add(request);
    try {
      return await request;
    } finally {
      this.#requests.delete(request);
    }
  }

  #mustBeOpen(act: string): void {
    if (this.#closing.signal.aborted) throw new LineproofError('UNAVAILABLE', `cannot ${act}: the log is closed`);
  }
}

/** The fetched records; none as soon as the signal aborts. */
async function unlessAborted(fetch: Promise<readonly KafkaMessage[]>, signal: AbortSignal): Promise<readonly KafkaMessage[]> {
  let stop = (): void => undefined;
  const aborted = new Promise<readonly KafkaMessage[]>((resolve) => {
    stop = () => resolve([]);
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([fetch, aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
    fetch.catch(() => undefined);
  }
}

function messageOf({ key, value, headers }: NewRecord, timestamp: number): KafkaNewMessage {
  const named = Object.entries(headers ?? {}).map(([name, bytes]) => [name, bufferOf(bytes)] as const);
  return { key: key === null ? null : bufferOf(key), value: bufferOf(value), headers: Object.fromEntries(named), timestamp };
}

/** The same memory as a Buffer. */
function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** Cuts records into requests that the broker's limit of a record batch lets pass. */
function* requestsOf(records: readonly NewRecord[]): Generator<readonly NewRecord[]> {
  let group: NewRecord[] = [];
  let bytes = 0;
  for (const record of records) {
    const size = record.value.length + (record.key?.length ?? 0) + 100;
    if (group.length > 0 && bytes + size > REQUEST_BYTES) {
      yield group;
      group = [];
      bytes = 0;
    }
    group.push(record);
    bytes += size;
  }
  if (group.length > 0) yield group;
}

function recordOf({ offset, timestamp, key, value, headers }: KafkaMessage): LogRecord {
  return { kind: 'record', offset: Number(offset), timestampMicros: Number(timestamp) * 1000, key, value: value ?? EMPTY, headers: headersOf(headers) };
}

/** The last value of each header: a name may occur more than once. */
function headersOf(headers: KafkaMessage['headers']): Record<string, Uint8Array> {
  const found: Record<string, Uint8Array> = Object.create(null) as Record<string, Uint8Array>;
  for (const [name, value] of Object.entries(headers ?? {})) {
    const last = Array.isArray(value) ? (value as readonly Buffer[]).at(-1) : (value as Buffer);
    if (last !== undefined) found[name] = last;
  }
  return found;
}

/** The append time, which brokers give for topics with LogAppendTime; for all others they answer −1. */
function appendTime(millis: string | undefined): number | undefined {
  const time = Number(millis ?? -1);
  return time < 0 ? undefined : time * 1000;
}

function nothing(): void {}
