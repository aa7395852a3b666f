import { hasCode, LineproofError } from './errors.ts';

/** How long to wait between tries: `firstMs`, then twice as long each time, up to `maxMs`. */
export interface RetryPace {
  readonly firstMs: number;
  readonly maxMs: number;
}

export interface RetryOptions {
  readonly pace: RetryPace;
  /** A clock's `sleep`, which ends early when `signal` aborts, and its monotonic time. */
  readonly clock: { sleep(ms: number, signal?: AbortSignal): Promise<void>; monotonicMs(): number };
  /** Once it has aborted, the next failure is thrown. */
  readonly signal: AbortSignal;
  /** Called after each failure that another try follows, with their number so far. */
  readonly onFailure: (error: LineproofError, failures: number) => void;
}

/** A refusal that a person must end is taken for one that does not pass once nothing else came for this long. */
export const LASTING_REFUSAL_MS = 60_000;
/** … and this often: a process that stood still for a minute has asked once or twice. */
const LASTING_REFUSALS = 5;

/** Tells a server's refusal that passes from one that lasts. One watch belongs to one loop of tries; a success ends the loop. */
export class RefusalWatch {
  #refusal: string | undefined;
  #sinceMs = 0;
  #count = 0;

  /**
   * Notes a failure at `nowMs` of a monotonic clock. Returns it, or CONFIG_INVALID with the setting once nothing but this one refusal came for
   * {@link LASTING_REFUSAL_MS}. Any other failure in between begins the time again.
   */
  judge(error: LineproofError, nowMs: number): LineproofError {
    const { refusal, setting } = error.details;
    if (refusal === undefined) {
      this.#refusal = undefined;
      return error;
    }
    if (refusal !== this.#refusal) {
      this.#refusal = String(refusal);
      this.#sinceMs = nowMs;
      this.#count = 0;
    }
    this.#count += 1;
    const lasted = nowMs - this.#sinceMs;
    if (lasted < LASTING_REFUSAL_MS || this.#count < LASTING_REFUSALS) return error;
    const text = `${error.message} (nothing but this refusal for ${Math.round(lasted / 1000)} s; correct ${String(setting)})`;
    return new LineproofError('CONFIG_INVALID', text, error.details, error.cause);
  }

  /** The failure, if another try may follow it. Throws every other error, and CONFIG_INVALID as {@link judge} gives it. */
  passing(error: unknown, nowMs: number): LineproofError {
    if (!mayPass(error)) throw error;
    const judged = this.judge(error, nowMs);
    if (judged !== error) throw judged;
    return error;
  }
}

/** Whether work that ended with `error` ended because it was told to: once the signal has aborted, {@link retry} throws the next failure. */
export function isOfStop(error: unknown, signal: AbortSignal): boolean {
  return signal.aborted && (hasCode(error, 'CLOSED') || mayPass(error));
}

/** Whether a later try may succeed: the error's code says so, or a server refused and may do so for a moment only. */
export function mayPass(error: unknown): error is LineproofError {
  return error instanceof LineproofError && (error.retryable || error.details['refusal'] !== undefined) && error.code !== 'CONFIG_INVALID';
}

/**
 * Runs `action` until it succeeds: the retry loop of work that waits for a server as long as it takes, such as the work on a shard.
 * Throws an error that no retry can help, CONFIG_INVALID for a refusal that lasts, and any error once `signal` has aborted.
 */
export async function retry<T>({ pace, clock, signal, onFailure }: RetryOptions, action: () => Promise<T>): Promise<T> {
  const watch = new RefusalWatch();
  for (let failures = 1; ; failures++) {
    try {
      return await action();
    } catch (error) {
      if (signal.aborted) throw error;
      onFailure(watch.passing(error, clock.monotonicMs()), failures);
      await clock.sleep(waitAfter(failures, pace), signal);
    }
  }
}

/** Milliseconds to wait after this many failures, which must be at least one. */
export function waitAfter(failures: number, { firstMs, maxMs }: RetryPace): number {
  return Math.min(firstMs * 2 ** (failures - 1), maxMs);
}
