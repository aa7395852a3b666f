import type { AcceptedBlock } from '../acceptance/accept.ts';
import { genesis, LogState } from '../acceptance/log-state.ts';
import { growSegment, type OpenSegment, openSegment, segmentEnds } from '../acceptance/segment-rule.ts';
import { toHex } from '../base/bytes.ts';
import { LineproofError } from '../base/errors.ts';
import type { Failed, Hold } from '../base/hold.ts';
import { Turns } from '../base/turns.ts';
import type { Clock } from '../ports/clock.ts';
import { type Log, type LogBounds, type LogRecord, offsetAfter, type ReadOptions, TOPICS } from '../ports/log.ts';
import { type AcceptSources, checkLastBlock, judgeRecord } from './chain-reader.ts';
import type { RecoveryPoint } from './recovery-point.ts';

export interface FollowerOptions {
  readonly origin: string;
  readonly shard: number;
  readonly shards: number;
  readonly log: Log;
  readonly sources: AcceptSources;
  readonly clock: Clock;
  /** Told what a record is held up by. */
  readonly hold?: Hold;
}

/** A block that was just accepted: the follower's state is the one after it. */
export interface FollowedBlock {
  readonly accepted: AcceptedBlock;
  readonly offset: number;
  /** Headers of its record; undefined if the caller of `accept` gave none. */
  readonly headers: LogRecord['headers'] | undefined;
  /** Keys of the lanes that the block made the state forget. */
  readonly forgottenLanes: readonly string[];
  /** Whether the block ends a segment. */
  readonly endsSegment: boolean;
}

/**
 * Follows the chain topic of one shard: holds the state of the log as judged so far, and the offset at which to read on.
 * Chainer, archiver and resubmission each have one. Only its own methods change its fields: `resume` sets all of them,
 * `accept` moves state, chain offset and segment together with `readPos`, and `read` moves `readPos` over records that are not accepted.
 */
export class ChainFollower {
  readonly #o: FollowerOptions;
  #state: LogState;
  #readPos = 0;
  #chainOffset = -1;
  #segment: OpenSegment = openSegment(0);

  constructor(options: FollowerOptions) {
    this.#o = options;
    this.#state = this.#genesis();
  }

  /** The state of the log as judged so far; read only. */
  get state(): LogState {
    return this.#state;
  }

  /** First offset of the chain topic that is not judged yet. */
  get readPos(): number {
    return this.#readPos;
  }

  /** Offset of the block that the state ends in, −1 before the first. */
  get chainOffset(): number {
    return this.#chainOffset;
  }

  /** The archive's segment that the state ends in. */
  get segment(): OpenSegment {
    return this.#segment;
  }

  /** Goes on from a recovery point, or from the log's start. Forgets all earlier judgements. */
  resume(point: RecoveryPoint | undefined): void {
    this.#state = point === undefined ? this.#genesis() : new LogState(point.head, point.streams, point.lanes);
    this.#chainOffset = point?.chainOffset ?? -1;
    this.#readPos = this.#chainOffset + 1;
    this.#segment = point?.segment ?? openSegment(this.#state.head.size);
  }

  /** Checks that the log still holds the block that the state ends in; passes if that block was trimmed. Throws LOG_BEHIND or LOG_DIVERGED. */
  async checkLastBlock(): Promise<void> {
    if (this.#chainOffset >= 0) await checkLastBlock(this.#o.log, this.#o.shard, this.#chainOffset, this.#state.head.seal);
  }

  /** Bounds of the chain topic. Throws CHAIN_TRIMMED if it starts after `readPos`. */
  async bounds(): Promise<LogBounds> {
    const { log, shard } = this.#o;
    const bounds = await log.bounds(TOPICS.chain, shard);
    if (bounds.start <= this.#readPos) return bounds;
    throw new LineproofError(
      'CHAIN_TRIMMED',
      `cannot go on: shard ${shard} of ${TOPICS.chain} starts at ${bounds.start}, blocks from ${this.#readPos} on were trimmed before they were read`,
      { shard, start: bounds.start, readPos: this.#readPos },
    );
  }

  /** Checks the last block, then gives the accepted blocks from `readPos` to the present end of the topic. Throws as {@link read} and {@link checkLastBlock} do. */
  async *readToEnd(maxBytes: number, signal: AbortSignal): AsyncGenerator<FollowedBlock> {
    await this.checkLastBlock();
    const { end } = await this.bounds();
    while (this.#readPos < end) {
      const before = this.#readPos;
      yield* this.read({ maxBytes, waitMs: 0 }, signal);
      // The log holds no more records before its end.
      if (this.#readPos === before) return;
    }
  }

  /**
   * The accepted blocks among the records of one read. Records that are not the next block are ignored, as every reader ignores them; so are unreadable ones.
   * If offsets are missing, either the log never held a record there, which is fine, or it was trimmed meanwhile: then CHAIN_TRIMMED is thrown.
   * Also throws FORMAT_UNKNOWN, and CLOSED if `signal` aborts while a policy or schema is missing.
   */
  async *read(options: ReadOptions, signal: AbortSignal): AsyncGenerator<FollowedBlock> {
    const { log, shard } = this.#o;
    const entries = await log.read(TOPICS.chain, shard, this.#readPos, options);
    if (entries.length === 0) await this.bounds();
    const turns = new Turns(this.#o.clock);
    for (const entry of entries) {
      await turns.next();
      if (entry.offset > this.#readPos) await this.bounds();
      const accepted = entry.kind === 'record' ? await this.#judge(entry, signal) : undefined;
      if (entry.kind === 'unreadable' || accepted === undefined) this.#readPos = offsetAfter(entry);
      else yield this.accept(accepted, entry.offset, entry.headers);
    }
  }

  #judge(record: LogRecord, signal: AbortSignal): Promise<AcceptedBlock | undefined> {
    const { sources, hold } = this.#o;
    const judge = (failed?: Failed): Promise<AcceptedBlock | undefined> => judgeRecord(this.#state, record, sources, { signal, failed });
    return hold === undefined ? judge() : hold.during(judge);
  }

  /** Applies a block that acceptance accepted on exactly this state. `offset` is its place on the chain topic. */
  accept(accepted: AcceptedBlock, offset: number, headers?: LogRecord['headers']): FollowedBlock {
    const forgottenLanes = this.#state.apply(accepted.delta);
    this.#chainOffset = offset;
    this.#readPos = offset + 1;
    return { accepted, offset, headers, forgottenLanes, endsSegment: this.#growSegment(accepted) };
  }

  /** Adds the block to the open segment; true if the segment ends with it. */
  #growSegment({ block, seal, leafHashes, delta }: AcceptedBlock): boolean {
    const grown = growSegment(this.#segment, {
      leaves: leafHashes.length,
      eventBytes: bytesOf(block.events),
      refusedBytes: bytesOf(block.refused),
      evidenceBytes: block.evidence.length,
      acceptedAt: seal.acceptedAt,
    });
    const policy = this.#o.sources.context().policies.byDigest(toHex(seal.policy));
    const ends = policy !== undefined && segmentEnds(grown, seal.acceptedAt, policy.policy.segmentMaxAgeMs);
    this.#segment = ends ? openSegment(delta.head.size) : grown;
    return ends;
  }

  #genesis(): LogState {
    const { origin, shard, shards } = this.#o;
    return new LogState(genesis(origin, shard, shards));
  }
}

function bytesOf(parts: readonly Uint8Array[]): number {
  return parts.reduce((sum, { length }) => sum + length, 0);
}
