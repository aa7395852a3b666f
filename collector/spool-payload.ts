import { toHex } from '../core/base/bytes.ts';
import { type BatchHeader, decodeBatchHeader, decodeSignedBatch, type SignedBatch } from '../core/formats/batch.ts';
import type { FoundRecord, Place, Segment } from './spool.ts';
import { RECORD, type SpoolRecord } from './spool-record.ts';

/** shard u16 ‖ sequence number u48, before an event's bytes. */
export const EVENT_HEAD_BYTES = 8;
const PLACE_BYTES = 30;

/** How far the log has acknowledged a lane of an epoch. */
export interface LaneProgress {
  number: number;
  seq: number;
  /** First sequence number that the log has not acknowledged. */
  acknowledgedSeq: number;
  /** First header number that the log has not acknowledged. */
  acknowledgedNumber: number;
}

export interface LeftBatch {
  readonly segment: Segment;
  readonly batch: SignedBatch;
  readonly header: BatchHeader;
}

export interface LeftEvent {
  readonly segment: Segment;
  readonly shard: number;
  readonly seq: number;
  readonly place: Place;
}

/** What an earlier start left. */
export interface LeftEpoch {
  readonly epoch: Uint8Array;
  readonly lanes: Map<number, LaneProgress>;
  readonly batches: LeftBatch[];
  /** Its segments. Events stay there until they are needed, because there may be millions. */
  readonly segments: Segment[];
  /** Its events without a batch are under a later epoch now. */
  moved: boolean;
  /** A heartbeat that states its lanes as final was acknowledged. */
  done: boolean;
}

export function encodeEventHead(shard: number, seq: number): Uint8Array {
  const head = Buffer.allocUnsafe(EVENT_HEAD_BYTES);
  head.writeUInt16BE(shard, 0);
  head.writeUIntBE(seq, 2, 6);
  return head;
}

/** epoch 16 ‖ shard u16 ‖ number u48 ‖ sequence u48: a lane's next header and next event. */
export function encodeLanes(
  lanes: Iterable<readonly [epoch: Uint8Array, shard: number, progress: { number: number; seq: number }]>,
): Uint8Array {
  const rows = [...lanes];
  const bytes = Buffer.allocUnsafe(PLACE_BYTES * rows.length);
  for (const [i, [epoch, shard, { number, seq }]] of rows.entries()) {
    const at = PLACE_BYTES * i;
    bytes.set(epoch, at);
    bytes.writeUInt16BE(shard, at + 16);
    bytes.writeUIntBE(number, at + 18, 6);
    bytes.writeUIntBE(seq, at + 24, 6);
  }
  return bytes;
}

/** Gathers the state in the records of earlier starts, by epoch. */
export class Leftovers {
  readonly epochs = new Map<string, LeftEpoch>();

  /** Takes one segment's records; feed segments in order. */
  add(segment: Segment, records: readonly SpoolRecord[]): void {
    this.#epoch(segment.epoch).segments.push(segment);
    for (const record of records) this.#record({ ...record, segment });
  }

  #record({ segment, kind, payload }: FoundRecord): void {
    const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.length);
    if (kind === RECORD.batch) {
      // A copy: the view would keep the whole segment in memory.
      const batch = decodeSignedBatch(payload.slice());
      const header = decodeBatchHeader(batch.header);
      this.#epoch(header.epoch).batches.push({ segment, batch, header });
      this.#advance(header.epoch, header.shard, header.number + 1, header.firstSeq + header.count, false);
    } else if (kind === RECORD.state || kind === RECORD.acknowledged) {
      for (let row = 0; row + PLACE_BYTES <= bytes.length; row += PLACE_BYTES) {
        const epoch = payload.slice(row, row + 16);
        const shard = bytes.readUInt16BE(row + 16);
        this.#advance(epoch, shard, bytes.readUIntBE(row + 18, 6), bytes.readUIntBE(row + 24, 6), kind === RECORD.acknowledged);
      }
    } else if (kind === RECORD.moved) this.#epoch(payload.slice()).moved = true;
    else if (kind === RECORD.done) this.#epoch(payload.slice()).done = true;
  }

  #advance(epoch: Uint8Array, shard: number, number: number, seq: number, acknowledged: boolean): void {
    const { lanes } = this.#epoch(epoch);
    const next = lanes.get(shard) ?? { number: 0, seq: 0, acknowledgedSeq: 0, acknowledgedNumber: 0 };
    next.number = Math.max(next.number, number);
    next.seq = Math.max(next.seq, seq);
    if (acknowledged) {
      next.acknowledgedSeq = Math.max(next.acknowledgedSeq, seq);
      next.acknowledgedNumber = Math.max(next.acknowledgedNumber, number);
    }
    lanes.set(shard, next);
  }

  #epoch(epoch: Uint8Array): LeftEpoch {
    const key = toHex(epoch);
    const known = this.epochs.get(key);
    if (known !== undefined) return known;
    const made: LeftEpoch = { epoch, lanes: new Map(), batches: [], segments: [], moved: false, done: false };
    this.epochs.set(key, made);
    return made;
  }
}

