import { sha256 } from '#crypto';
import { type BatchRules, type JudgedEvent, judgeEvent } from '../core/acceptance/batch-check.ts';
import { unframe } from '../core/avro/framing.ts';
import { concat, equal, toBase64, toHex } from '../core/base/bytes.ts';
import { LineproofError } from '../core/base/errors.ts';
import { LIMITS } from '../core/base/limits.ts';
import { REASON_TRAITS, REASONS, type ReasonName, reasonName } from '../core/base/reasons.ts';
import { type BatchHeader, decodeBatchHeader, decodeSignedBatch, type SignedBatch } from '../core/formats/batch.ts';
import { type Event, eventDigests } from '../core/formats/event.ts';
import type { EventHead, EventSchema } from '../core/formats/event-schema.ts';
import type { EvidenceInput } from '../core/formats/evidence.ts';
import { decodeRun, type Rejected } from '../core/formats/rejected.ts';
import { shardOf } from '../core/formats/shard.ts';
import { preAuthentication } from '../core/keys/dsse.ts';
import { verifySignature } from '../core/keys/signature.ts';
import type { PolicyInForce, ProducerInForce } from '../core/policy/policy-history.ts';
import { TOPICS } from '../core/ports/log.ts';
import { batchRoot } from '../core/tree/batch-tree.ts';

const NOT_ITS_EVENTS = 'its events are not those that its producer signed';
const UNREADABLE = 'it cannot be read as a batch, so its signer is unknown';
const REFUSED_AGAIN = 'it would be refused again from any sender; its producer must record it again';

type Obstacle = { [N in ReasonName]: (typeof REASON_TRAITS)[N]['resubmittable'] extends false ? N : never }[ReasonName];

/** Why events that were refused for this reason cannot be sent again; `REASON_TRAITS` says which reasons these are. */
const OBSTACLES: Readonly<Record<Obstacle, string>> = {
  RECORDS_UNREADABLE: 'nobody can read its records, so nobody knows what they held; their producer must send it again',
  // The reason of a CONFLICT.
  NONE: 'its identity is linked with other content, so it would be in conflict again; record it under another id',
  MESSAGE_TOO_LARGE: 'it is larger than any message may be; its producer must send smaller batches',
  FRAMING_INVALID: UNREADABLE,
  BATCH_MALFORMED: UNREADABLE,
  HEADER_MALFORMED: UNREADABLE,
  ORIGIN_WRONG: 'it was signed for the log of another origin',
  BATCH_TOO_LARGE: 'it is larger than any batch may be; its producer must send smaller ones',
  COUNT_WRONG: NOT_ITS_EVENTS,
  LANES_WRONG: 'it is a heartbeat, which has no events',
  SIGNATURE_WRONG: 'its producer did not sign it',
  ROOT_WRONG: NOT_ITS_EVENTS,
  EVENT_TOO_LARGE: REFUSED_AGAIN,
  EVENT_MALFORMED: REFUSED_AGAIN,
  EVENT_INVALID: REFUSED_AGAIN,
};

/** Why a record cannot be sent again, whatever its bytes are; undefined if its reason allows it. */
function obstacleOf(reason: number): string | undefined {
  const name = reasonName(reason);
  if (name === undefined) return 'this version does not know its reason';
  return REASON_TRAITS[name].resubmittable ? undefined : OBSTACLES[name as Obstacle];
}

/** Refused events. Everything about them that does not depend on the log's history is proven. */
export interface RejectedEvents {
  /** Of the message alone, also where it is one of a run. */
  readonly record: Rejected;
  /** As it was kept: the record of the run, or `record` itself. */
  readonly kept: Rejected;
  /** Undefined for a single event, whose batch is in the evidence only. */
  readonly batch: { readonly header: BatchHeader; readonly bytes: Uint8Array } | undefined;
  /** As they were signed, in the order of the batch. */
  readonly events: readonly { readonly position: number; readonly bytes: Uint8Array }[];
}

/** The events of each message of a record that can be sent again, and why the others cannot. */
export interface OpenedRecord {
  readonly opened: readonly RejectedEvents[];
  readonly refusals: readonly LineproofError[];
}

/**
 * Opens a record of `provenance.rejected`, each of its messages by itself. Throws NOT_RESUBMITTABLE if its reason, its bytes or the key that signed it
 * prevent a resubmission; of a run, if that is so of every message.
 */
export function openRecord(record: Rejected, policy: PolicyInForce): OpenedRecord {
  if (record.span === 1) return { opened: [openRejected(record, policy)], refusals: [] };
  const opened: RejectedEvents[] = [];
  const refusals: LineproofError[] = [];
  for (const message of messagesOf(record)) {
    try {
      opened.push({ ...openRejected(message, policy), kept: record });
    } catch (error) {
      refusals.push(asRefusal(error));
    }
  }
  const [first] = refusals;
  if (opened.length === 0 && first !== undefined) throw first;
  return { opened, refusals };
}

