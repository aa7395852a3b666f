import { sha256 } from '#crypto';
import { LIMITS } from '../core/base/limits.ts';
import type { Clock } from '../core/ports/clock.ts';
import { LaneQueue, type Waiting } from './lane-queue.ts';
import type { PlannedBatch } from './spool-payload.ts';

/** The place in the lane at which the next header begins. */
export interface LaneHead {
  /** The next header's number. */
  readonly number: number;
  /** Sequence number of the first event that no header counts. */
  readonly seq: number;
  /** Hash of the previous header; zeros before the first. */
  readonly previous: Uint8Array;
  /** How many of the lane's dropped events are stated in a header. */
  readonly sampledOut: number;
}

const IDLE = (): void => undefined;

/**
 * One shard's events on their way to the log: which of them wait, which are taken for a batch, and how far the log has acknowledged.
 * The recording side pushes and counts drops; the publisher takes, commits and acknowledges.
 */
export class Lane {
  readonly shard: number;
  readonly queue = new LaneQueue();
  /** Batches of earlier epochs, which are sent before anything of this one. */
  readonly left: PlannedBatch[] = [];
  #head: LaneHead = { number: 0, seq: 0, previous: new Uint8Array(32), sampledOut: 0 };
  #recordedSeq = 0;
  #acknowledgedSeq = 0;
  #takenAt: number | undefined;
  #sampledOut = 0;
  #wake = IDLE;

  constructor(shard: number) {
    this.shard = shard;
  }

  get head(): LaneHead {
    return this.#head;
  }

  /** AUXILIARY events that a full spool dropped, and that a header of this lane states or will state. */
  get sampledOut(): number {
    return this.#sampledOut;
  }

  /** Counts `events` dropped events. */
  drop(events: number): void {
    this.#sampledOut += events;
  }

  /** Sequence number that the next event gets. */
  get recordedSeq(): number {
    return this.#recordedSeq;
  }

  /** First sequence number that the log has not acknowledged. */
  get acknowledgedSeq(): number {
    return this.#acknowledgedSeq;
  }

  /** Time at which the oldest event that no committed header counts was recorded, microseconds; undefined if there is none. */
  get waitingSince(): number | undefined {
    return this.#takenAt ?? this.queue.first?.recordedAt;
  }

  /** Whether the waiting events fill a batch. */
  get isWhole(): boolean {
    return this.queue.length >= LIMITS.batchEvents || this.queue.cost >= LIMITS.batchBytes;
  }

  /** The sequence number of the event that is recorded now. */
  nextSeq(): number {
    return this.#recordedSeq++;
  }

  push(waiting: Waiting): void {
    this.queue.push(waiting);
    if (this.queue.length === 1 || this.isWhole) this.wake();
  }

  /** Takes the events of the next batch. They count as waiting until {@link commit} or {@link restore}. */
  take(): Waiting[] {
    const taken = this.queue.take(LIMITS.batchEvents, LIMITS.batchBytes);
    this.#takenAt = taken[0]?.recordedAt;
    return taken;
  }

  /** Puts back the events that were taken last: no header of them was committed. */
  restore(taken: readonly Waiting[]): void {
    this.#takenAt = undefined;
    this.queue.restore(taken);
  }

  /** Moves on behind a header that is durable in the spool, and the events that it counts. */
  commit(header: Uint8Array, count: number, sampledOut: number): void {
    const { number, seq } = this.#head;
    this.#head = { number: number + 1, seq: seq + count, previous: sha256(header), sampledOut };
    this.#takenAt = undefined;
  }

  acknowledge(count: number): void {
    this.#acknowledgedSeq += count;
  }

  /** Takes the dropped events that are not in a header away from this lane, if no batch of the lane will state them soon. */
  takeUncounted(): number {
    if (this.waitingSince !== undefined) return 0;
    const uncounted = this.#sampledOut - this.#head.sampledOut;
    this.#sampledOut = this.#head.sampledOut;
    return uncounted;
  }

  /** Makes a {@link pause} ask whether it is over. */
  wake(): void {
    this.#wake();
  }

  /** Waits until `isOver` is true, which it asks at each {@link wake}, until the stop, or for `ms`. */
  async pause(ms: number, isOver: () => boolean, clock: Clock, stop: AbortSignal): Promise<void> {
    if (isOver() || stop.aborted) return;
    const over = new AbortController();
    this.#wake = () => {
      if (isOver() || stop.aborted) over.abort();
    };
    await clock.sleep(ms, over.signal);
    this.#wake = IDLE;
  }
}
