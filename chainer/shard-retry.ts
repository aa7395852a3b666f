import { type ErrorCode, hasCode } from '../core/base/errors.ts';
import type { Hold } from '../core/base/hold.ts';
import { LOG } from '../core/base/log-lines.ts';
import { type RetryPace, retry } from '../core/base/retry.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Logger } from '../core/ports/logger.ts';

export const RETRY_PACE: RetryPace = { firstMs: 25, maxMs: 2_000 };
/** Failures in a row after which an operator should know: most of a second without an answer. */
export const ALARM_FAILURES = 6;

/** A failure that comes again within this time has not passed, also if calls succeeded in between: a full disk has room for a small write now and then. */
const RECURRING_MS = 10_000;

/** Runs an action until it succeeds; throws an error that no retry can help. */
export type ShardRetry = <T>(signal: AbortSignal, action: () => Promise<T>) => Promise<T>;

export interface ShardRetryOptions {
  readonly shard: number;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Gets each failure. */
  readonly hold: Hold;
  /** Codes that end the loop once the failure lasts, or comes again and again for {@link RECURRING_MS}, so that another process can take the shard over. */
  readonly handsOver?: readonly ErrorCode[] | undefined;
}

/** The retry loop for all calls of one shard. It logs an error once when a failure lasts, and logs when the shard goes on. */
export function shardRetry({ shard, clock, logger, hold, handsOver = [] }: ShardRetryOptions): ShardRetry {
  const recurring = { sinceMs: 0, lastMs: Number.NEGATIVE_INFINITY };
  const recurs = (): boolean => {
    const now = clock.monotonicMs();
    if (now - recurring.lastMs > RECURRING_MS) recurring.sinceMs = now;
    recurring.lastMs = now;
    return now - recurring.sinceMs > RECURRING_MS;
  };
  return async (signal, action) => {
    let told = false;
    const result = await hold.during((failed) =>
      retry(
        {
          pace: RETRY_PACE,
          clock,
          signal,
          onFailure: (error, failures) => {
            failed(error);
            const lasts = failures >= ALARM_FAILURES;
            if (!told && (lasts || !hasCode(error, 'UNAVAILABLE', 'ANSWER_UNUSABLE'))) {
              told = true;
              logger.error(LOG.shardHolds, { shard, code: error.code, reason: error.message });
            }
            if (handsOver.includes(error.code) && (recurs() || lasts)) throw error;
          },
        },
        action,
      ),
    );
    if (told) logger.info(LOG.shardGoesOn, { shard });
    return result;
  };
}
