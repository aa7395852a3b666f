import { formatTraceparent } from '../core/base/traceparent.ts';
import type { EventTrace } from '../core/formats/event.ts';
import type { EventSchema } from '../core/formats/event-schema.ts';
import type { Place } from './spool.ts';

/** An event that waits for its batch. Its bytes may have gone to the spool only. */
export interface Waiting {
  readonly place: Place;
  bytes: Uint8Array | undefined;
  readonly length: number;
  /** Its share of a batch's bytes, docs/formats.md §2. */
  readonly cost: number;
  /** Microseconds since 1970. */
  readonly recordedAt: number;
  readonly trace: EventTrace | null;
}

/** `traceparent` of a batch: the first span that is recorded, or the first of all if none is. */
export function batchTraceparent(events: readonly Pick<Waiting, 'trace'>[]): Uint8Array | undefined {
  const first = (events.find(({ trace }) => trace?.sampled === true) ?? events.find(({ trace }) => trace !== null))?.trace;
  return first === undefined || first === null ? undefined : formatTraceparent(first.traceId, first.spanId, first.sampled === true)?.header;
}

/** The trace of an event that an earlier start recorded; null if the event cannot be read by this schema. */
export function traceOf(schema: EventSchema, bytes: Uint8Array): EventTrace | null {
  try {
    return schema.decode(bytes).trace;
  } catch {
    return null;
  }
}

/** Event bytes that are kept in memory while they wait. Beyond the bound, events are read back from the spool. */
export class WaitingBytes {
  readonly #max: number;
  #used = 0;

  constructor(max: number) {
    this.#max = max;
  }

  /** Counts `length` more bytes; false if the bound is reached, so that they must not be kept. */
  keep(length: number): boolean {
    if (this.#used >= this.#max) return false;
    this.#used += length;
    return true;
  }

  /** The event left the queue for good. */
  forget({ bytes, length }: Waiting): void {
    if (bytes !== undefined) this.#used -= length;
  }
}

/** First in, first out, in constant time; items that were taken are not kept in memory. */
export class LaneQueue {
  #items: (Waiting | undefined)[] = [];
  #head = 0;
  #cost = 0;

  /** Sum over the waiting items. */
  get cost(): number {
    return this.#cost;
  }

  get length(): number {
    return this.#items.length - this.#head;
  }

  get first(): Waiting | undefined {
    return this.#items[this.#head];
  }

  push(item: Waiting): void {
    this.#items.push(item);
    this.#cost += item.cost;
  }

  /** Takes events up to `maxEvents` and `maxCost`, but at least one if there is one. */
  take(maxEvents: number, maxCost: number): Waiting[] {
    const taken: Waiting[] = [];
    let cost = 0;
    for (let item = this.first; item !== undefined && taken.length < maxEvents; item = this.first) {
      cost += item.cost;
      if (taken.length > 0 && cost > maxCost) break;
      taken.push(item);
      this.#cost -= item.cost;
      this.#items[this.#head++] = undefined;
    }
    if (this.#head > 4096 && 2 * this.#head > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return taken;
  }

  /** Puts back the items that were taken last. */
  restore(taken: readonly Waiting[]): void {
    this.#items = [...taken, ...this.#items.slice(this.#head)];
    for (const { cost } of taken) this.#cost += cost;
    this.#head = 0;
  }
}
