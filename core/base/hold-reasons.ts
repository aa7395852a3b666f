import type { ErrorCode } from './errors.ts';

/** Why work on a shard waits, with what it means: the closed list behind the label `reason` of the metrics `…_held`. docs/metrics.md has the table. */
export const HOLD_REASONS = {
  UNAVAILABLE: 'A server gives no answer.',
  ANSWER_UNUSABLE: 'The registry answers as no registry does.',
  REFUSED: 'A server refuses; if it lasts, the process ends and names the setting.',
  NOT_FOUND: 'A topic or partition is not there.',
  IO_FAILED: 'The disk or the object store refuses a read or write.',
  DISK_FULL: 'The disk of the state folder is full.',
  INDEX_FORGETS: 'Redis is set to evict.',
  CLOCKS_DIFFER: 'This clock and that of the dedup index differ by more than `clockSkew`.',
  CLOCK_LEADS_LOG: "This clock leads the log's by more than `clockSkew`.",
  SCHEMA_MISSING: 'An event schema in force cannot be read from the registry.',
  APPEND_UNCONFIRMED: 'The chain topic does not take the next block.',
} as const;

export type HoldReason = keyof typeof HOLD_REASONS;

/** The reason of a call that failed with this code and is tried again. */
function holdReasonOf(code: ErrorCode): HoldReason {
  return Object.hasOwn(HOLD_REASONS, code) ? (code as HoldReason) : 'UNAVAILABLE';
}

/** Why the calls of one shard's work wait now. The retry loop of the shard begins and ends it. */
export class Hold {
  #reason: HoldReason | undefined;

  get reason(): HoldReason | undefined {
    return this.#reason;
  }

  begin(code: ErrorCode): void {
    this.#reason = holdReasonOf(code);
  }

  end(): void {
    this.#reason = undefined;
  }
}
