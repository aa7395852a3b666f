import { sha256 } from '#crypto';
import { concat, toHex } from '../../core/base/bytes.ts';
import { Sources } from '../../core/chain/governance-source.ts';
import type { Clock } from '../../core/ports/clock.ts';
import { type Appended, type Log, type LogBounds, type LogRecord, type NewRecord, type ReadOptions, TOPICS } from '../../core/ports/log.ts';
import type { Logger } from '../../core/ports/logger.ts';
import type { Metrics } from '../../core/ports/metrics.ts';
import type { ByteRange, ListedObject, ObjectStore, Pieces, StoredObject } from '../../core/ports/object-store.ts';
import type { SchemaRegistry } from '../../core/ports/schema-registry.ts';
import { collected } from './collected.ts';
import { START_MICROS, type World } from './producer.ts';

/** A clock that stands still but for its sleepers: a sleep takes no time and gives way to others. */
export function testClock(): Clock {
  let micros = START_MICROS;
  return {
    nowMicros: () => micros,
    monotonicMs: () => micros / 1000,
    sleep: async (ms) => {
      micros += Math.ceil(ms * 1000);
      await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

interface Partition {
  start: number;
  records: LogRecord[];
}

/** A log in memory; nobody waits at its end. */
export class MemoryLog implements Log {
  readonly #partitions = new Map<string, Partition>();

  async ensureTopic(): Promise<void> {
    // Every topic is there.
  }

  async append(topic: string, partition: number, records: readonly NewRecord[]): Promise<Appended> {
    const { start, records: there } = this.#partition(topic, partition);
    const first = start + there.length;
    for (const { key, value, headers } of records)
      there.push({ kind: 'record', offset: start + there.length, timestampMicros: START_MICROS, key, value, headers: headers ?? {} });
    return { offset: first, timestampMicros: START_MICROS };
  }

  async read(topic: string, partition: number, from: number, _options?: ReadOptions): Promise<readonly LogRecord[]> {
    await new Promise((resolve) => setImmediate(resolve));
    const { records } = this.#partition(topic, partition);
    return records.filter(({ offset }) => offset >= from);
  }

  async bounds(topic: string, partition: number): Promise<LogBounds> {
    const { start, records } = this.#partition(topic, partition);
    return { start, end: start + records.length };
  }

  async trim(topic: string, partition: number, before: number): Promise<void> {
    const held = this.#partition(topic, partition);
    const cut = Math.min(Math.max(0, before - held.start), held.records.length);
    held.records.splice(0, cut);
    held.start += cut;
  }

  /** Takes records away from the end, as a log does that loses its tail. */
  cut(topic: string, partition: number, count: number): void {
    this.#partition(topic, partition).records.splice(-count);
  }

  async close(): Promise<void> {
    // Nothing is held open.
  }

  #partition(topic: string, partition: number): Partition {
    const name = `${topic}/${partition}`;
    const held = this.#partitions.get(name) ?? { start: 0, records: [] };
    this.#partitions.set(name, held);
    return held;
  }
}

/** A bucket in memory. */
export class MemoryObjectStore implements ObjectStore {
  readonly objects = new Map<string, Uint8Array>();

  async get(key: string, range?: ByteRange): Promise<StoredObject | undefined> {
    const bytes = this.objects.get(key);
    return bytes === undefined ? undefined : { bytes: bytes.slice(range?.start, range?.end), etag: tagOf(bytes) };
  }

  async create(key: string, content: Uint8Array | Pieces): Promise<boolean> {
    const bytes = content instanceof Uint8Array ? content : concat(...(await collected(content)));
    if (this.objects.has(key)) return false;
    this.objects.set(key, bytes.slice());
    return true;
  }

  async replace(key: string, bytes: Uint8Array, etag: string | undefined): Promise<string | undefined> {
    const there = this.objects.get(key);
    if ((there === undefined ? undefined : tagOf(there)) !== etag) return undefined;
    this.objects.set(key, bytes.slice());
    return tagOf(bytes);
  }

  async *list(prefix: string): AsyncGenerator<ListedObject> {
    for (const key of [...this.objects.keys()].toSorted()) {
      if (key.startsWith(prefix)) yield { key, size: this.objects.get(key)?.length ?? 0 };
    }
  }

  async delete(key: string): Promise<void> {
    this.objects.delete(key);
  }

  async close(): Promise<void> {
    // Nothing is held open.
  }
}

function tagOf(bytes: Uint8Array): string {
  return toHex(sha256(bytes));
}

/** A logger that keeps what is worse than information. */
export class TestLogger implements Logger {
  readonly lines: string[] = [];
  debug(): void {
    // Not kept.
  }
  info(): void {
    // Not kept.
  }
  warn(message: string): void {
    this.lines.push(`warn ${message}`);
  }
  error(message: string): void {
    this.lines.push(`error ${message}`);
  }
  child(): Logger {
    return this;
  }
}

/** Gauges and counters by name, whatever their labels. */
export class TestMetrics implements Metrics {
  readonly values = new Map<string, number>();
  /** What gauges said last, also of those that are gone. */
  readonly last = new Map<string, number>();
  add(name: string, by: number): void {
    this.values.set(name, (this.values.get(name) ?? 0) + by);
  }
  set(name: string, value: number): void {
    this.values.set(name, value);
    this.last.set(name, value);
  }
  observe(name: string, value: number): void {
    this.values.set(name, value);
  }
  forget(name: string): void {
    this.values.delete(name);
  }
}

/** A registry that knows the world's event schemas. */
function testRegistry(world: World): SchemaRegistry {
  return {
    register: async () => 1,
    get: async () => undefined,
    list: async () => world.schemas.map(({ text }) => text),
    close: async () => undefined,
  };
}

/** Policies and schemas of a world, its policies appended to the log's control topic. */
export async function testSources(world: World, log: Log): Promise<Sources> {
  const { end } = await log.bounds(TOPICS.control, 0);
  for (const value of world.envelopes.slice(end)) await log.append(TOPICS.control, 0, [{ key: null, value }]);
  const sources = new Sources({ origin: world.origin, log, registry: testRegistry(world), clock: testClock(), logger: new TestLogger() });
  await sources.refreshPolicies();
  await sources.refreshSchemas();
  return sources;
}
