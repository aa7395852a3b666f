import { sha256 } from '#crypto';
import type { BatchProof, JudgedEvent, MessageCheck } from '../core/acceptance/batch-check.ts';
import { judgeLane } from '../core/acceptance/lane.ts';
import { type Lane, type LogView, laneKey, type StreamEnd } from '../core/acceptance/log-state.ts';
import { equal } from '../core/base/bytes.ts';
import { LineproofError } from '../core/base/errors.ts';
import { LIMITS } from '../core/base/limits.ts';
import { REASONS } from '../core/base/reasons.ts';
import type { Traceparent } from '../core/base/traceparent.ts';
import type { EvidenceInput, Receipt } from '../core/formats/evidence.ts';
import { dedupKeyOfEvent, dedupKeyOfHeader } from '../core/formats/identity.ts';
import { encodeLink, MARKS } from '../core/formats/leaf.ts';
import { encodeRejected } from '../core/formats/rejected.ts';
import type { PolicyInForce } from '../core/policy/policy-history.ts';
import type { DedupHit } from '../core/ports/dedup-index.ts';
import { leafHash } from '../core/tree/hash.ts';

const ZEROS = new Uint8Array(32);

/** One stretch of input, judged by itself: a message, offsets at which the log holds nothing, or offsets of records that no reader can read. */
export type Intake =
  | {
      readonly kind: 'message';
      readonly offset: number;
      /** When the input log took it, microseconds. */
      readonly timestampMicros: number;
      readonly value: Uint8Array;
      readonly check: Exclude<MessageCheck, { kind: 'hold' }>;
      /** Only of a proven batch: a value from anybody else is not passed on. */
      readonly traceparent?: Traceparent | undefined;
    }
  | { readonly kind: 'empty'; readonly offset: number; readonly span: number }
  | {
      readonly kind: 'unreadable';
      readonly offset: number;
      readonly span: number;
      readonly timestampMicros: number;
      readonly digest: Uint8Array;
      readonly size: number;
      readonly bytes: Uint8Array;
    };

/** Looks an identity or a header up in everything that was linked before this block. */
export type Known = (key: Uint8Array) => DedupHit | undefined;

/** The content of a block before it is sealed. */
export interface Ordered {
  readonly inputs: readonly EvidenceInput[];
  readonly links: readonly Uint8Array[];
  readonly events: readonly Uint8Array[];
  /** Events of REJECTED and CONFLICT receipts. */
  readonly refused: readonly Uint8Array[];
  readonly hashes: readonly Uint8Array[];
  /** Keys of the linked events in the dedup index. */
  readonly keys: readonly Uint8Array[];
  /** Values for `provenance.rejected`, to be acknowledged before the block is appended. */
  readonly rejected: readonly Uint8Array[];
}

export interface OrderRules {
  readonly acceptedAt: number;
  readonly inputGeneration: number;
  readonly laneRetentionMicros: number;
  readonly clockSkewMicros: number;
}

/** The policy's times that order input. */
export function orderTimes({ policy }: PolicyInForce): Pick<OrderRules, 'laneRetentionMicros' | 'clockSkewMicros'> {
  return { laneRetentionMicros: policy.laneRetentionMs * 1000, clockSkewMicros: policy.clockSkewMs * 1000 };
}

/** A map key for 16 bytes: two to a character. Spreading the array takes five times as long. */
export function keyText(key: Uint8Array): string {
  const pair = (at: number): number => ((key[at] as number) << 8) | (key[at + 1] as number);
  return String.fromCharCode(pair(0), pair(2), pair(4), pair(6), pair(8), pair(10), pair(12), pair(14));
}

/** The keys under which an intake's header and events are looked up. */
export function lookupKeys(intake: Intake): Uint8Array[] {
  if (intake.kind !== 'message' || intake.check.kind !== 'proven') return [];
  const { proof, events } = intake.check;
  return [
    dedupKeyOfHeader(proof.header),
    ...eventKeys(events).filter((key, i) => key !== undefined && events[i]?.reason === REASONS.NONE),
  ] as Uint8Array[];
}

/** Keys of a batch's events, computed for the look-up and used again when the batch is ordered. */
const keysOfEvents = new WeakMap<readonly JudgedEvent[], readonly (Uint8Array | undefined)[]>();

