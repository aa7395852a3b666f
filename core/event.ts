import { sha256 } from '#crypto';

/** Kinds of events, in the order of the schema; OTHER stands for a kind that this version does not know. */
export const EVENT_TYPES = [
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

/** An event that caused another; `digest` and `origin` when it lies in somebody else's log. */
export interface EventRef {
  readonly stream: string;
  readonly id: Uint8Array;
  readonly digest: Uint8Array | null;
  readonly origin: string | null;
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
  readonly trace: { readonly traceId: Uint8Array; readonly spanId: Uint8Array } | null;
  readonly attributes: readonly { readonly key: string; readonly value: string }[];
  readonly facets: readonly { readonly name: string; readonly schemaUrl: string; readonly json: string }[];
}

let digestInput = new Uint8Array(4096);

/** `H(0x02 ‖ schemaDigest ‖ eventBytes)` (docs/formats.md §1). */
export function eventDigest(schemaDigest: Uint8Array, eventBytes: Uint8Array): Uint8Array {
  const length = 33 + eventBytes.length;
  if (length > digestInput.length) digestInput = new Uint8Array(2 * length);
  digestInput[0] = 2;
  digestInput.set(schemaDigest, 1);
  digestInput.set(eventBytes, 33);
  return sha256(digestInput.subarray(0, length));
}
