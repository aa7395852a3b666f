import type { ErrorCode, LineproofError } from './errors.ts';
import { HOLD_REASONS, type HoldReason } from './hold-reasons.ts';

/** What keeps work from going on: the reason for machines, and the fact for people. */
export interface Held {
  readonly reason: HoldReason;
  readonly text: string;
}

/** Whether a piece of work waits; durations in milliseconds. */
export interface HoldState {
  /** What keeps the work from going on, and since when anything has; undefined if nothing does. */
  readonly held: (Held & { readonly forMs: number }) | undefined;
  /** Since it was last found that something does; infinite before the first time. If it grows, the work does not wait for anything: it goes on, or hangs. */
  readonly restMs: number;
}

/** Notes a failure after which a call is tried again; without a reason, it is that of the error's code. */
export type Failed = (error: LineproofError, reason?: HoldReason) => void;

type Since = Held & { readonly sinceMs: number };

/**
 * Why the work on a shard waits: the one place that readiness, health and the metrics `…_held` read. Calls that fail and are tried again report to it, and so
 * does every part that finds something wrong that no call fails for. Its fields change in `during` and `wait` only.
 */
export class Hold {
  readonly #clock: { monotonicMs(): number };
  /** Failing calls, each made by the one before. */
  readonly #calls = new Map<object, Since>();
  /** What else is wrong, by who finds it, the oldest first. */
  readonly #faults = new Map<object, Since>();
  #foundMs = Number.NEGATIVE_INFINITY;

  constructor(clock: { monotonicMs(): number }) {
    this.#clock = clock;
  }

  /** A fault stands before calls: they often fail because of it. Of calls, the innermost fails now; those around it have failed before. */
  state(): HoldState {
    const now = this.#clock.monotonicMs();
    const all = [...this.#faults.values(), ...[...this.#calls.values()].toReversed()];
    const [first] = all;
    const forMs = now - Math.min(...all.map(({ sinceMs }) => sinceMs));
    return { held: first && { reason: first.reason, text: first.text, forMs }, restMs: now - this.#foundMs };
  }

  /** Makes a call, which says at each failure why it tries again; when it ends, nothing waits for it. */
  async during<T>(call: (failed: Failed) => Promise<T>): Promise<T> {
    const key = {};
    try {
      return await call((error, reason) => this.#note(this.#calls, key, { reason: reason ?? reasonOf(error.code), text: error.message }));
    } finally {
      this.#calls.delete(key);
    }
  }

  /** Says, at each look, what `finder` finds wrong; undefined once nothing is. */
  wait(finder: object, held: Held | undefined): void {
    if (held === undefined) this.#faults.delete(finder);
    else this.#note(this.#faults, finder, held);
  }

  #note(among: Map<object, Since>, key: object, held: Held): void {
    this.#foundMs = this.#clock.monotonicMs();
    among.set(key, { ...held, sinceMs: among.get(key)?.sinceMs ?? this.#foundMs });
  }
}

/** The reason of a call that failed with this code and is tried again. */
function reasonOf(code: ErrorCode): HoldReason {
  return Object.hasOwn(HOLD_REASONS, code) ? (code as HoldReason) : 'UNAVAILABLE';
}
