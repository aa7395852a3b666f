import { fromHex, toHex } from '../base/bytes.ts';
import { EMPTY_FRONTIER, type Frontier } from '../tree/frontier.ts';

const ZEROS = new Uint8Array(32);

/** The end of a stream's chain. */
export interface StreamEnd {
  /** Position of the last link in its stream. */
  readonly index: number;
  /** Its leaf hash. */
  readonly hash: Uint8Array;
  /** Its index in the tree. */
  readonly logIndex: number;
}

/** The state that judges a lane's next header (docs/formats.md §2). */
export interface Lane {
  /** The expected number: one more than the last ACCEPTED header's. */
  readonly number: number;
  /** H of the last ACCEPTED header. */
  readonly hash: Uint8Array;
  /** `appendedAt` of the last ACCEPTED header, microseconds. */
  readonly appendedAt: number;
}

/** The part of a shard's state that has a fixed size. A value: never changed in place. */
export interface LogHead {
  readonly origin: string;
  readonly shard: number;
  readonly shards: number;
  readonly size: number;
  readonly frontier: Frontier;
  /** Leaf hash of the last seal, zeros before the first. */
  readonly seal: Uint8Array;
  readonly inputGeneration: number;
  /** First input offset that no block has consumed. */
  readonly inputTo: number;
  readonly appendedAt: number;
  readonly acceptedAt: number;
  /** Digest of the policy in force, hex; null before the first block. */
  readonly policy: string | null;
  /** True after a `final` seal: no block follows. */
  readonly final: boolean;
}

/** The state of one shard's log as the acceptance function and the chainer read it. */
export interface LogView {
  readonly head: LogHead;
  stream(name: string): StreamEnd | undefined;
  lane(key: string): Lane | undefined;
}

/** The changes of one accepted block. */
export interface LogDelta {
  readonly head: LogHead;
  readonly streams: ReadonlyMap<string, StreamEnd>;
  readonly lanes: ReadonlyMap<string, Lane>;
  /** Lanes whose last header was appended before this time are forgotten when the block is applied. */
  readonly lanesFrom: number;
}

/** The key under which a shard keeps the lane of (producer, epoch). */
export function laneKey(producer: string, epoch: Uint8Array): string {
  return `${toHex(epoch)} ${producer}`;
}

/** The producer and epoch of a {@link laneKey}. */
export function parseLaneKey(key: string): { readonly producer: string; readonly epoch: Uint8Array } {
  return { epoch: fromHex(key.slice(0, 32)), producer: key.slice(33) };
}

/** The state before the first block. */
export function genesis(origin: string, shard: number, shards: number): LogHead {
  return {
    origin,
    shard,
    shards,
    size: 0,
    frontier: EMPTY_FRONTIER,
    seal: ZEROS,
    inputGeneration: 0,
    inputTo: 0,
    appendedAt: 0,
    acceptedAt: 0,
    policy: null,
    final: false,
  };
}

/** The view after a block that is not applied yet: `delta` over `base`. Does not change `base`. */
export function overlay(base: LogView, delta: LogDelta): LogView {
  return {
    head: delta.head,
    stream: (name) => delta.streams.get(name) ?? base.stream(name),
    lane: (key) => {
      const lane = delta.lanes.get(key) ?? base.lane(key);
      return lane === undefined || lane.appendedAt < delta.lanesFrom ? undefined : lane;
    },
  };
}

/** A shard's state in memory: the heads of all streams and the lanes that are held. Only its owner changes it, by applying accepted blocks in order. */
export class LogState implements LogView {
  #head: LogHead;
  readonly #streams: Map<string, StreamEnd>;
  /** In the order of `appendedAt`, oldest first, so that forgetting looks at the front only. */
  readonly #lanes: Map<string, Lane>;

  constructor(head: LogHead, streams: Iterable<readonly [string, StreamEnd]> = [], lanes: Iterable<readonly [string, Lane]> = []) {
    this.#head = head;
    this.#streams = new Map(streams);
    this.#lanes = new Map([...lanes].toSorted(([, a], [, b]) => a.appendedAt - b.appendedAt));
  }

  get head(): LogHead {
    return this.#head;
  }

  get streamCount(): number {
    return this.#streams.size;
  }

  stream(name: string): StreamEnd | undefined {
    return this.#streams.get(name);
  }

  lane(key: string): Lane | undefined {
    return this.#lanes.get(key);
  }

  /** All streams, by name; read only. */
  get streams(): ReadonlyMap<string, StreamEnd> {
    return this.#streams;
  }

  /** The lanes that are held, by {@link laneKey}; read only. */
  get lanes(): ReadonlyMap<string, Lane> {
    return this.#lanes;
  }

  /** Moves to the state after the block that `delta` came from. Returns the keys of the lanes that the state forgot. */
  apply(delta: LogDelta): readonly string[] {
    this.#head = delta.head;
    for (const [name, head] of delta.streams) this.#streams.set(name, head);
    for (const [key, lane] of delta.lanes) {
      this.#lanes.delete(key);
      this.#lanes.set(key, lane);
    }
    const forgotten: string[] = [];
    for (const [key, lane] of this.#lanes) {
      if (lane.appendedAt >= delta.lanesFrom) break;
      this.#lanes.delete(key);
      forgotten.push(key);
    }
    return forgotten;
  }
}
