import { equal } from '../core/base/bytes.ts';
import { type DataDigests, dataOf } from '../core/formats/data-digests.ts';
import type { EventSchema } from '../core/formats/event-schema.ts';
import { shardOf } from '../core/formats/shard.ts';

/** Which events are to be proven. */
export type Wanted =
  | { readonly kind: 'leaf'; readonly shard: number; readonly leaf: number }
  | { readonly kind: 'event'; readonly stream: string; readonly id: Uint8Array }
  /** Positions in the stream, both inclusive. */
  | { readonly kind: 'stream'; readonly stream: string; readonly from: number; readonly to: number }
  /** Events that name data with one of these digests as input or output. */
  | { readonly kind: 'data'; readonly digests: DataDigests };

/** The shards that may hold a wanted event. */
export function shardsOf(wanted: Wanted, shards: number): number[] {
  if (wanted.kind === 'leaf') return wanted.shard < shards ? [wanted.shard] : [];
  if (wanted.kind === 'data') return Array.from({ length: shards }, (_, shard) => shard);
  return [shardOf(wanted.stream, shards)];
}

/** Whether leaves from `first` to `end` may hold a wanted event. */
export function mayHold(wanted: Wanted, first: number, end: number): boolean {
  return wanted.kind !== 'leaf' || (first <= wanted.leaf && wanted.leaf < end);
}

/** An archived event as far as it decides whether it is wanted. */
export interface Candidate {
  readonly leaf: number;
  readonly streamIndex: number;
  readonly schema: EventSchema;
  readonly event: Uint8Array;
}

/** Whether an event is wanted. Throws the errors of its schema where it cannot be read. */
export function isWanted(wanted: Wanted, { leaf, streamIndex, schema, event }: Candidate): boolean {
  if (wanted.kind === 'leaf') return leaf === wanted.leaf;
  if (wanted.kind === 'data') return dataOf(schema.decode(event), wanted.digests).length > 0;
  const { stream, id } = schema.readHead(event);
  if (stream !== wanted.stream) return false;
  return wanted.kind === 'event' ? equal(id, wanted.id) : wanted.from <= streamIndex && streamIndex <= wanted.to;
}
