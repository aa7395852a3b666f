import { type Lane, laneProducer, type StreamEnd } from '../core/acceptance/log-state.ts';
import { Tally } from '../core/base/tally.ts';

/** The part of the state that has a fixed size. A value: each block replaces it. */
export interface ReplayedHead {
  /** Tree index of the next leaf. */
  readonly nextIndex: number;
  /** Leaf hash of the last seal; zeros before the first. */
  readonly seal: Uint8Array;
  readonly inputGeneration: number;
  readonly inputTo: number;
  /** Microseconds. */
  readonly appendedAt: number;
  readonly acceptedAt: number;
  /** Hex digest of the last policy that a seal named and the archive holds; null before the first. */
  readonly policy: string | null;
  /** Start of the dedup window, microseconds. It never goes back. */
  readonly windowFrom: number;
  readonly final: boolean;
}

const GENESIS: ReplayedHead = {
  nextIndex: 0,
  seal: new Uint8Array(32),
  inputGeneration: 0,
  inputTo: 0,
  appendedAt: 0,
  acceptedAt: 0,
  policy: null,
  windowFrom: 0,
  final: false,
};

/**
 * The state of one shard's log after the blocks that were read, built again from the archive alone. Seal, input and link audit read it. Each part has one
 * writer: the link audit extends streams, the input audit moves lanes, the block audit ends a block and says where evidence is lost.
 */
export class ReplayedLog {
  #head = GENESIS;
  readonly #streams = new Map<string, StreamEnd>();
  /** Lanes that are held, the one that moved least recently first. */
  readonly #lanes = new Map<string, Lane>();
  /** Streams and lanes by the name of the producer that they count for. */
  readonly #streamsOf = new Tally();
  readonly #lanesOf = new Tally();
  #lostFrom: number | undefined;

  /** False once the evidence of a block was missing: from there on lanes and accepted headers are not known, and nothing is judged by them. */
  get isWhole(): boolean {
    return this.#lostFrom === undefined;
  }

  /** The first seal whose evidence cannot be used. */
  get lostFrom(): number | undefined {
    return this.#lostFrom;
  }

  get head(): ReplayedHead {
    return this.#head;
  }

  get streams(): ReadonlyMap<string, StreamEnd> {
    return this.#streams;
  }

  get lanes(): ReadonlyMap<string, Lane> {
    return this.#lanes;
  }

  streamsOf(producer: string): number {
    return this.#streamsOf.of(producer);
  }

  lanesOf(producer: string): number {
    return this.#lanesOf.of(producer);
  }

  /** Moves the end of a stream, which counts for the producer of its first link: `end.producer` where the stream is new. */
  extendStream(name: string, end: StreamEnd): void {
    const before = this.#streams.get(name);
    if (before === undefined) this.#streamsOf.add(end.producer, 1);
    this.#streams.set(name, before === undefined ? end : { ...end, producer: before.producer });
  }

  moveLane(key: string, lane: Lane): void {
    // Removed first, so that the map stays in the order of moves, in which lanes are forgotten.
    if (!this.#lanes.delete(key)) this.#lanesOf.add(laneProducer(key), 1);
    this.#lanes.set(key, lane);
  }

  /** The evidence of the block with this seal cannot be used. */
  lose(sealLeaf: number): void {
    this.#lostFrom ??= sealLeaf;
  }

  /** Moves to the state after a block, and forgets lanes whose last header was appended before `lanesFrom`. */
  endBlock(head: ReplayedHead, lanesFrom: number): void {
    this.#head = head;
    for (const [key, { appendedAt }] of this.#lanes) {
      if (appendedAt >= lanesFrom) break;
      this.#lanes.delete(key);
      this.#lanesOf.add(laneProducer(key), -1);
    }
  }
}