/** A batch that is sent again as it is, with its events in order. */
export interface PlannedBatch extends LeftBatch {
  readonly events: readonly LeftEvent[];
}

/** The event that a record of the segment holds. */
export function leftEvent(segment: Segment, { payload, at }: SpoolRecord): LeftEvent {
  const head = Buffer.from(payload.buffer, payload.byteOffset, EVENT_HEAD_BYTES);
  const place = { chunk: { segment, base: at, live: 0 }, at: EVENT_HEAD_BYTES, length: payload.length - EVENT_HEAD_BYTES };
  return { segment, shard: head.readUInt16BE(0), seq: head.readUIntBE(2, 6), place };
}

/**
 * Decides what happens to what an epoch left: whole batches are sent unchanged, and every other event that was not acknowledged moves to the new epoch.
 * Every event must be shown to it first.
 */
export class LeftPlan {
  readonly epoch: LeftEpoch;
  readonly #wanted = new Map<number, { readonly batch: LeftBatch; readonly events: (LeftEvent | undefined)[] }[]>();

  constructor(epoch: LeftEpoch) {
    this.epoch = epoch;
    // A write that failed halfway is done again in another segment, so a header may be there twice.
    const seen = new Set<string>();
    for (const batch of epoch.batches) {
      const { shard, count, number } = batch.header;
      if (number < (epoch.lanes.get(shard)?.acknowledgedNumber ?? 0) || seen.has(`${shard}/${number}`)) continue;
      seen.add(`${shard}/${number}`);
      const ofLane = this.#wanted.get(shard) ?? [];
      ofLane.push({ batch, events: Array.from({ length: count }) });
      this.#wanted.set(shard, ofLane);
    }
  }

  /** Whether an event can be part of a batch that is to be sent as it is. */
  get hasBatches(): boolean {
    return this.#wanted.size > 0;
  }

  show(event: LeftEvent): void {
    const wanted = this.#holder(event);
    if (wanted !== undefined) wanted.events[event.seq - wanted.batch.header.firstSeq] ??= event;
  }

  get batches(): PlannedBatch[] {
    return [...this.#wanted.values()]
      .flat()
      .filter(({ events }) => !events.includes(undefined))
      .map(({ batch, events }) => ({ ...batch, events: events as LeftEvent[] }));
  }

  get broken(): LeftBatch[] {
    return [...this.#wanted.values()].flat().flatMap(({ batch, events }) => (events.includes(undefined) ? [batch] : []));
  }

  isToMove(event: LeftEvent): boolean {
    if (this.epoch.moved || event.seq < (this.epoch.lanes.get(event.shard)?.acknowledgedSeq ?? 0)) return false;
    return this.#holder(event)?.events.includes(undefined) ?? true;
  }

  #holder({ shard, seq }: LeftEvent): { readonly batch: LeftBatch; readonly events: (LeftEvent | undefined)[] } | undefined {
    return this.#wanted.get(shard)?.find(({ batch: { header } }) => seq >= header.firstSeq && seq < header.firstSeq + header.count);
  }
}
