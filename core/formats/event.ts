import { sha256, sha256Into } from '#crypto';
import { equal } from '../base/bytes.ts';

/** Kinds of events of the released version 1 of the schema, in its order. Frozen: stored schemas of version 1 are read by it. */
export const EVENT_TYPES_OF_VERSION_1 = [
  'CREATE',
  'TRANSFORM',
  'AGGREGATE',
  'TRANSMIT',
  'RECEIVE',
  'ACCESS',
  'DELETE',
  'DEPLOY',
  'ATTEST',
  'CONFIGURE',
  'OTHER',
] as const;
/** Kinds of events, in the order of the schema; a new kind goes behind those of version 1. OTHER is any kind that this version does not know. */
export const EVENT_TYPES = [...EVENT_TYPES_OF_VERSION_1] as const;
export type EventType = (typeof EVENT_TYPES)[number];
export const IMPORTANCES = ['ESSENTIAL', 'AUXILIARY'] as const;
export type Importance = (typeof IMPORTANCES)[number];

export interface Actor {
  readonly id: string;
  readonly kind: 'SERVICE' | 'PERSON' | 'JOB' | 'DEVICE' | 'UNKNOWN';
  readonly onBehalfOf: string | null;
}

export interface Activity {
  readonly name: string;
  readonly runId: string | null;
  readonly version: string | null;
  readonly environment: string | null;
}

/** Data outside the log, by name and digest. */
export interface DataRef {
  readonly namespace: string;
  readonly name: string;
  readonly version: string | null;
  readonly digest: { readonly algorithm: string; readonly value: Uint8Array } | null;
  /** Bytes. */
  readonly size: number | null;
  readonly mediaType: string | null;
}

/** An event that caused another; with `digest` and `origin` if it is in somebody else's log. */
export interface EventRef {
  readonly stream: string;
  readonly id: Uint8Array;
  readonly digest: Uint8Array | null;
  readonly origin: string | null;
}

/** The span in which it happened. */
export interface EventTrace {
  readonly traceId: Uint8Array;
  readonly spanId: Uint8Array;
  /** Whether the span was recorded when the event happened. Not a part of the event: it only goes into the `traceparent` of the event's batch. */
  readonly sampled?: boolean;
}

/** One thing that happened to data (docs/formats.md §1). */
export interface Event {
  readonly id: Uint8Array;
  readonly stream: string;
  readonly type: EventType;
  readonly importance: Importance;
  /** Microseconds since 1970, the producer's clock. */
  readonly occurredAt: number;
  readonly actor: Actor;
  readonly activity: Activity | null;
  readonly inputs: readonly DataRef[];
  readonly outputs: readonly DataRef[];
  readonly parents: readonly EventRef[];
  readonly trace: EventTrace | null;
  readonly attributes: readonly { readonly key: string; readonly value: string }[];
  readonly facets: readonly { readonly name: string; readonly schemaUrl: string; readonly json: string }[];
}

/** Buffer for the bytes to hash; its content never outlives a call. */
let digestInput = new Uint8Array(4096);
const digestFound = new Uint8Array(32);

/** `H(0x02 ‖ schemaDigest ‖ eventBytes)` (docs/formats.md §1). */
export function eventDigest(schemaDigest: Uint8Array, eventBytes: Uint8Array): Uint8Array {
  return sha256(digestInputOf(schemaDigest, eventBytes));
}

/** Digests of a batch's events, in order; all of them are views of one new array. */
export function eventDigests(schemaDigest: Uint8Array, events: readonly Uint8Array[]): Uint8Array[] {
  const arena = new Uint8Array(32 * events.length);
  return events.map((bytes, i) => {
    sha256Into(digestInputOf(schemaDigest, bytes), arena, 32 * i);
    return arena.subarray(32 * i, 32 * i + 32);
  });
}

/** Whether `digest` is the event's. */
export function isEventDigest(digest: Uint8Array, schemaDigest: Uint8Array, eventBytes: Uint8Array): boolean {
  sha256Into(digestInputOf(schemaDigest, eventBytes), digestFound, 0);
  return equal(digest, digestFound);
}

function digestInputOf(schemaDigest: Uint8Array, eventBytes: Uint8Array): Uint8Array {
  const length = 33 + eventBytes.length;
  if (length > digestInput.length) digestInput = new Uint8Array(2 * length);
  digestInput[0] = 2;
  digestInput.set(schemaDigest, 1);
  digestInput.set(eventBytes, 33);
  return digestInput.subarray(0, length);
}
