/** A record as a reader gets it. */
export interface LogRecord {
  readonly kind: 'record';
  /** Position in its partition, rising, possibly with holes. */
  readonly offset: number;
  /** Time at which the log took the record, microseconds since 1970 (Kafka: `LogAppendTime`); falls only if the log's clock does. */
  readonly timestampMicros: number;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array;
  readonly headers: Readonly<Record<string, Uint8Array>>;
}

/**
 * Consecutive offsets of records that no reader can read: an unknown or broken compression, one that unpacks to more than a limit, a broken framing.
 * The stored bytes alone decide this, so every reader on every runtime judges them alike.
 */
export interface UnreadableRecords {
  readonly kind: 'unreadable';
  /** The first of them at or after the wanted offset. */
  readonly offset: number;
  /** Offsets from there on, at least 1. */
  readonly span: number;
  /** Of the newest of the records, as their writer or the log says; microseconds since 1970. */
  readonly timestampMicros: number;
  /** SHA-256 of the records as stored. In a record batch of Kafka: what follows its header of 61 bytes, still compressed. */
  readonly digest: Uint8Array;
  /** Bytes of the records as stored. */
  readonly size: number;
  /** The first of these bytes, at most LIMITS.rejectedBytes. */
  readonly bytes: Uint8Array;
}

/** What the log holds at some offsets: a record, or records that cannot be read. */
export type LogEntry = LogRecord | UnreadableRecords;

/** The offset after an entry. */
export function offsetAfter(entry: LogEntry): number {
  return entry.offset + (entry.kind === 'record' ? 1 : entry.span);
}

/** Whether an entry is a record; for readers to whom unreadable ones are like those of strangers. */
export function isRecord(entry: LogEntry): entry is LogRecord {
  return entry.kind === 'record';
}

/** A record to be appended. */
export interface NewRecord {
  readonly key: Uint8Array | null;
  readonly value: Uint8Array;
  readonly headers?: Readonly<Record<string, Uint8Array>>;
}

/** Offset and time at which the log took an appended record. */
export interface Appended {
  /** Of the first record. */
  readonly offset: number;
  /** The log's clock at that moment, microseconds since 1970; undefined if the log does not date records itself. */
  readonly timestampMicros: number | undefined;
}

/** The offsets a partition holds: from `start` inclusive to `end` exclusive (the high watermark). */
export interface LogBounds {
  readonly start: number;
  readonly end: number;
}

export interface ReadOptions {
  /** Stop after about this many bytes of values; at least one entry is returned if there is one. */
  readonly maxBytes: number;
  /** Wait up to this long for a first record; 0 returns at once. */
  readonly waitMs: number;
  /** Ends the wait early; the call then returns the records that it has. */
  readonly signal?: AbortSignal;
}

export interface TopicSettings {
  readonly partitions: number;
}

/**
 * An ordered, partitioned, append-only log with the semantics of a Kafka topic.
 * Every method throws UNAVAILABLE (retryable) while the log cannot be reached, and after `close`; the caller retries.
 * All but `ensureTopic` throw NOT_FOUND for a topic or partition that does not exist.
 */
export interface Log {
  /** Creates `topic` if it does not exist; throws CONFIG_INVALID if it exists with other settings. Idempotent. */
  ensureTopic(topic: string, settings: TopicSettings): Promise<void>;
  /**
   * Appends `records` in order and resolves with the place of the first once all are durable.
   * When it rejects, none, some or all may have been appended, possibly later and possibly twice.
   * Concurrent calls for one partition have no order: await one before the next.
   */
  append(topic: string, partition: number, records: readonly NewRecord[]): Promise<Appended>;
  /**
   * Entries from the first at or after `from`, in offset order; empty at the end of the log. Unreadable records are an entry, and those behind it follow:
   * nothing that a stranger appends ends a reader. Unreadable records that begin before `from` are given from `from` on.
   * The first offset may be higher than `from`: the offsets in between hold no records, or no longer; the caller judges what that means.
   */
  read(topic: string, partition: number, from: number, options: ReadOptions): Promise<readonly LogEntry[]>;
  /** Reads the bounds now; an unused partition has {0, 0}. */
  bounds(topic: string, partition: number): Promise<LogBounds>;
  /** Deletes records below `before`, all of them if that is beyond the end; idempotent; never lowers the start or the end. */
  trim(topic: string, partition: number, before: number): Promise<void>;
  close(): Promise<void>;
}

/** The topics of an origin, by their content. */
export const TOPICS = {
  events: 'provenance.events',
  chain: 'provenance.chain',
  rejected: 'provenance.rejected',
  control: 'provenance.control',
} as const;
