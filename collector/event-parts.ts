import { compare, utf8 } from '../core/base/bytes.ts';
import { LIMITS } from '../core/base/limits.ts';
import type { DataRef, Event } from '../core/formats/event.ts';

/** Bytes that one part of an event keeps free for everything except data: parents, attributes, facets, names. */
const RESERVED_BYTES = 160 * 1024;
const REF_OVERHEAD_BYTES = 64;

/** The data of an event and of the events that continue it. */
export interface EventContent {
  readonly inputs: readonly DataRef[];
  readonly outputs: readonly DataRef[];
  /** The id of a part after the first. The first part has the event's own id. */
  partId(part: number): Uint8Array;
}

/**
 * The event with its inputs and outputs. If they are too many for the limit of docs/formats.md §1, they are spread over several events: each later event
 * names the first as its parent, and each says how many there are.
 */
export function eventParts(event: Omit<Event, 'inputs' | 'outputs'>, { inputs, outputs, partId }: EventContent): Event[] {
  const sides = [...inputs.map((ref) => ({ ref, isInput: true })), ...outputs.map((ref) => ({ ref, isInput: false }))];
  const parts: (typeof sides)[] = [[]];
  let bytes = 0;
  for (const side of sides) {
    const cost = refBytes(side.ref);
    if (bytes + cost > LIMITS.eventBytes - RESERVED_BYTES && bytes > 0) {
      parts.push([]);
      bytes = 0;
    }
    parts.at(-1)?.push(side);
    bytes += cost;
  }
  if (parts.length === 1) return [{ ...event, inputs, outputs }];
  return parts.map((part, i) => ({
    ...event,
    id: i === 0 ? event.id : partId(i + 1),
    parents: i === 0 ? event.parents : [{ stream: event.stream, id: event.id, digest: null, origin: null }],
    inputs: part.filter(({ isInput }) => isInput).map(({ ref }) => ref),
    outputs: part.filter(({ isInput }) => !isInput).map(({ ref }) => ref),
    attributes: sortedAttributes(
      new Map([...event.attributes.map(({ key, value }) => [key, value] as const), ['part', `${i + 1}/${parts.length}`]]),
    ),
  }));
}

/** Upper bound of the bytes of the encoded reference. */
function refBytes({ namespace, name, version, digest }: DataRef): number {
  return REF_OVERHEAD_BYTES + 3 * (namespace.length + name.length + (version?.length ?? 0)) + (digest?.value.length ?? 0);
}

/** Attributes in the order that an event needs: sorted by the UTF-8 bytes of their keys. */
export function sortedAttributes(attributes: ReadonlyMap<string, string>): Event['attributes'] {
  return [...attributes].map(([key, value]) => ({ key, value })).toSorted((a, b) => compare(utf8(a.key), utf8(b.key)));
}