/** The error, if it says why something cannot be sent again; throws it otherwise. */
export function asRefusal(error: unknown): LineproofError {
  if (error instanceof LineproofError && error.code === 'NOT_RESUBMITTABLE') return error;
  throw error;
}

/** A record for each message of a run. */
function messagesOf(record: Rejected): readonly Rejected[] {
  checkKept(record);
  let values: readonly Uint8Array[];
  try {
    values = decodeRun(record.bytes, record.span);
  } catch {
    throw refused(record, 'its bytes are not those of as many messages as it covers');
  }
  return values.map((bytes, i) => ({
    ...record,
    inputOffset: record.inputOffset + i,
    span: 1,
    digest: sha256(bytes),
    size: bytes.length,
    bytes,
  }));
}

/** Throws NOT_RESUBMITTABLE if the reason forbids a resubmission, or not all bytes were kept. */
function checkKept(record: Rejected): void {
  const obstacle = obstacleOf(record.reason);
  if (obstacle !== undefined) throw refused(record, obstacle);
  if (record.size > record.bytes.length)
    throw refused(record, `only ${record.bytes.length} of its ${record.size} bytes were kept, but the signature covers all of them`);
  if (record.position < 0 && !equal(sha256(record.bytes), record.digest))
    throw refused(record, 'its bytes do not have the digest that it is kept under');
}

/** Opens the record of a single message or event. Throws NOT_RESUBMITTABLE if its reason, its bytes or the key that signed it prevent a resubmission. */
export function openRejected(record: Rejected, policy: PolicyInForce): RejectedEvents {
  checkKept(record);
  if (record.position >= 0) return { record, kept: record, batch: undefined, events: [{ position: record.position, bytes: record.bytes }] };
  const { batch, header } = readBatch(record);
  if (header.origin !== policy.policy.origin) throw refused(record, OBSTACLES.ORIGIN_WRONG);
  const producer = signerOf(record, header.producer, batch.keyId, policy);
  if (!verifySignature(producer.key, preAuthentication('batch', batch.header), batch.signature))
    throw refused(record, OBSTACLES.SIGNATURE_WRONG);
  if (header.count === 0) throw refused(record, OBSTACLES.LANES_WRONG);
  if (header.count > LIMITS.batchEvents) throw refused(record, OBSTACLES.BATCH_TOO_LARGE);
  if (header.count !== batch.events.length || !equal(batchRoot(eventDigests(header.schema, batch.events)), header.root))
    throw refused(record, NOT_ITS_EVENTS);
  const events = batch.events.map((bytes, position) => ({ position, bytes }));
  return { record, kept: record, batch: { header, bytes: batch.header }, events };
}

function readBatch(record: Rejected): { readonly batch: SignedBatch; readonly header: BatchHeader } {
  try {
    const batch = decodeSignedBatch(unframe(record.bytes).payload);
    return { batch, header: decodeBatchHeader(batch.header) };
  } catch {
    throw refused(record, UNREADABLE);
  }
}

/** The known key that signed the events. It may be RETIRED, but not COMPROMISED: a thief may hold such a key. */
function signerOf(record: Rejected, name: string, id: Uint8Array, policy: PolicyInForce): ProducerInForce {
  const key = policy.producer(name, id);
  if (key === undefined) {
    // The writer of the message chose the name: it may be hostile.
    const label = JSON.stringify(`${name}+${toHex(id)}`);
    throw refused(record, `the newest policy does not name the key ${label} that signed it; name it there first`);
  }
  if (key.entry.status === 'COMPROMISED')
    throw refused(record, `the key that signed it, ${key.verifier.text}, is COMPROMISED, so somebody else may have written it`);
  return key;
}

/** The header under which the events were signed first. Throws NOT_RESUBMITTABLE if the block's evidence contradicts the record. */
export function checkEvidence(
  { record, kept, batch }: RejectedEvents,
  input: EvidenceInput | undefined,
  policy: PolicyInForce,
): ProvenOrigin {
  const otherwise = 'the log contradicts it: its evidence names another refusal at this place';
  if (input === undefined)
    throw refused(
      record,
      'no block confirms the refusal: no block has consumed its message yet, or the writer of the record was not a chainer',
    );
  if (batch !== undefined) {
    const { outcome, span, reason, message } = input;
    if (outcome !== 'REJECTED' || span !== kept.span || reason !== kept.reason || message === null || !equal(message, kept.digest))
      throw refused(record, otherwise);
    return { header: batch.header, headerBytes: batch.bytes };
  }
  const receipt = input.outcome === 'ACCEPTED' ? input.receipts.find(({ position }) => position === record.position) : undefined;
  if (receipt?.outcome !== 'REJECTED' || receipt.reason !== record.reason || !equal(receipt.digest, record.digest) || input.batch === null)
    throw refused(record, otherwise);
  const header = decodeBatchHeader(input.batch.header);
  signerOf(record, header.producer, input.batch.keyId, policy);
  if (!equal(eventDigests(header.schema, [record.bytes])[0] as Uint8Array, record.digest))
    throw refused(record, 'its bytes do not have the digest that it is kept under');
  return { header, headerBytes: input.batch.header };
}

