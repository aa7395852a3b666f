import type { Clock } from '../core/ports/clock.ts';
import type { Logger } from '../core/ports/logger.ts';
import type { Metrics } from '../core/ports/metrics.ts';

/** Beyond this difference an operator should set a clock … */
const OFF_MICROS = 60_000_000;
/** … and below it, all is well again: a clock at the edge of {@link OFF_MICROS} does not warn again and again. */
const AGREES_MICROS = 30_000_000;

export interface LogClockOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/** Compares the local clock with the log's, which is in every acknowledgement. It logs once when they start to differ and once when they agree again. */
export class LogClock {
  readonly #o: LogClockOptions;
  #offsetMicros: number | undefined;
  #off: 'ahead' | 'behind' | undefined;

  constructor(options: LogClockOptions) {
    this.#o = options;
  }

  /** Lower bound of how far the local clock is ahead of the log's, ms; negative if it is behind; 0 if the answer's delay explains the difference; undefined before the first answer. */
  get offsetMs(): number | undefined {
    return this.#offsetMicros === undefined ? undefined : Math.round(this.#offsetMicros / 1000);
  }

  /** Takes note of an answer that came now: the log was asked at `askedAt` by our clock, and took the message at `takenAt` by its own. */
  heard(askedAt: number, takenAt: number): void {
    const { clock, metrics } = this.#o;
    const answeredAt = clock.nowMicros();
    this.#offsetMicros = takenAt < askedAt ? askedAt - takenAt : Math.min(0, answeredAt - takenAt);
    metrics.set('lineproof_collector_clock_offset_seconds', this.#offsetMicros / 1e6);
    this.#tell(this.#offsetMicros);
  }

  #tell(offset: number): void {
    const is = offset > OFF_MICROS ? 'ahead' : offset < -OFF_MICROS ? 'behind' : undefined;
    if (is === this.#off || (is === undefined && Math.abs(offset) > AGREES_MICROS)) return;
    this.#off = is;
    const fields = { offsetSeconds: Math.round(offset / 1e5) / 10 };
    if (is === undefined) this.#o.logger.info("local clock agrees with the log's again", fields);
    else
      this.#o.logger.warn(
        `local clock is ${is === 'ahead' ? 'ahead of' : 'behind'} the log's; event times recorded here are off by the same amount`,
        fields,
      );
  }
}
