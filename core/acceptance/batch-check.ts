import { unframe } from '../avro/framing.ts';
import { attempt } from '../base/attempt.ts';
import { equal, toHex } from '../base/bytes.ts';
import { hasCode } from '../base/errors.ts';
import { LIMITS } from '../base/limits.ts';
import { REASONS, type Reason } from '../base/reasons.ts';
import { type BatchHeader, batchCost, decodeBatchHeader, decodeSignedBatch, type SignedBatch } from '../formats/batch.ts';
import { eventDigests } from '../formats/event.ts';
import type { EventHead, EventSchema } from '../formats/event-schema.ts';
import type { Receipt } from '../formats/evidence.ts';
import { shardOf } from '../formats/shard.ts';
import { preAuthentication } from '../keys/dsse.ts';
import { verifySignature } from '../keys/signature.ts';
import { missingField } from '../policy/policy-check.ts';
import type { PolicyInForce, ProducerInForce } from '../policy/policy-history.ts';
import { batchRoot } from '../tree/batch-tree.ts';

/** The rules that judge a message. */
export interface BatchRules {
  readonly origin: string;
  readonly shard: number;
  readonly shards: number;
  readonly policy: PolicyInForce;
  /** The compiled event schema with this digest (hex), or undefined if it is not available right now. */
  eventSchema(hex: string): EventSchema | undefined;
}

/** Header, key id and signature as they go into the evidence. */
export interface BatchProof {
  readonly header: Uint8Array;
  readonly keyId: Uint8Array;
  readonly signature: Uint8Array;
}

/** A header whose signature is right and whose producer may publish. */
export interface ProvenHeader {
  readonly header: BatchHeader;
  readonly producer: ProducerInForce;
  readonly schema: EventSchema;
}

/** An event of a proven batch: linkable, or refused with the reason for its receipt. */
export type JudgedEvent =
  | { readonly bytes: Uint8Array; readonly digest: Uint8Array; readonly head: EventHead; readonly reason: typeof REASONS.NONE }
  | { readonly bytes: Uint8Array; readonly digest: Uint8Array; readonly head: EventHead | undefined; readonly reason: Reason };

export type MessageCheck =
  | { readonly kind: 'proven'; readonly proof: BatchProof; readonly proven: ProvenHeader; readonly events: readonly JudgedEvent[] }
  | { readonly kind: 'rejected'; readonly reason: Reason; readonly proof: BatchProof | null }
  /** An event schema in force is not available. That is our failure, not the producer's, so the shard waits. */
  | { readonly kind: 'hold'; readonly schema: string };

export type HeaderCheck =
  | { readonly kind: 'proven'; readonly proven: ProvenHeader }
  | { readonly kind: 'rejected'; readonly reason: Reason }
  | { readonly kind: 'hold'; readonly schema: string };

/**
 * Judges one value of `provenance.events` up to the point where its root is proven, then each event by itself.
 * The checks run in the order of the reasons' numbers, except that of the batch's exact size, so that every reader finds the same reason
 * (docs/formats.md §3).
 * `isBatchSchema` says whether a registry id of the framing is that of SignedBatch.
 */
export function checkMessage(value: Uint8Array, rules: BatchRules, isBatchSchema: (id: number) => boolean): MessageCheck {
  if (value.length > LIMITS.messageBytes) return rejected(REASONS.MESSAGE_TOO_LARGE);
  const framed = attempt(() => unframe(value));
  if (framed === undefined) return rejected(REASONS.FRAMING_INVALID);
  if (!isBatchSchema(framed.schemaId)) return rejected(REASONS.SCHEMA_ID_UNKNOWN);
  const batch = attempt(() => decodeSignedBatch(framed.payload));
  if (batch === undefined) return rejected(REASONS.BATCH_MALFORMED);
  const proof: BatchProof = { header: batch.header, keyId: batch.keyId, signature: batch.signature };
  const checked = checkHeader(proof, rules, batch.events.length);
  if (checked.kind === 'rejected') return rejected(checked.reason, proof);
  if (checked.kind === 'hold') return checked;
  return checkEvents(batch, proof, checked.proven, rules);
}

/**
 * Judges a header with its signature: everything about a batch that does not need its events.
 * `count` is the number of events in the message; undefined if only the evidence is at hand.
 */
