import { type ErrorCode, hasCode } from '../core/base/errors.ts';
import type { Hold } from '../core/base/hold-reasons.ts';
import { LOG } from '../core/base/log-lines.ts';
import { type RetryPace, retry } from '../core/base/retry.ts';
import type { Waits } from '../core/base/waits.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Logger } from '../core/ports/logger.ts';

export const RETRY_PACE: RetryPace = { firstMs: 25, maxMs: 2_000 };
/** Failures in a row after which an operator should know: most of a second without an answer. */
export const ALARM_FAILURES = 6;

/** Runs an action until it succeeds; throws an error that no retry can help. */
export type ShardRetry = <T>(signal: AbortSignal, action: () => Promise<T>) => Promise<T>;

export interface ShardRetryOptions {
  readonly shard: number;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Gets the reason of each failure. */
  readonly waits: Waits;
  /** Says while a failure lasts why the shard waits. */
  readonly hold?: Hold;
  /** Codes that end the loop once the failure lasts, so that another process can take the shard over. */
  readonly handsOver?: readonly ErrorCode[] | undefined;
}

/** The retry loop for all calls of one shard. It logs an error once when a failure lasts, and logs when the shard goes on. */
export function shardRetry({ shard, clock, logger, waits, hold, handsOver = [] }: ShardRetryOptions): ShardRetry {
  return async (signal, action) => {
    let failed = 0;
    const result = await waits.during((failing) =>
      retry(
        {
          pace: RETRY_PACE,
          clock,
          signal,
          onFailure: (error, failures) => {
            failed = failures;
            const alarmAt = hasCode(error, 'UNAVAILABLE', 'ANSWER_UNUSABLE') ? ALARM_FAILURES : 1;
            if (failures === alarmAt) logger.error(LOG.shardHolds, { shard, code: error.code, reason: error.message });
            failing(error.message);
            if (failures >= alarmAt) hold?.begin(error.code);
            if (failures >= ALARM_FAILURES && handsOver.includes(error.code)) throw error;
          },
        },
        action,
      ),
    );
    if (failed > 0) hold?.end();
    if (failed >= ALARM_FAILURES) logger.info(LOG.shardGoesOn, { shard });
    return result;
  };
}
