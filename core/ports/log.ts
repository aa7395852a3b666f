/** A record as a reader gets it. */
export interface LogRecord {
  /** Position in its partition, rising, possibly with holes. */
  readonly offset: number;
  /** Time at which the log took the record, microseconds since 1970 (Kafka: `LogAppendTime`); falls only if the log's clock does. */
  readonly timestampMicros: number;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array;
  readonly headers: Readonly<Record<string, Uint8Array>>;
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
  /** Stop after about this many bytes of values; at least one record is returned if there is one. */
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
   * Records from the first at or after `from`, in offset order; empty at the end of the log.
   * The first offset may be higher than `from`: the offsets in between hold no records, or no longer; the caller judges what that means.
   */
  read(topic: string, partition: number, from: number, options: ReadOptions): Promise<readonly LogRecord[]>;
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
