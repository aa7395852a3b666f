import { utf8 } from '../base/bytes.ts';

const OWN_STREAM = /^lineproof\/[^/]+\/(0|[1-9][0-9]{0,8})$/;

/** The 32-bit murmur2 hash that Kafka's default partitioner uses, signed as Kafka has it. */
export function murmur2(bytes: Uint8Array): number {
  const m = 0x5bd1e995;
  const { length } = bytes;
  let h = 0x9747b28c ^ length;
  let at = 0;
  for (; at + 4 <= length; at += 4) {
    let k = word(bytes, at, 4);
    k = Math.imul(k, m);
    k ^= k >>> 24;
    h = Math.imul(h, m) ^ Math.imul(k, m);
  }
  if (at < length) h = Math.imul(h ^ word(bytes, at, length - at), m);
  h = Math.imul(h ^ (h >>> 13), m);
  return (h ^ (h >>> 15)) | 0;
}

/** The shard of `stream` (docs/formats.md §1): by hash, except that `lineproof/<topic>/<shard>` is in the shard that it names, if there is such a shard. */
export function shardOf(stream: string, shards: number): number {
  const own = stream.startsWith('lineproof/') ? OWN_STREAM.exec(stream) : null;
  if (own !== null && Number(own[1]) < shards) return Number(own[1]);
  return hashOf(stream) % shards;
}

/** A bounded cache: several parts ask for the hash of a stream's name, for each of its events. */
const hashes = new Map<string, number>();
const HASHES_KEPT = 16_384;

function hashOf(stream: string): number {
  let hash = hashes.get(stream);
  if (hash === undefined) {
    hash = murmur2(utf8(stream)) & 0x7fffffff;
    if (hashes.size >= HASHES_KEPT) hashes.clear();
    hashes.set(stream, hash);
  }
  return hash;
}

function word(bytes: Uint8Array, at: number, count: number): number {
  let value = 0;
  for (let i = 0; i < count; i++) value |= (bytes[at + i] as number) << (8 * i);
  return value;
}