export function checkHeader(proof: BatchProof, rules: BatchRules, count?: number): HeaderCheck {
  const header = attempt(() => decodeBatchHeader(proof.header));
  if (header === undefined) return { kind: 'rejected', reason: REASONS.HEADER_MALFORMED };
  const reason = placeReason(header, rules, count);
  if (reason !== REASONS.NONE) return { kind: 'rejected', reason };
  const producer = rules.policy.producer(header.producer, proof.keyId);
  if (producer === undefined) return { kind: 'rejected', reason: REASONS.KEY_UNKNOWN };
  if (!producer.active) return { kind: 'rejected', reason: REASONS.KEY_NOT_ACTIVE };
  if (!verifySignature(producer.key, preAuthentication('batch', proof.header), proof.signature))
    return { kind: 'rejected', reason: REASONS.SIGNATURE_WRONG };
  const digest = toHex(header.schema);
  if (!rules.policy.schemaInForce(digest)) return { kind: 'rejected', reason: REASONS.SCHEMA_NOT_IN_FORCE };
  const schema = rules.eventSchema(digest);
  return schema === undefined ? { kind: 'hold', schema: digest } : { kind: 'proven', proven: { header, producer, schema } };
}

/** Whether the header is in its right place: origin, shard, counts, heartbeats on their home lane. */
function placeReason(header: BatchHeader, rules: BatchRules, count: number | undefined): Reason {
  if (header.origin !== rules.origin) return REASONS.ORIGIN_WRONG;
  if (header.shard !== rules.shard) return REASONS.SHARD_WRONG;
  if (header.count > LIMITS.batchEvents) return REASONS.BATCH_TOO_LARGE;
  if (count !== undefined && header.count !== count) return REASONS.COUNT_WRONG;
  if (header.count === 0 && shardOf(header.producer, rules.shards) !== rules.shard) return REASONS.LANES_WRONG;
  return REASONS.NONE;
}

function checkEvents(batch: SignedBatch, proof: BatchProof, proven: ProvenHeader, rules: BatchRules): MessageCheck {
  const digests = eventDigests(proven.header.schema, batch.events);
  if (!equal(batchRoot(digests), proven.header.root)) return rejected(REASONS.ROOT_WRONG, proof);
  let cost = 0;
  const events = batch.events.map((bytes, i) => {
    const event = judgeEvent(bytes, digests[i] as Uint8Array, proven, rules);
    cost += batchCost(bytes.length, event.head?.streamBytes ?? 0);
    return event;
  });
  return cost > LIMITS.batchBytes ? rejected(REASONS.BATCH_TOO_LARGE, proof) : { kind: 'proven', proof, proven, events };
}

/** Judges one event of a batch whose root is proven. */
export function judgeEvent(bytes: Uint8Array, digest: Uint8Array, proven: ProvenHeader, rules: BatchRules): JudgedEvent {
  if (bytes.length > LIMITS.eventBytes) return { bytes, digest, head: undefined, reason: REASONS.EVENT_TOO_LARGE };
  let head: EventHead;
  try {
    head = proven.schema.readHead(bytes);
  } catch (error) {
    const reason = hasCode(error, 'EVENT_INVALID') ? REASONS.EVENT_INVALID : REASONS.EVENT_MALFORMED;
    return { bytes, digest, head: undefined, reason };
  }
  return { bytes, digest, head, reason: permissionReason(bytes, head, proven, rules) };
}

/**
 * Whether the receipt of an event that is not linked, and not a DUPLICATE, states what the event gives: its reason, where it was REJECTED, and its
 * identity. A CONFLICT, and an event whose stream is one too many, could have been linked by what the event shows; only the log shows the rest.
 */
export function isReceiptOf({ outcome, reason, id }: Receipt, judged: JudgedEvent): boolean {
  const shown = reason === REASONS.STREAM_CAP ? REASONS.NONE : reason;
  if (outcome === 'REJECTED' && reason === REASONS.NONE) return false;
  const own = judged.head?.id ?? null;
  return shown === judged.reason && (id === null || own === null ? id === own : equal(id, own));
}

function permissionReason(bytes: Uint8Array, head: EventHead, proven: ProvenHeader, rules: BatchRules): Reason {
  if (shardOf(head.stream, rules.shards) !== rules.shard) return REASONS.STREAM_WRONG_SHARD;
  const permit = rules.policy.permits(proven.producer, head.stream, head.type);
  if (permit === 'stream') return REASONS.STREAM_NOT_PERMITTED;
  if (permit === 'type') return REASONS.TYPE_NOT_PERMITTED;
  if (missingField(rules.policy, proven.schema, head.stream, bytes) !== undefined) return REASONS.FIELD_MISSING;
  return REASONS.NONE;
}

function rejected(reason: Reason, proof: BatchProof | null = null): MessageCheck {
  return { kind: 'rejected', reason, proof };
}
