import { sha256 } from '#crypto';
import type { BatchProof, JudgedEvent, MessageCheck, ProvenHeader } from '../core/acceptance/batch-check.ts';
import { judgeLane } from '../core/acceptance/lane.ts';
import { type Lane, type LogView, laneKey, type StreamEnd } from '../core/acceptance/log-state.ts';
import { Openings } from '../core/acceptance/openings.ts';
import { equal } from '../core/base/bytes.ts';
import { LIMITS } from '../core/base/limits.ts';
import { REASONS, type Reason } from '../core/base/reasons.ts';
import type { Traceparent } from '../core/base/traceparent.ts';
import type { EvidenceInput, Receipt } from '../core/formats/evidence.ts';
import { dedupKeyOfEvent, dedupKeyOfHeader } from '../core/formats/identity.ts';
import { encodeLink, MARKS } from '../core/formats/leaf.ts';
import { encodeRejected, encodeRun, type Rejected, runCost } from '../core/formats/rejected.ts';
import type { PolicyInForce, ProducerInForce } from '../core/policy/policy-history.ts';
import type { DedupHit } from '../core/ports/dedup-index.ts';
import type { UnreadableRecords } from '../core/ports/log.ts';
import { leafHash } from '../core/tree/hash.ts';

const ZEROS = new Uint8Array(32);

/** One message of the input, judged by itself. */
interface MessageIntake {
  readonly kind: 'message';
  readonly offset: number;
  /** When the input log took it, microseconds. */
  readonly timestampMicros: number;
  readonly value: Uint8Array;
  readonly check: Exclude<MessageCheck, { kind: 'hold' }>;
  /** Only of a proven batch: a value from anybody else is not passed on. */
  readonly traceparent?: Traceparent | undefined;
}

/** One stretch of input: a message, offsets at which the log holds nothing, or offsets of records that no reader can read. */
export type Intake = MessageIntake | { readonly kind: 'empty'; readonly offset: number; readonly span: number } | UnreadableRecords;

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

/** An upper bound of the bytes of two entries without header and receipts: a run may leave its last message to an entry of its own. */
const ENTRY_BYTES = 256;

/**
 * How many of the first intakes, at least one, surely fit into `maxBytes` of a block. Blocks take whole batches only, so this keeps them within their limit.
 */
export function fitting(intakes: readonly Intake[], maxBytes: number): number {
  let cost = 0;
  let count = 0;
  while (count < intakes.length) {
    cost += blockCost(intakes[count] as Intake);
    if (count > 0 && cost > maxBytes) break;
    count += runLength(intakes, count);
  }
  return count;
}

/**
 * How many intakes from `from` on share one entry of the evidence: messages that were refused for one reason before a header could be read, up to
 * {@link LIMITS.runBytes}. 1 for everything else, and for the last intake: a block's last message has an entry of its own (docs/formats.md §3).
 */
export function runLength(intakes: readonly Intake[], from: number): number {
  const first = nameless(intakes[from]);
  if (first === undefined) return 1;
  let bytes = 0;
  let to = from;
  for (; to < intakes.length - 1; to++) {
    const next = nameless(intakes[to]);
    if (next === undefined || next.reason !== first.reason) break;
    bytes += runCost(next.value);
    if (bytes > LIMITS.runBytes) break;
  }
  return Math.max(1, to - from);
}

/** A message that was refused before a header could be read. */
function nameless(intake: Intake | undefined): { readonly reason: Reason; readonly value: Uint8Array } | undefined {
  if (intake?.kind !== 'message' || intake.check.kind !== 'rejected' || intake.check.proof !== null) return undefined;
  return { reason: intake.check.reason, value: intake.value };
}

/** An upper bound of the bytes that an intake, or the run that it begins, adds to its block. */
function blockCost(intake: Intake): number {
  if (intake.kind === 'empty') return 32;
  if (intake.kind === 'unreadable') return ENTRY_BYTES;
  const { check } = intake;
  if (check.kind === 'rejected') return ENTRY_BYTES + (check.proof === null ? 0 : check.proof.header.length + check.proof.signature.length);
  let cost = ENTRY_BYTES + check.proof.header.length + check.proof.signature.length;
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
  for (let from = 0; from < intakes.length; ) {
    const count = runLength(intakes, from);
    draft.take(intakes.slice(from, from + count));
    from += count;
  }
  return draft;
}

