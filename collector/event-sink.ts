import type { Event } from '../core/formats/event.ts';

/** Where events go: a collector. */
export interface EventSink {
  record(event: Event): Uint8Array;
  recordDurably(event: Event): Promise<Uint8Array>;
}