function eventKeys(events: readonly JudgedEvent[]): readonly (Uint8Array | undefined)[] {
  const known = keysOfEvents.get(events);
  if (known !== undefined) return known;
  const keys = events.map(({ head }) => (head === undefined ? undefined : dedupKeyOfEvent(head.stream, head.id)));
  keysOfEvents.set(events, keys);
  return keys;
}

/** An upper bound of the bytes that an intake adds to its block. Blocks take whole batches only, so this bound keeps them within their limit. */
export function blockCost(intake: Intake): number {
  if (intake.kind === 'empty') return 32;
  if (intake.kind === 'unreadable') return 256;
  const { check } = intake;
  if (check.kind === 'rejected') return 256 + (check.proof === null ? 0 : check.proof.header.length + check.proof.signature.length);
  let cost = 256 + check.proof.header.length + check.proof.signature.length;
  for (const { bytes, head } of check.events)
    cost += bytes.length + (head === undefined ? 0 : head.streamBytes) + LIMITS.batchEventOverheadBytes;
  return cost;
}

/**
 * Puts judged input into the order of the log: judges each batch by the lane table, and decides for each event whether it gets a link or a receipt.
 * Pure; the acceptance function checks the resulting block before it is appended.
 */
export function order(view: LogView, intakes: readonly Intake[], known: Known, rules: OrderRules): Ordered {
  const draft = new Draft(view, known, rules);
  for (const intake of intakes) draft.take(intake);
  return draft;
}

class Draft implements Ordered {
  readonly inputs: EvidenceInput[] = [];
  readonly links: Uint8Array[] = [];
  readonly events: Uint8Array[] = [];
  readonly refused: Uint8Array[] = [];
  readonly hashes: Uint8Array[] = [];
  readonly keys: Uint8Array[] = [];
  readonly rejected: Uint8Array[] = [];
  readonly #view: LogView;
  readonly #known: Known;
  readonly #rules: OrderRules;
  /** Of the input before. It never falls, and input never moves it beyond `acceptedAt` and the clock skew. */
  #appendedAt: number;
  readonly #streams = new Map<string, StreamEnd>();
  readonly #lanes = new Map<string, Lane>();
  /** Identities and headers of this block. */
  readonly #own = new Map<string, DedupHit>();

  constructor(view: LogView, known: Known, rules: OrderRules) {
    this.#view = view;
    this.#known = known;
    this.#rules = rules;
    this.#appendedAt = view.head.appendedAt;
  }

  take(intake: Intake): void {
    if (intake.kind === 'empty') {
      this.#entry({ outcome: 'EMPTY', span: intake.span, appendedAt: this.#appendedAt });
      return;
    }
    if (intake.kind === 'unreadable') throw new LineproofError('INTERNAL', 'cannot order records that cannot be read');
    const { check } = intake;
    const { acceptedAt, clockSkewMicros } = this.#rules;
    this.#appendedAt = Math.max(this.#appendedAt, Math.min(intake.timestampMicros, acceptedAt + clockSkewMicros));
    if (check.kind === 'rejected') this.#reject(intake.offset, this.#appendedAt, intake.value, check.reason, check.proof);
    else this.#takeBatch(intake.offset, this.#appendedAt, intake.value, check);
  }

  #takeBatch(offset: number, appendedAt: number, value: Uint8Array, batch: Extract<MessageCheck, { kind: 'proven' }>): void {
    const { header } = batch.proven;
    const hash = sha256(batch.proof.header);
    const headerKey = dedupKeyOfHeader(batch.proof.header);
    const lane = laneKey(header.producer, header.epoch);
    const step = { number: header.number, previous: header.previous, hash, appendedAt };
    const seen = this.#find(headerKey) !== undefined;
    const outcome = seen ? 'REPEATED' : judgeLane(this.#lanes.get(lane) ?? this.#view.lane(lane), step, this.#rules.laneRetentionMicros);
    if (outcome === 'REPEATED') return this.#entry({ outcome: 'REPEATED', appendedAt, batch: batch.proof });
    if (outcome === 'FORK') return this.#reject(offset, appendedAt, value, REASONS.LANE_FORK, batch.proof);
    this.#lanes.set(lane, { number: header.number + 1, hash, appendedAt });
    this.#own.set(keyText(headerKey), { logIndex: -1, digest: hash.slice(0, 16) });
    let marks = outcome === 'GAP' ? MARKS.gapBefore : 0;
    const receipts: Receipt[] = [];
    const keys = eventKeys(batch.events);
    for (const [position, event] of batch.events.entries()) {
      const key = keys[position] ?? ZEROS;
      const receipt = this.#receipt(position, event, key, offset);
      if (receipt !== undefined) {
        receipts.push(receipt);
        continue;
      }
      this.#link(event, header.schema, offset, position, marks);
      this.keys.push(key);
      this.#own.set(keyText(key), { logIndex: this.#view.head.size + this.links.length - 1, digest: event.digest.subarray(0, 16) });
      marks = 0;
    }
    this.#entry({ outcome: 'ACCEPTED', appendedAt, batch: batch.proof, receipts });
  }