/** The header under which the events were signed first. */
export interface ProvenOrigin {
  readonly header: BatchHeader;
  readonly headerBytes: Uint8Array;
}

/** An event that is sent unchanged. */
export interface Resent {
  readonly position: number;
  readonly bytes: Uint8Array;
  readonly digest: Uint8Array;
  readonly head: EventHead;
  /** The shard of its stream. */
  readonly shard: number;
}

/** An event that is not sent, and why. */
export interface Withheld {
  readonly position: number;
  readonly reason: ReasonName;
}

/** Divides events into those that the log will link when `sender` sends them, and the rest. */
export function judgeEvents(
  events: RejectedEvents['events'],
  { header }: ProvenOrigin,
  { sender, schema, rules }: { readonly sender: ProducerInForce; readonly schema: EventSchema; readonly rules: Omit<BatchRules, 'shard'> },
): { readonly digests: readonly Uint8Array[]; readonly resent: readonly Resent[]; readonly withheld: readonly Withheld[] } {
  const digests = eventDigests(
    header.schema,
    events.map(({ bytes }) => bytes),
  );
  const resent: Resent[] = [];
  const withheld: Withheld[] = [];
  for (const [i, { position, bytes }] of events.entries()) {
    const digest = digests[i] as Uint8Array;
    const judge = (shard: number): JudgedEvent => judgeEvent(bytes, digest, { header, producer: sender, schema }, { ...rules, shard });
    const { head } = judge(header.shard);
    const shard = head === undefined ? header.shard : shardOf(head.stream, rules.shards);
    const { reason } = judge(shard);
    if (head !== undefined && reason === REASONS.NONE) resent.push({ position, bytes, digest, head, shard });
    else withheld.push({ position, reason: reasonName(reason) as ReasonName });
  }
  return { digests, resent, withheld };
}

/** Stream of the events that state which events were sent again to a shard. */
export function resubmitStream(shard: number): string {
  return `lineproof/resubmit/${shard}`;
}

export interface ReferenceOptions {
  readonly id: Uint8Array;
  /** Microseconds since 1970. */
  readonly occurredAt: number;
  /** Name of the key that sends. */
  readonly sender: string;
  readonly shard: number;
  /** Digests of all events of the record, in their order. */
  readonly digests: readonly Uint8Array[];
}

/** The event that precedes the events sent again and says where they were refused (docs/formats.md §3). */
export function referenceEvent(record: Rejected, { header, headerBytes }: ProvenOrigin, options: ReferenceOptions): Event {
  const { id, occurredAt, sender, shard, digests } = options;
  const place = `${TOPICS.events}/${record.inputGeneration}/${record.inputOffset}`;
  return {
    id,
    stream: resubmitStream(shard),
    type: 'ATTEST',
    importance: 'ESSENTIAL',
    occurredAt,
    actor: { id: sender, kind: 'UNKNOWN', onBehalfOf: null },
    activity: { name: 'lineproof rejected resubmit', runId: null, version: null, environment: null },
    inputs: [
      {
        namespace: `${record.origin}/${record.shard}`,
        name: record.position < 0 ? place : `${place}/${record.position}`,
        version: null,
        digest: { algorithm: record.position < 0 ? 'sha256' : 'lineproof-event', value: record.digest },
        size: record.size,
        mediaType: 'application/avro',
      },
    ],
    outputs: [],
    parents: [],
    trace: null,
    attributes: [
      { key: 'lineproof.resubmitted.events', value: toBase64(concat(...digests)) },
      { key: 'lineproof.resubmitted.header', value: toHex(sha256(headerBytes)) },
      { key: 'lineproof.resubmitted.producer', value: header.producer },
      { key: 'lineproof.resubmitted.reason', value: reasonName(record.reason) ?? String(record.reason) },
    ],
    facets: [],
  };
}

/** The error that says why `record` cannot be sent again. */
export function refused({ shard, inputOffset, span, position }: Rejected, fact: string): LineproofError {
  const whole = span === 1 ? `message ${inputOffset}` : `offsets ${inputOffset} to ${inputOffset + span - 1}`;
  const place = position < 0 ? whole : `event ${position} of message ${inputOffset}`;
  return new LineproofError('NOT_RESUBMITTABLE', `cannot resubmit ${place} of shard ${shard}: ${fact}`, { shard, inputOffset, position });
}
