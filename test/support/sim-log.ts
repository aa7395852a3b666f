import { LineproofError } from '../../core/base/errors.ts';
import {
  type Appended,
  type Log,
  type LogBounds,
  type LogEntry,
  type LogRecord,
  type NewRecord,
  offsetAfter,
  type ReadOptions,
  type UnreadableRecords,
} from '../../core/ports/log.ts';

/** A record with its place in the order of everything that the log ever took, whatever the topic. */
export type SimRecord = LogRecord & { readonly turn: number };

interface Partition {
  start: number;
  end: number;
  records: SimRecord[];
  /** Stretches that cannot be read. */
  spoiled: UnreadableRecords[];
  /** Everything that was ever appended, trimmed or not. */
  readonly history: SimRecord[];
  /** Every stretch that could never be read, trimmed or not. */
  readonly stretches: UnreadableRecords[];
}

/** A log in memory on a clock that the test moves, with holes, lost tails and a memory of what was trimmed. Nobody waits at its end. */
export class SimLog implements Log {
  readonly #partitions = new Map<string, Partition>();
  readonly #now: () => number;
  #turn = 0;

  constructor(now: () => number) {
    this.#now = now;
  }

  async ensureTopic(): Promise<void> {
    // Every topic is there.
  }

  async append(topic: string, partition: number, records: readonly NewRecord[]): Promise<Appended> {
    const held = this.#partition(topic, partition);
    const first = held.end;
    for (const { key, value, headers } of records) {
      const record = {
        kind: 'record' as const,
        offset: held.end++,
        timestampMicros: this.#now(),
        key,
        value,
        headers: headers ?? {},
        turn: this.#turn++,
      };
      held.records.push(record);
      held.history.push(record);
    }
    return { offset: first, timestampMicros: this.#now() };
  }

  async read(topic: string, partition: number, from: number, options: ReadOptions): Promise<readonly LogEntry[]> {
    const found: LogEntry[] = [];
    let bytes = 0;
    const { start, records, spoiled } = this.#partition(topic, partition);
    const first = Math.max(from, start);
    const all = spoiled.length === 0 ? records : [...records, ...spoiled].toSorted((one, other) => one.offset - other.offset);
    for (const held of all) {
      if (offsetAfter(held) <= first) continue;
      const record = held.kind === 'unreadable' && held.offset < first ? { ...held, offset: first, span: offsetAfter(held) - first } : held;
      bytes += record.kind === 'record' ? record.value.length : record.size;
      if (found.length > 0 && bytes > options.maxBytes) break;
      found.push(record);
    }
    return found;
  }

  async bounds(topic: string, partition: number): Promise<LogBounds> {
    const { start, end } = this.#partition(topic, partition);
    return { start, end };
  }

  async trim(topic: string, partition: number, before: number): Promise<void> {
    const held = this.#partition(topic, partition);
    if (before > held.end) throw new LineproofError('INTERNAL', `cannot trim ${topic}: ${before} is beyond its end ${held.end}`);
    held.start = Math.max(held.start, before);
    held.records = held.records.filter(({ offset }) => offset >= held.start);
    held.spoiled = held.spoiled.filter((stretch) => offsetAfter(stretch) > held.start);
  }

  async close(): Promise<void> {
    // Nothing is held open.
  }

  /** Offsets at which the log holds nothing, as transactions leave them. */
  skip(topic: string, partition: number, count: number): void {
    this.#partition(topic, partition).end += count;
  }

  /** A stretch of records that cannot be read, with the digest that it shall have. */
  spoil(topic: string, partition: number, span: number, digest: Uint8Array = new Uint8Array(32)): void {
    const held = this.#partition(topic, partition);
    const stretch = {
      kind: 'unreadable' as const,
      offset: held.end,
      span,
      timestampMicros: this.#now(),
      digest,
      size: 3,
      bytes: new Uint8Array(3),
    };
    held.spoiled.push(stretch);
    held.stretches.push(stretch);
    held.end += span;
  }

  /** Sets a partition back: what was appended from `end` on is lost. */
  setBack(topic: string, partition: number, end: number): void {
    const held = this.#partition(topic, partition);
    held.records = held.records.filter(({ offset }) => offset < end);
    held.spoiled = held.spoiled.filter(({ offset }) => offset < end);
    held.end = end;
  }

  /** Recreates a partition, empty; returns the records that it held. */
  renew(topic: string, partition: number): readonly SimRecord[] {
    const { history } = this.#partition(topic, partition);
    this.#partitions.delete(`${topic}/${partition}`);
    return history;
  }

  history(topic: string, partition: number): readonly SimRecord[] {
    return this.#partition(topic, partition).history;
  }

  stretches(topic: string, partition: number): readonly UnreadableRecords[] {
    return this.#partition(topic, partition).stretches;
  }

  #partition(topic: string, partition: number): Partition {
    const name = `${topic}/${partition}`;
    const held = this.#partitions.get(name) ?? { start: 0, end: 0, records: [], spoiled: [], history: [], stretches: [] };
    this.#partitions.set(name, held);
    return held;
  }
}
