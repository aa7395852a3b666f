import { utf8 } from '../core/base/bytes.ts';
import { shardOf } from '../core/formats/shard.ts';

const MAX_CACHED_STREAMS = 10_000;

/** Where a stream's events go. */
interface StreamPlace {
  readonly shard: number;
  /** Bytes of the stream's name. */
  readonly bytes: number;
}

/** The places of streams, computed once for each name as long as they are few. */
export class StreamPlaces {
  readonly #shards: number;
  readonly #known = new Map<string, StreamPlace>();

  constructor(shards: number) {
    this.#shards = shards;
  }

  of(stream: string): StreamPlace {
    const known = this.#known.get(stream);
    if (known !== undefined) return known;
    if (this.#known.size >= MAX_CACHED_STREAMS) this.#known.clear();
    const made = { shard: shardOf(stream, this.#shards), bytes: utf8(stream).length };
    this.#known.set(stream, made);
    return made;
  }
}
