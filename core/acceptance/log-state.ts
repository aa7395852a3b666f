import { fromHex, toHex } from '../base/bytes.ts';
import { Tally } from '../base/tally.ts';
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
  /** Name of the producer of its first link: the stream counts for this one. */
  readonly producer: string;
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
  /** Number of streams that count for the producer of this name. */
  streamsOf(producer: string): number;
  /** Number of lanes that the state holds of the producer of this name. */
  lanesOf(producer: string): number;
  /** Keys of the lanes whose last header was appended before this time. */
  lanesBefore(appendedAt: number): Iterable<string>;
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
  return { epoch: fromHex(key.slice(0, 32)), producer: laneProducer(key) };
}

/** The producer of a {@link laneKey}. */
export function laneProducer(key: string): string {
  return key.slice(33);
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

/**
 * The view after a block that is not applied yet: `delta` over `base`. Does not change `base`, which may move on to the state after the block later; the
 * numbers of streams and lanes are therefore counted now.
 */
export function overlay(base: LogView, delta: LogDelta): LogView {
  const { streams, lanes } = countAfter(base, delta);
  const view: LogView = {
    head: delta.head,
    stream: (name) => delta.streams.get(name) ?? base.stream(name),
    lane: (key) => {
      const lane = delta.lanes.get(key) ?? base.lane(key);
      return lane === undefined || lane.appendedAt < delta.lanesFrom ? undefined : lane;
    },
    streamsOf: (producer) => streams.get(producer) ?? base.streamsOf(producer),
    lanesOf: (producer) => lanes.get(producer) ?? base.lanesOf(producer),
    *lanesBefore(appendedAt) {
      for (const key of base.lanesBefore(appendedAt)) if (!delta.lanes.has(key) && view.lane(key) !== undefined) yield key;
      for (const [key, lane] of delta.lanes) if (lane.appendedAt < appendedAt && lane.appendedAt >= delta.lanesFrom) yield key;
    },
  };
  return view;
}

/** The numbers of streams and lanes after a block, of each producer of whom it changes them. */
function countAfter(base: LogView, delta: LogDelta): { readonly streams: Map<string, number>; readonly lanes: Map<string, number> } {
  const streams = new Map<string, number>();
  const lanes = new Map<string, number>();
  const addStream = (producer: string): unknown => streams.set(producer, (streams.get(producer) ?? base.streamsOf(producer)) + 1);
  const addLanes = (key: string, number: number): void => {
    const producer = laneProducer(key);
    lanes.set(producer, (lanes.get(producer) ?? base.lanesOf(producer)) + number);
  };
  for (const [name, { producer }] of delta.streams) if (base.stream(name) === undefined) addStream(producer);
  for (const key of base.lanesBefore(delta.lanesFrom)) if (!delta.lanes.has(key)) addLanes(key, -1);
  for (const [key, { appendedAt }] of delta.lanes) {
    const [before, after] = [base.lane(key) === undefined ? 0 : 1, appendedAt < delta.lanesFrom ? 0 : 1];
    if (before !== after) addLanes(key, after - before);
  }
  return { streams, lanes };
}

/** Streams and lanes by the name of their producer. */
class LogCounts {
  readonly streams = new Tally();
  readonly lanes = new Tally();
}

/** A shard's state in memory: the heads of all streams and the lanes that are held. Only its owner changes it, by applying accepted blocks in order. */
export class LogState implements LogView {
  #head: LogHead;
  readonly #streams: Map<string, StreamEnd>;
  /** In the order of `appendedAt`, oldest first, so that forgetting looks at the front only. */
  readonly #lanes: Map<string, Lane>;
  readonly #counts = new LogCounts();

  constructor(head: LogHead, streams: Iterable<readonly [string, StreamEnd]> = [], lanes: Iterable<readonly [string, Lane]> = []) {
    this.#head = head;
    this.#streams = new Map(streams);
    this.#lanes = new Map([...lanes].toSorted(([, a], [, b]) => a.appendedAt - b.appendedAt));
    for (const { producer } of this.#streams.values()) this.#counts.streams.add(producer, 1);
    for (const key of this.#lanes.keys()) this.#counts.lanes.add(laneProducer(key), 1);
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

  streamsOf(producer: string): number {
    return this.#counts.streams.of(producer);
  }

  lanesOf(producer: string): number {
    return this.#counts.lanes.of(producer);
  }

  *lanesBefore(appendedAt: number): Generator<string> {
    for (const [key, lane] of this.#lanes) {
      if (lane.appendedAt >= appendedAt) return;
      yield key;
    }
  }

  /** Moves to the state after the block that `delta` came from. Returns the keys of the lanes that the state forgot. */
  apply(delta: LogDelta): readonly string[] {
    this.#head = delta.head;
    for (const [name, end] of delta.streams) {
      if (!this.#streams.has(name)) this.#counts.streams.add(end.producer, 1);
      this.#streams.set(name, end);
    }
    for (const [key, lane] of delta.lanes) {
      if (!this.#lanes.delete(key)) this.#counts.lanes.add(laneProducer(key), 1);
      this.#lanes.set(key, lane);
    }
    const forgotten = [...this.lanesBefore(delta.lanesFrom)];
    for (const key of forgotten) {
      this.#lanes.delete(key);
      this.#counts.lanes.add(laneProducer(key), -1);
    }
    return forgotten;
  }
}
