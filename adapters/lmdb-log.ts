import type { Database } from 'lmdb';
import { LineproofError } from '../core/base/errors.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Appended, Log, LogBounds, LogRecord, NewRecord, ReadOptions, TopicSettings } from '../core/ports/log.ts';
import { Environment } from './lmdb-environment.ts';

/** Ordered by topic, partition, offset. */
type RecordKey = [topic: string, partition: number, offset: number];
const FIRST = 0;

interface Meta {
  start: number;
  end: number;
}

/** Opens the embedded {@link Log} in `folder`: a partition is a range of keys, an append one transaction, also beside another process of this machine that has it open. */
export async function openLmdbLog(folder: string, options: { readonly clock: Clock }): Promise<Log> {
  return new LmdbLog(new Environment(folder), options.clock);
}

/** Opens the log in `folder` for reading, beside the process that owns it. Throws IO_FAILED if there is none. */
export async function readLmdbLog(folder: string, options: { readonly clock: Clock }): Promise<Log> {
  return new LmdbLog(new Environment(folder, true), options.clock);
}

class LmdbLog implements Log {
  readonly #environment: Environment;
  readonly #records: Database<Buffer, RecordKey>;
  readonly #bounds: Database<Meta, [string, number]>;
  readonly #topics: Database<TopicSettings, string>;
  readonly #clock: Clock;
  /** Readers that wait for a partition's next record. */
  readonly #waiting = new Map<string, Set<() => void>>();

  constructor(environment: Environment, clock: Clock) {
    this.#environment = environment;
    this.#clock = clock;
    this.#records = environment.root.openDB('records', { encoding: 'binary' });
    this.#bounds = environment.root.openDB('bounds', { encoding: 'json' });
    this.#topics = environment.root.openDB('topics', { encoding: 'json' });
  }

  async ensureTopic(topic: string, settings: TopicSettings): Promise<void> {
    const what = `create topic ${topic}`;
    this.#environment.mustBeOpen(what);
    const there = this.#topics.get(topic) ?? (await this.#environment.write(what, () => this.#createTopic(topic, settings)));
    if (there.partitions !== settings.partitions) {
      throw new LineproofError(
        'CONFIG_INVALID',
        `cannot use topic ${topic}: it has ${there.partitions} partitions, not ${settings.partitions}`,
        { topic, partitions: there.partitions },
      );
    }
  }

  /** Called in a transaction. Returns the settings that the topic has now: another process may have been faster. */
  #createTopic(topic: string, { partitions }: TopicSettings): TopicSettings {
    const there = this.#topics.get(topic);
    if (there === undefined) void this.#topics.put(topic, { partitions });
    return there ?? { partitions };
  }

  async append(topic: string, partition: number, records: readonly NewRecord[]): Promise<Appended> {
    this.#check(topic, partition);
    const appended = await this.#environment.write(`append to ${topic}/${partition}`, () => {
      const { start, end } = this.#boundsOf(topic, partition);
      const timestamp = this.#clock.nowMicros();
      for (const [i, record] of records.entries()) void this.#records.put([topic, partition, end + i], encodeRecord(record, timestamp));
      void this.#bounds.put([topic, partition], { start, end: end + records.length });
      return { offset: end, timestampMicros: timestamp };
    });
    for (const wake of this.#waiting.get(`${topic}/${partition}`) ?? []) wake();
    return appended;
  }

  async read(topic: string, partition: number, from: number, options: ReadOptions): Promise<readonly LogRecord[]> {
    this.#check(topic, partition);
    if (options.waitMs > 0 && this.#boundsOf(topic, partition).end <= from) await this.#wait(topic, partition, options);
    this.#environment.mustBeOpen(`read ${topic}/${partition}`);
    const records: LogRecord[] = [];
    let bytes = 0;
    for (const { key, value } of this.#records.getRange({
      start: [topic, partition, from],
      end: [topic, partition, Number.MAX_SAFE_INTEGER],
    })) {
      bytes += value.length;
      if (records.length > 0 && bytes > options.maxBytes) break;
      records.push(decodeRecord(key[2], value));
    }
    return records;
  }

  async bounds(topic: string, partition: number): Promise<LogBounds> {
    this.#check(topic, partition);
    return { ...this.#boundsOf(topic, partition) };
  }

  async trim(topic: string, partition: number, before: number): Promise<void> {
    this.#check(topic, partition);
    await this.#environment.write(`trim ${topic}/${partition}`, () => {
      const { start, end } = this.#boundsOf(topic, partition);
      const next = Math.min(Math.max(start, before), end);
      for (let offset = start; offset < next; offset++) void this.#records.remove([topic, partition, offset]);
      if (next !== start) void this.#bounds.put([topic, partition], { start: next, end });
    });
  }

  async close(): Promise<void> {
    const closing = this.#environment.close();
    for (const waiting of this.#waiting.values()) for (const wake of waiting) wake();
    await closing;
  }

  #check(topic: string, partition: number): void {
    this.#environment.mustBeOpen(`use ${topic}/${partition}`);
    const settings = this.#topics.get(topic);
    if (settings === undefined || !Number.isInteger(partition) || partition < 0 || partition >= settings.partitions) {
      throw new LineproofError('NOT_FOUND', `cannot use ${topic}/${partition}: there is no such partition`, { topic, partition });
    }
  }

  #boundsOf(topic: string, partition: number): Meta {
    return this.#bounds.get([topic, partition]) ?? { start: FIRST, end: FIRST };
  }

  /** Resolves at the next append to the partition, after the wait, or when the signal aborts. */
  async #wait(topic: string, partition: number, { waitMs, signal }: ReadOptions): Promise<void> {
    const key = `${topic}/${partition}`;
    const waiting = this.#waiting.get(key) ?? new Set();
    this.#waiting.set(key, waiting);
    const over = new AbortController();
    const wake = (): void => over.abort();
    waiting.add(wake);
    await this.#clock.sleep(waitMs, signal === undefined ? over.signal : AbortSignal.any([signal, over.signal]));
    waiting.delete(wake);
  }
}

/** Time (8 bytes), length of the head (4), head as JSON, value. */
function encodeRecord({ key, value, headers }: NewRecord, timestamp: number): Buffer {
  const texts = Object.fromEntries(Object.entries(headers ?? {}).map(([name, bytes]) => [name, Buffer.from(bytes).toString('base64')]));
  const head = Buffer.from(JSON.stringify({ key: key === null ? null : Buffer.from(key).toString('base64'), headers: texts }));
  const record = Buffer.allocUnsafe(12 + head.length + value.length);
  record.writeDoubleBE(timestamp, 0);
  record.writeUInt32BE(head.length, 8);
  head.copy(record, 12);
  record.set(value, 12 + head.length);
  return record;
}

/** `bytes` is a copy that is never written to again: the value is a view of it. */
function decodeRecord(offset: number, bytes: Buffer): LogRecord {
  const end = 12 + bytes.readUInt32BE(8);
  const { key, headers } = JSON.parse(bytes.toString('utf8', 12, end)) as { key: string | null; headers: Record<string, string> };
  return {
    kind: 'record',
    offset,
    timestampMicros: bytes.readDoubleBE(0),
    key: key === null ? null : Buffer.from(key, 'base64'),
    value: new Uint8Array(bytes.buffer, bytes.byteOffset + end, bytes.length - end),
    headers: Object.fromEntries(Object.entries(headers).map(([name, text]) => [name, Buffer.from(text, 'base64')])),
  };
}
