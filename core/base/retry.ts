import { LineproofError } from './errors.ts';

/** How long to wait between tries: `firstMs`, then twice as long each time, up to `maxMs`. */
export interface RetryPace {
  readonly firstMs: number;
  readonly maxMs: number;
}

export interface RetryOptions {
  readonly pace: RetryPace;
  /** A clock's `sleep`: ends early when `signal` aborts. */
  readonly clock: { sleep(ms: number, signal?: AbortSignal): Promise<void> };
  /** Once it has aborted, the next failure is thrown. */
  readonly signal: AbortSignal;
  /** Called after each failure that another try follows, with their number so far. */
  readonly onFailure: (error: LineproofError, failures: number) => void;
}

/**
 * Runs `action` until it succeeds: the retry loop of work that waits for a server as long as it takes, such as the work on a shard.
 * Throws an error that no retry can help, and any error once `signal` has aborted.
 */
export async function retry<T>({ pace, clock, signal, onFailure }: RetryOptions, action: () => Promise<T>): Promise<T> {
  for (let failures = 1; ; failures++) {
    try {
      return await action();
    } catch (error) {
      if (!(error instanceof LineproofError && error.retryable) || signal.aborted) throw error;
      onFailure(error, failures);
      await clock.sleep(waitAfter(failures, pace), signal);
    }
  }
}

/** Milliseconds to wait after this many failures, which must be at least one. */
export function waitAfter(failures: number, { firstMs, maxMs }: RetryPace): number {
  return Math.min(firstMs * 2 ** (failures - 1), maxMs);
}
