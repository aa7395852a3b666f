/** What a piece of work waits for; durations in milliseconds. */
export interface WaitState {
  /** Why the call that has failed longest is tried again, or what else must change; undefined if nothing keeps the work from going on. */
  readonly reason: string | undefined;
  /** Since the first of these failures. */
  readonly forMs: number;
  /** Since the last failure of any call; infinite before the first. If it grows, the work does not wait for anything: it goes on, or hangs. */
  readonly restMs: number;
}

/** Follows the calls of a piece of work that fail and are tried again. */
export class Waits {
  readonly #clock: { monotonicMs(): number };
  readonly #failing = new Map<object, { readonly reason: string; readonly sinceMs: number }>();
  #failedMs = Number.NEGATIVE_INFINITY;

  constructor(clock: { monotonicMs(): number }) {
    this.#clock = clock;
  }

  state(): WaitState {
    const now = this.#clock.monotonicMs();
    const [first] = this.#failing.values();
    return { reason: first?.reason, forMs: first === undefined ? 0 : now - first.sinceMs, restMs: now - this.#failedMs };
  }

  /** Makes a call, which says at each failure why it tries again; when it ends, nothing waits for it. */
  async during<T>(call: (failed: (reason: string) => void) => Promise<T>): Promise<T> {
    const key = {};
    try {
      return await call((reason) => this.wait(key, reason));
    } finally {
      this.#failing.delete(key);
    }
  }

  /** Says, again and again, what `key` waits for; undefined once it does not. */
  wait(key: object, reason: string | undefined): void {
    if (reason === undefined) {
      this.#failing.delete(key);
      return;
    }
    this.#failedMs = this.#clock.monotonicMs();
    this.#failing.set(key, { reason, sinceMs: this.#failing.get(key)?.sinceMs ?? this.#failedMs });
  }
}
