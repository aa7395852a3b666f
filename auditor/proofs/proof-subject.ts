import { toHex } from '../../core/base/bytes.ts';
import type { DataRef } from '../../core/formats/event.ts';
import { formatUuid } from '../../core/formats/identity.ts';
import { leafHash } from '../../core/tree/hash.ts';
import { type PlainEvent, plainEvents } from '../query.ts';
import type { ProofParts } from './proof-parts.ts';
import type { ProofTrust } from './proof-trust.ts';

/** Data that the event names. */
export interface NamedData {
  readonly role: 'input' | 'output';
  readonly namespace: string;
  readonly name: string;
  /** `ALGORITHM:HEX`; null where the event states none. */
  readonly digest: string | null;
}

/** What a proof says of its event; all of it is a claim unless the properties prove it. */
export interface ProofSubject {
  /** Name of the log: origin, slash, shard. */
  readonly log: string;
  readonly leaf: number;
  readonly stream: string;
  /** Position in the stream. */
  readonly streamIndex: number;
  readonly id: string;
  readonly type: string;
  readonly producer: string;
  readonly data: readonly NamedData[];
  /** ISO 8601, by the producer's clock. */
  readonly occurredAt: string;
  /** ISO 8601, by the chainer's clock. */
  readonly acceptedAt: string;
  /** Leaves that the note covers, and their root in hexadecimal. */
  readonly size: number;
  readonly root: string;
  /** Hex leaf hash of the link, and of the link before it in the stream. */
  readonly leafHash: string;
  readonly previous: string;
  /** Version of the policy under which it was accepted; null where the proof does not show it. */
  readonly policyVersion: number | null;
  /** The newest version that the proof holds: what a later one says of the keys is not known here. */
  readonly newestPolicyVersion: number | null;
  /** Hex digest of the first version; null without one. */
  readonly genesis: string | null;
  readonly event: PlainEvent | null;
}

/** What the parts of a proof say of its event. */
export function subjectOf(parts: ProofParts, { policy, history }: ProofTrust): ProofSubject {
  const { checkpoint, index, link, event, header, proof } = parts;
  return {
    log: checkpoint.origin,
    leaf: index,
    stream: link.stream,
    streamIndex: link.index,
    id: formatUuid(event.id),
    type: event.type,
    producer: header.producer,
    data: [...event.inputs.map((ref) => named('input', ref)), ...event.outputs.map((ref) => named('output', ref))],
    occurredAt: isoOf(event.occurredAt),
    acceptedAt: isoOf(link.acceptedAt),
    size: checkpoint.size,
    root: toHex(checkpoint.root),
    leafHash: toHex(leafHash(proof.leaf)),
    previous: toHex(link.previous),
    policyVersion: policy?.policy.version ?? null,
    newestPolicyVersion: history?.latest.policy.version ?? null,
    genesis: history?.versions[0]?.hex ?? null,
    event: eventOf(parts),
  };
}

function named(role: NamedData['role'], { namespace, name, digest }: DataRef): NamedData {
  return { role, namespace, name, digest: digest === null ? null : `${digest.algorithm}:${toHex(digest.value)}` };
}

function eventOf({ schema, proof }: ProofParts): PlainEvent | null {
  try {
    return plainEvents(schema)(proof.event);
  } catch {
    // Of a later schema that this program cannot turn into its own: the bytes are proven, and not shown.
    return null;
  }
}

/** ISO 8601 of microseconds; the number itself where no calendar has the day. */
function isoOf(micros: number): string {
  const date = new Date(Math.floor(micros / 1000));
  return Number.isNaN(date.getTime()) ? `${micros} µs since 1970` : date.toISOString();
}
