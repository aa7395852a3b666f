/** Time as a part sees it; core itself has none. */
export interface Clock {
  /** Wall clock, microseconds since 1970, integer; may step. */
  nowMicros(): number;
  /** Monotonic milliseconds from an arbitrary start, for durations and time-outs. */
  monotonicMs(): number;
  /** Resolves after `ms`, or at once when `signal` aborts. Never rejects. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}
