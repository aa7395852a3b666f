import { sha256 } from '#crypto';
import { boundedSum } from '../core/archive/manifest.ts';
import { equal, toHex } from '../core/base/bytes.ts';
import type { BatchHeader } from '../core/formats/batch.ts';
import type { Findings } from './findings.ts';

interface LaneEnd {
  readonly shard: number;
  /** The numbers after the highest header and the highest event. */
  number: number;
  seq: number;
  hash: Uint8Array;
  sampledOut: number;
}

/** How far a lane has come: the numbers of its next header and of its next event. */
interface Reached {
  readonly number: number;
  readonly seq: number;
}

/** What a producer's heartbeats state about a lane. Each may only grow, so the largest counts, whatever was stated later. */
interface Statements {
  readonly shard: number;
  stated: Reached;
  /** Of the final ones; undefined without any. */
  final: Reached | undefined;
  /** The shard whose input has the final statement, and when that input was appended. */
  home: number;
  appendedAt: number;
}

/** The place of an ACCEPTED header. */
export interface HeaderPlace {
  readonly shard: number;
  readonly offset: number;
  /** Microseconds. */
  readonly appendedAt: number;
}

/** Follows every lane of an archive, across shards, by its signed numbers: gaps, contradictions, and ends that heartbeats state. */
export class LaneAudit {
  readonly #findings: Findings;
  readonly #lanes = new Map<string, LaneEnd>();
  readonly #statements = new Map<string, Statements>();
  /** `appendedAt` of the last consumed input of each shard, microseconds. */
  readonly #consumed = new Map<number, number>();
  /** Shards of which evidence is missing: lanes there, and statements about any lane, may be missing too. */
  readonly #blind = new Set<number>();
  heartbeats = 0;
  gaps = 0;

  constructor(findings: Findings) {
    this.#findings = findings;
  }

  get lanes(): number {
    return this.#lanes.size;
  }

  /** AUXILIARY events that producers state as dropped, over all lanes. */
  get sampledOut(): number {
    return boundedSum([...this.#lanes.values()].map((lane) => lane.sampledOut));
  }

  /** Evidence of a shard is missing: from here on nobody is accused of a gap that the missing evidence may fill. */
  lose(shard: number): void {
    this.#blind.add(shard);
  }

  /** The input of a shard was consumed up to this time. */
  consumed(shard: number, appendedAt: number): void {
    this.#consumed.set(shard, Math.max(appendedAt, this.#consumed.get(shard) ?? 0));
  }

  /** Takes an ACCEPTED header that is not a replay, in the order of its shard's log. */
  accepted(header: BatchHeader, bytes: Uint8Array, at: HeaderPlace): void {
    const key = laneName(header.producer, toHex(header.epoch), header.shard);
    const lane = this.#lanes.get(key);
    const place = { shard: at.shard, offset: at.offset, lane: key };
    if (!this.#blind.has(at.shard)) this.#checkContinues(header, lane, place);
    if (header.sampledOut < (lane?.sampledOut ?? 0))
      this.#findings.add(
        'STATEMENT_BACK',
        `the batch states ${header.sampledOut} events as sampled out of the lane, after ${lane?.sampledOut}`,
        place,
      );
    if (lane === undefined || header.number >= lane.number) {
      this.#lanes.set(key, {
        shard: header.shard,
        number: header.number + 1,
        seq: Math.max(header.firstSeq + header.count, lane?.seq ?? 0),
        hash: sha256(bytes),
        sampledOut: Math.max(header.sampledOut, lane?.sampledOut ?? 0),
      });
    }
    if (header.count > 0) return;
    this.heartbeats += 1;
    for (const stated of header.lanes) this.#state(header, stated, at);
  }