  /** The receipt of an event that is not linked; undefined for one that is. `key` is the key of its identity in the dedup index, if it has one. */
  #receipt(position: number, event: JudgedEvent, key: Uint8Array, offset: number): Receipt | undefined {
    const { bytes, digest, head, reason } = event;
    if (reason !== REASONS.NONE || head === undefined) {
      this.refused.push(bytes);
      this.#keepBytes({ inputOffset: offset, position, outcome: 'REJECTED', reason, digest, bytes });
      return { position, digest, id: head?.id ?? null, outcome: 'REJECTED', reason, original: null };
    }
    const hit = this.#find(key);
    if (hit === undefined) return undefined;
    const outcome = equal(hit.digest, digest.subarray(0, 16)) ? 'DUPLICATE' : 'CONFLICT';
    if (outcome === 'CONFLICT') {
      this.refused.push(bytes);
      this.#keepBytes({ inputOffset: offset, position, outcome, reason: REASONS.NONE, digest, bytes });
    }
    return { position, digest, id: head.id, outcome, reason: REASONS.NONE, original: hit.logIndex };
  }

  #link(event: JudgedEvent, schema: Uint8Array, inputOffset: number, position: number, marks: number): void {
    const { stream } = event.head as NonNullable<JudgedEvent['head']>;
    const end = this.#streams.get(stream) ?? this.#view.stream(stream);
    const index = end === undefined ? 0 : end.index + 1;
    const { acceptedAt } = this.#rules;
    const leaf = encodeLink({
      kind: 'link',
      stream,
      index,
      previous: end?.hash ?? ZEROS,
      event: event.digest,
      schema,
      acceptedAt,
      inputOffset,
      position,
      marks,
    });
    const hash = leafHash(leaf);
    const logIndex = this.#view.head.size + this.links.length;
    this.#streams.set(stream, { index, hash, logIndex });
    this.links.push(leaf);
    this.events.push(event.bytes);
    this.hashes.push(hash);
  }

  #find(key: Uint8Array): DedupHit | undefined {
    return this.#own.get(keyText(key)) ?? this.#known(key);
  }

  #reject(offset: number, appendedAt: number, value: Uint8Array, reason: number, proof: BatchProof | null): void {
    const digest = sha256(value);
    this.#keepBytes({ inputOffset: offset, position: -1, outcome: 'REJECTED', reason, digest, bytes: value });
    this.#entry({ outcome: 'REJECTED', appendedAt, reason, message: digest, batch: proof });
  }

  #entry(entry: Partial<EvidenceInput> & Pick<EvidenceInput, 'outcome' | 'appendedAt'>): void {
    this.inputs.push({ span: 1, reason: REASONS.NONE, message: null, batch: null, receipts: [], ...entry });
  }

  #keepBytes(record: {
    inputOffset: number;
    position: number;
    outcome: 'REJECTED' | 'CONFLICT';
    reason: number;
    digest: Uint8Array;
    bytes: Uint8Array;
  }): void {
    const { origin, shard } = this.#view.head;
    const size = record.bytes.length;
    this.rejected.push(
      encodeRejected({
        ...record,
        origin,
        shard,
        inputGeneration: this.#rules.inputGeneration,
        size,
        bytes: record.bytes.subarray(0, LIMITS.rejectedBytes),
      }),
    );
  }
}