type RejectedCheck = Extract<MessageCheck, { kind: 'rejected' }>;

/** The batch of an event: the offset of its message, and who signed it. */
interface FromBatch {
  readonly offset: number;
  readonly producer: ProducerInForce;
}

/** What is kept of refused input or of a refused event, apart from its log. */
type Kept = Omit<Rejected, 'origin' | 'shard' | 'inputGeneration'>;

/** Input that is refused as a whole. */
interface Rejection extends Pick<Rejected, 'span' | 'digest' | 'size' | 'bytes' | 'reason'> {
  readonly offset: number;
  readonly proof: BatchProof | null;
}

function whole(bytes: Uint8Array): Pick<Rejection, 'digest' | 'size' | 'bytes'> {
  return { digest: sha256(bytes), size: bytes.length, bytes };
}

function isMessage(intake: Intake): intake is MessageIntake {
  return intake.kind === 'message';
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
  readonly #openings: Openings;
  /** Identities and headers of this block. */
  readonly #own = new Map<string, DedupHit>();

  constructor(view: LogView, known: Known, rules: OrderRules) {
    this.#view = view;
    this.#known = known;
    this.#rules = rules;
    this.#appendedAt = view.head.appendedAt;
    this.#openings = new Openings(view);
  }

  /** Takes the intakes of one entry: a single one, or the messages of a run. */
  take(intakes: readonly Intake[]): void {
    const [first] = intakes;
    if (first === undefined) return;
    for (const intake of intakes) if (intake.kind !== 'empty') this.#moveTime(intake.timestampMicros);
    if (first.kind === 'empty') this.#entry({ outcome: 'EMPTY', span: first.span, appendedAt: this.#appendedAt });
    else if (first.kind === 'unreadable') this.#reject({ ...first, reason: REASONS.RECORDS_UNREADABLE, proof: null });
    else if (first.check.kind === 'rejected') this.#rejectMessages(first.offset, intakes.filter(isMessage), first.check);
    else this.#takeBatch(first.offset, this.#appendedAt, first.value, first.check);
  }

  #moveTime(timestampMicros: number): void {
    const { acceptedAt, clockSkewMicros } = this.#rules;
    this.#appendedAt = Math.max(this.#appendedAt, Math.min(timestampMicros, acceptedAt + clockSkewMicros));
  }

  #takeBatch(offset: number, appendedAt: number, value: Uint8Array, batch: Extract<MessageCheck, { kind: 'proven' }>): void {
    const { header } = batch.proven;
    const hash = sha256(batch.proof.header);
    const headerKey = dedupKeyOfHeader(batch.proof.header);
    const lane = laneKey(header.producer, header.epoch);
    const step = { number: header.number, previous: header.previous, hash, appendedAt };
    const seen = this.#find(headerKey) !== undefined;
    const held = this.#lanes.get(lane) ?? this.#view.lane(lane);
    const outcome = seen ? 'REPEATED' : judgeLane(held, step, this.#rules.laneRetentionMicros);
    if (outcome === 'REPEATED') return this.#entry({ outcome: 'REPEATED', appendedAt, batch: batch.proof });
    const refused = outcome === 'FORK' ? REASONS.LANE_FORK : this.#mayHold(held, batch.proven) ? REASONS.NONE : REASONS.LANE_CAP;
    if (refused !== REASONS.NONE) return this.#reject({ ...whole(value), offset, span: 1, reason: refused, proof: batch.proof });
    this.#lanes.set(lane, { number: header.number + 1, hash, appendedAt });
    this.#own.set(keyText(headerKey), { logIndex: -1, digest: hash.slice(0, 16) });
    let marks = outcome === 'GAP' ? MARKS.gapBefore : 0;
    const receipts: Receipt[] = [];
    const keys = eventKeys(batch.events);
    const from = { offset, producer: batch.proven.producer };
    for (const [position, event] of batch.events.entries()) {
      const key = keys[position] ?? ZEROS;
      const receipt = this.#receipt(position, event, key, from);
      if (receipt !== undefined) {
        receipts.push(receipt);
        continue;
      }
      this.#link(event, batch.proven, offset, position, marks);
      this.keys.push(key);
      this.#own.set(keyText(key), { logIndex: this.#view.head.size + this.links.length - 1, digest: event.digest.subarray(0, 16) });
      marks = 0;
    }
    this.#entry({ outcome: 'ACCEPTED', appendedAt, batch: batch.proof, receipts });
  }

  /** A lane that the state holds goes on; another one is opened, if its producer is below its cap. */
  #mayHold(held: Lane | undefined, { producer }: ProvenHeader): boolean {
    return held !== undefined || this.#openings.openLane(producer);
  }

  #endOf(stream: string): StreamEnd | undefined {
    return this.#streams.get(stream) ?? this.#view.stream(stream);
  }

  /** The receipt of an event that is not linked; undefined for one that is. `key` is the key of its identity in the dedup index, if it has one. */
  #receipt(position: number, event: JudgedEvent, key: Uint8Array, { offset, producer }: FromBatch): Receipt | undefined {
    const { bytes, digest, head, reason } = event;
    if (reason !== REASONS.NONE || head === undefined) return this.#refuseEvent(position, event, reason, offset);
    const hit = this.#find(key);
    if (hit === undefined) {
      // The link opens its stream, if there is none and the producer is below its cap.
      const isOpen = this.#endOf(head.stream) !== undefined || this.#openings.openStream(producer);
      return isOpen ? undefined : this.#refuseEvent(position, event, REASONS.STREAM_CAP, offset);
    }
    const outcome = equal(hit.digest, digest.subarray(0, 16)) ? 'DUPLICATE' : 'CONFLICT';
    if (outcome === 'CONFLICT') {
      this.refused.push(bytes);
      this.#keepEvent({ inputOffset: offset, position, outcome, reason: REASONS.NONE, digest, bytes });
    }
    return { position, digest, id: head.id, outcome, reason: REASONS.NONE, original: hit.logIndex };
  }

  #refuseEvent(position: number, { bytes, digest, head }: JudgedEvent, reason: Reason, offset: number): Receipt {
    this.refused.push(bytes);
    this.#keepEvent({ inputOffset: offset, position, outcome: 'REJECTED', reason, digest, bytes });
    return { position, digest, id: head?.id ?? null, outcome: 'REJECTED', reason, original: null };
  }

  #link(event: JudgedEvent, { header: { schema }, producer }: ProvenHeader, inputOffset: number, position: number, marks: number): void {
    const { stream } = event.head as NonNullable<JudgedEvent['head']>;
    const end = this.#endOf(stream);
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
    this.#streams.set(stream, { index, hash, logIndex, producer: end?.producer ?? producer.verifier.name });
    this.links.push(leaf);
    this.events.push(event.bytes);
    this.hashes.push(hash);
  }

  #find(key: Uint8Array): DedupHit | undefined {
    return this.#own.get(keyText(key)) ?? this.#known(key);
  }

  /** One message, or a run of them that were refused for the same reason. */
  #rejectMessages(offset: number, messages: readonly MessageIntake[], { reason, proof }: RejectedCheck): void {
    this.#reject({ ...whole(encodeRun(messages.map(({ value }) => value))), offset, span: messages.length, reason, proof });
  }

  #reject({ offset, span, digest, size, bytes, reason, proof }: Rejection): void {
    this.#keepBytes({ inputOffset: offset, span, position: -1, outcome: 'REJECTED', reason, digest, size, bytes });
    this.#entry({ outcome: 'REJECTED', span, appendedAt: this.#appendedAt, reason, message: digest, batch: proof });
  }

  #entry(entry: Partial<EvidenceInput> & Pick<EvidenceInput, 'outcome' | 'appendedAt'>): void {
    this.inputs.push({ span: 1, reason: REASONS.NONE, message: null, batch: null, receipts: [], ...entry });
  }

  #keepEvent(event: Omit<Kept, 'span' | 'size'>): void {
    this.#keepBytes({ ...event, span: 1, size: event.bytes.length });
  }

  #keepBytes(record: Kept): void {
    const { origin, shard } = this.#view.head;
    const { inputGeneration } = this.#rules;
    const bytes = record.bytes.subarray(0, LIMITS.rejectedBytes);
    this.rejected.push(encodeRejected({ ...record, origin, shard, inputGeneration, bytes }));
  }
}
