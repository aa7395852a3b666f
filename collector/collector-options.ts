import { utf8 } from '../core/base/bytes.ts';
import { LineproofError } from '../core/base/errors.ts';
import { LIMITS } from '../core/base/limits.ts';
import type { EventSchema } from '../core/formats/event-schema.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Log } from '../core/ports/log.ts';
import type { Logger } from '../core/ports/logger.ts';
import type { Metrics } from '../core/ports/metrics.ts';
import type { SchemaRegistry } from '../core/ports/schema-registry.ts';
import type { Signer } from '../core/ports/signer.ts';

/** Bytes that `record` may take above a full spool, so that a burst of calls that cannot wait loses nothing. */
export const OVERFLOW_BYTES = 16 * 1024 * 1024;
export const DEFAULT_MAX_BYTES = 1024 * 1024 * 1024;
export const DEFAULT_HEARTBEAT_MS = 300_000;
export const DEFAULT_LINGER_MS = 5;
export const DEFAULT_APPEND_TIMEOUT_MS = 30_000;
/** Timers of Node hold 32 bits. */
const MAX_TIMER_MS = 2 ** 31 - 1;
const WHEN_FULL: ReadonlySet<string> = new Set(['block', 'refuse', 'drop-auxiliary']);

/** Where and how much a collector spools. */
export interface SpoolSettings {
  /** Used by one process at a time. Null keeps everything in memory: a crash then loses all events that the log has not acknowledged. */
  readonly folder: string | null;
  /** Default 1 GiB. */
  readonly maxBytes?: number;
  /**
   * block (default): `recordDurably` waits, `record` still takes {@link OVERFLOW_BYTES} more and then throws SPOOL_FULL, since it cannot wait;
   * refuse: both throw SPOOL_FULL; drop-auxiliary: as block, but `record` drops AUXILIARY events, and the next batch of their lane counts them.
   */
  readonly whenFull?: 'block' | 'refuse' | 'drop-auxiliary';
}

/** The options of a collector. {@link checkOptions} names the faults of a value. */
export interface CollectorOptions {
  readonly origin: string;
  readonly shards: number;
  readonly signer: Signer;
  readonly eventSchema: EventSchema;
  readonly registry: SchemaRegistry;
  /** Null: the collector only spools, and another process that opens the folder later sends the events in it. */
  readonly log: Log | null;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly spool: SpoolSettings;
  /** How long a batch waits for more events, ms; default 5. */
  readonly lingerMs?: number;
  /** How often the epoch states that nothing more was recorded, ms; default 300,000. */
  readonly heartbeatMs?: number;
  /** After this long an append counts as unknown and is sent again, ms; default 30,000. */
  readonly appendTimeoutMs?: number;
}

/** Where a recorded event is: its lane, and its sequence number there. */
export interface LanePlace {
  readonly epoch: Uint8Array;
  readonly shard: number;
  readonly seq: number;
}

/** Counters of one collector since it was opened. */
export interface CollectorStats {
  readonly recorded: number;
  readonly acknowledged: number;
  readonly dropped: number;
  readonly batches: number;
  /** Events of earlier starts that go under this epoch. */
  readonly moved: number;
  /** Batches of earlier starts that are sent as they are. */
  readonly leftBatches: number;
  readonly damaged: number;
  readonly spoolBytes: number;
  /** By how much this clock is ahead of the log's at least, ms, negative where it is behind; undefined before the log's first answer. */
  readonly clockOffsetMs: number | undefined;
}

/** Throws one CONFIG_INVALID that lists everything that is wrong. */
export function checkOptions({ origin, shards, spool, lingerMs = 0, heartbeatMs = 1, appendTimeoutMs = 1 }: CollectorOptions): void {
  const isWithin = (value: unknown, min: number, max: number): boolean =>
    Number.isInteger(value) && Number(value) >= min && Number(value) <= max;
  const problems: string[] = [];
  const check = (holds: boolean, problem: string): void => void (holds || problems.push(problem));
  check(
    typeof origin === 'string' && origin.length > 0 && utf8(origin).length <= LIMITS.nameBytes,
    `origin must be a name of 1 to ${LIMITS.nameBytes} bytes`,
  );
  check(isWithin(shards, 1, LIMITS.policyItems), `shards must be a whole number from 1 to ${LIMITS.policyItems}, as the policy has it`);
  check(
    spool.folder === null || (typeof spool.folder === 'string' && spool.folder !== ''),
    'spool.folder must be a path, or null to keep everything in memory',
  );
  check(
    isWithin(spool.maxBytes ?? DEFAULT_MAX_BYTES, 1, Number.MAX_SAFE_INTEGER),
    'spool.maxBytes must be a whole number of bytes above 0',
  );
  check(WHEN_FULL.has(spool.whenFull ?? 'block'), `spool.whenFull must be one of ${[...WHEN_FULL].join(', ')}`);
  check(isWithin(lingerMs, 0, MAX_TIMER_MS), 'lingerMs must be a whole number of milliseconds from 0');
  check(isWithin(heartbeatMs, 1, MAX_TIMER_MS), 'heartbeatMs must be a whole number of milliseconds above 0');
  check(isWithin(appendTimeoutMs, 1, MAX_TIMER_MS), 'appendTimeoutMs must be a whole number of milliseconds above 0');
  if (problems.length > 0) throw new LineproofError('CONFIG_INVALID', `cannot open collector: ${problems.join('; ')}`);
}
