import { LIMITS } from '../core/base/limits.ts';
import type { HeartbeatLane } from '../core/formats/batch.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Lane } from './lane.ts';
import type { LeftEpoch } from './spool-payload.ts';

export interface HeartbeatsOptions {
  readonly epoch: Uint8Array;
  readonly lanes: readonly Lane[];
  /** The lane that heartbeats go to: that of the shard of the producer's name. */
  readonly home: Lane;
  readonly clock: Clock;
  readonly everyMs: number;
}

/** The statements of one heartbeat. Its own lane is added when its number is known. */
export interface Heartbeat {
  readonly lanes: readonly HeartbeatLane[];
  /** Whether the heartbeat also ends the lane that it goes to. */
  readonly final: boolean;
}

/** When the producer states "nothing more was recorded until now", and for which lanes (docs/formats.md §2). */
export class Heartbeats {
  /** Earlier epochs whose lanes are not yet stated as final in an acknowledged heartbeat. */
  readonly earlier: LeftEpoch[] = [];
  readonly #options: HeartbeatsOptions;
  #demand: 'none' | 'due' | 'final' = 'none';
  #at: number;

  constructor(options: HeartbeatsOptions) {
    this.#options = options;
    this.#at = options.clock.monotonicMs() + options.everyMs;
  }

  /** Makes a heartbeat due now; a final heartbeat ends this epoch's lanes. */
  demand(kind: 'due' | 'final'): void {
    this.#demand = kind;
    this.#options.home.wake();
  }

  /** Whether a heartbeat was demanded, or its time has come. */
  get isDue(): boolean {
    return this.#demand !== 'none' || this.#options.clock.monotonicMs() >= this.#at;
  }

  /** Whether a final heartbeat was demanded and is not acknowledged yet. */
  get isFinal(): boolean {
    return this.#demand === 'final';
  }

  /** Milliseconds until the next heartbeat is due, at least 1. */
  get waitMs(): number {
    return Math.max(1, this.#at - this.#options.clock.monotonicMs());
  }

  /** Whether this epoch, or an earlier one, has something that a heartbeat must end. */
  get hasSomethingToEnd(): boolean {
    return this.earlier.length > 0 || this.#options.lanes.some(({ head, sampledOut }) => head.number > 0 || sampledOut > 0);
  }

  /**
   * The heartbeats that state all lanes of this epoch, and all lanes of earlier epochs as final. Mostly one has room for all of them. Each that is full is
   * followed by another, so that the last has room left: a reader knows by that that nothing is missing.
   */
  statements(earlier: readonly LeftEpoch[]): Heartbeat[] {
    const lanes = [...this.#ownLanes(), ...earlier.flatMap(finalLanes)];
    // One row is left for the heartbeat's own lane.
    const most = LIMITS.heartbeatLanes - 1;
    const heartbeats: Heartbeat[] = [];
    for (let from = 0; from <= lanes.length; from += most)
      heartbeats.push({ lanes: lanes.slice(from, from + most), final: this.isFinal && from + most > lanes.length });
    return heartbeats;
  }

  /** Headers count every event that was recorded before this instant: now, or the time at which the oldest event without a header was recorded. Microseconds. */
  heardUntil(): number {
    let until = this.#options.clock.nowMicros();
    for (const { waitingSince } of this.#options.lanes) until = Math.min(until, waitingSince ?? until);
    return until;
  }

  /** Moves the count of dropped events to the home lane, if no batch of their own lane will state it soon. */
  foldSampledOut(): void {
    const { home, lanes } = this.#options;
    for (const lane of lanes) if (lane !== home) home.drop(lane.takeUncounted());
  }

  /** Takes note that the log acknowledged the statements about `earlier`; `wasFinal` says whether they were in a final heartbeat. */
  acknowledged(earlier: readonly LeftEpoch[], wasFinal: boolean): void {
    this.earlier.splice(0, earlier.length);
    this.#at = this.#options.clock.monotonicMs() + this.#options.everyMs;
    if (wasFinal || this.#demand === 'due') this.#demand = 'none';
  }

  /** Lanes of this epoch but the home lane. */
  #ownLanes(): HeartbeatLane[] {
    const { epoch, lanes, home } = this.#options;
    return lanes
      .filter((lane) => lane !== home && lane.head.number > 0)
      .map(({ shard, head: { number, seq } }) => ({ epoch, shard, number, seq, final: this.isFinal }));
  }
}

/** The lanes of an earlier epoch, as a heartbeat ends them. */
function finalLanes({ epoch, lanes }: LeftEpoch): HeartbeatLane[] {
  return [...lanes].map(([shard, { number, seq }]) => ({ epoch, shard, number, seq, final: true }));
}