  #checkContinues(header: BatchHeader, lane: LaneEnd | undefined, place: { shard: number; offset: number; lane: string }): void {
    const number = lane?.number ?? 0;
    const seq = lane?.seq ?? 0;
    if (header.number < number)
      return this.#findings.add('LANE_BACK', `batch ${header.number} comes after batch ${number - 1} of its lane`, place);
    if (header.firstSeq < seq)
      this.#findings.add('SEQUENCE', `the batch begins with event ${header.firstSeq} of the lane; the next one is ${seq}`, place);
    if (header.number > number || header.firstSeq > seq) {
      this.gaps += 1;
      const missing = `batches ${range(number, header.number)} and events ${range(seq, header.firstSeq)}`;
      this.#findings.add('GAP', `gap: ${missing} of the lane are missing`, place);
    } else if (lane !== undefined && !equal(header.previous, lane.hash))
      this.#findings.add('LANE_PREVIOUS', 'the batch does not name the header before it in its lane', place);
    return undefined;
  }

  /** Raises the statements about a lane. A smaller one than before is what a spool that was set back makes an honest producer say. */
  #state(header: BatchHeader, { epoch, shard, number, seq, final }: BatchHeader['lanes'][number], at: HeaderPlace): void {
    const key = laneName(header.producer, toHex(epoch), shard);
    const said: Reached = { number, seq };
    const known = this.#statements.get(key) ?? { shard, stated: said, final: undefined, home: at.shard, appendedAt: at.appendedAt };
    this.#statements.set(key, known);
    if (isShorter(said, known.stated)) {
      const message = `the lane is stated with ${number} batches and ${seq} events, after ${known.stated.number} and ${known.stated.seq}: its spool was set back`;
      this.#findings.add('STATEMENT_BACK', message, { shard: at.shard, offset: at.offset, lane: key });
    }
    known.stated = larger(known.stated, said);
    if (!final || (known.final !== undefined && !isShorter(known.final, said))) return;
    known.final = larger(known.final ?? said, said);
    known.home = at.shard;
    known.appendedAt = at.appendedAt;
  }

  /** Compares the lanes with the statements about them, once all shards were read. */
  finish(clockSkewMs: number): void {
    for (const [key, stated] of this.#statements) this.#checkStatement(key, stated, clockSkewMs * 1000);
    for (const [key, { number, shard }] of this.#lanes) {
      if (this.#blind.size === 0 && this.#statements.get(key)?.final === undefined) {
        const message = `still open: the producer has not stated the end of this lane, which has ${number} batches so far`;
        this.#findings.add('LANE_OPEN', message, { shard, lane: key });
      }
    }
  }

  #checkStatement(key: string, { shard, stated, final, home, appendedAt }: Statements, skewMicros: number): void {
    if (this.#blind.has(shard)) return undefined;
    const lane: Reached = this.#lanes.get(key) ?? { number: 0, seq: 0 };
    const place = { shard, lane: key };
    const missing = (end: Reached): string =>
      `batches ${range(lane.number, end.number)} and events ${range(lane.seq, end.seq)} of the lane are missing at its end`;
    // The input of another shard may not have been consumed so far.
    const settled = shard === home || (this.#consumed.get(shard) ?? 0) > appendedAt + skewMicros;
    if (final !== undefined && isShorter(lane, final) && settled) {
      this.gaps += 1;
      return this.#findings.add('GAP', `gap: ${missing(final)}`, place);
    }
    // A statement that is not final may be ahead of its batches.
    if (isShorter(lane, stated)) return this.#findings.add('LANE_SHORT', `still open: ${missing(stated)}, or on their way`, place);
    if (final !== undefined && final.number < lane.number) {
      const message = `the lane was stated as ended with ${final.number} batches and has ${lane.number}: its spool was copied or set back`;
      this.#findings.add('COPIED_SPOOL', message, place);
    }
    return undefined;
  }
}

function isShorter(one: Reached, other: Reached): boolean {
  return one.number < other.number || one.seq < other.seq;
}

function larger(one: Reached, other: Reached): Reached {
  return { number: Math.max(one.number, other.number), seq: Math.max(one.seq, other.seq) };
}

/** How findings name a lane. */
export function laneName(producer: string, epoch: string, shard: number): string {
  return `${producer} ${epoch} ${shard}`;
}

/** `118–121`, `118`, or `none`; `to` is exclusive. */
function range(from: number, to: number): string {
  if (to <= from) return 'none';
  return to - from === 1 ? String(from) : `${from}–${to - 1}`;
}
