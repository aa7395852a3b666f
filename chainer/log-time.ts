import { TIME_PROBE_KEY } from '../core/formats/rejected.ts';
import type { Clock } from '../core/ports/clock.ts';
import { type Appended, type Log, type NewRecord, TOPICS } from '../core/ports/log.ts';

const PROBE: NewRecord = { key: TIME_PROBE_KEY, value: new Uint8Array(0) };

/**
 * The clock of the log's servers, as the answers to this chainer's own appends tell it. What is read tells less: it may have been appended long ago.
 * Its field changes in `append` only.
 */
export class LogTime {
  readonly #log: Pick<Log, 'append'>;
  readonly #clock: Clock;
  /** Log time less monotonic time, both in microseconds, at most; undefined before the first answer, and for a log that dates nothing. */
  #lead: number | undefined;

  constructor(log: Pick<Log, 'append'>, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
  }

  /** The latest time that the log's clock can show now, microseconds since 1970: the last answer took no time at all to come. */
  get latestMicros(): number | undefined {
    return this.#lead === undefined ? undefined : this.#lead + this.#clock.monotonicMs() * 1000;
  }

  /** {@link Log.append}, with a look at the time that the answer gives. */
  async append(topic: string, partition: number, records: readonly NewRecord[]): Promise<Appended> {
    const askedMs = this.#clock.monotonicMs();
    const appended = await this.#log.append(topic, partition, records);
    if (appended.timestampMicros !== undefined) this.#lead = Math.ceil(appended.timestampMicros - askedMs * 1000);
    return appended;
  }

  /** Appends a record that says nothing, for its answer's sake. */
  async ask(shard: number): Promise<void> {
    await this.append(TOPICS.rejected, shard, [PROBE]);
  }
}
