import { LIMITS } from '../../core/base/limits.ts';
import { copyBytes, repeatBytes, takeUnpacked } from './unpacking-room.ts';
import { Unreadable } from './unreadable.ts';

/** The stream header of snappy-java, which Kafka's Java client writes: this magic, then two versions of 4 bytes. */
const JAVA_MAGIC = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00]);
const JAVA_HEADER = 16;

/**
 * Unpacks snappy as Kafka clients write it: one raw block (librdkafka and others), or the blocks of snappy-java, each behind its length as i32.
 * Raw blocks follow https://github.com/google/snappy/blob/main/format_description.txt. Throws {@link Unreadable}.
 */
export function unsnappy(stored: Buffer): Buffer {
  if (stored.length < JAVA_HEADER || !stored.subarray(0, JAVA_MAGIC.length).equals(JAVA_MAGIC)) return takeUnpacked(unpackBlock(stored, 0));
  let size = 0;
  let count = 0;
  for (let at = JAVA_HEADER; at < stored.length; ) {
    if (++count > LIMITS.recordBatchBlocks) throw new Unreadable('more blocks than the limit');
    const length = at + 4 > stored.length ? -1 : stored.readInt32BE(at);
    at += 4;
    if (length < 0 || length > stored.length - at) throw new Unreadable('a snappy block is cut');
    size = unpackBlock(stored.subarray(at, at + length), size);
    at += length;
  }
  return takeUnpacked(size);
}

/** Unpacks a raw block into the room at `start`; returns the offset after it. */
function unpackBlock(block: Buffer, start: number): number {
  const { value: declared, after } = declaredLength(block);
  const end = start + declared;
  if (end > LIMITS.recordBatchBytes) throw new Unreadable('the unpacked size is above the limit');
  let to = start;
  for (let at = after; at < block.length; ) {
    const tag = block[at++] as number;
    if ((tag & 3) === 0) {
      let length = (tag >> 2) + 1;
      if (length > 60) {
        const bytes = length - 60;
        if (at + bytes > block.length) throw new Unreadable('a snappy literal is cut');
        length = block.readUIntLE(at, bytes) + 1;
        at += bytes;
      }
      if (length > block.length - at || length > end - to) throw new Unreadable('a snappy literal is cut');
      copyBytes(block, at, length, to);
      at += length;
      to += length;
      continue;
    }
    const [size, length] = (tag & 3) === 1 ? [1, ((tag >> 2) & 7) + 4] : [(tag & 3) === 2 ? 2 : 4, (tag >> 2) + 1];
    if (at + size > block.length) throw new Unreadable('a snappy copy is cut');
    const distance = size === 1 ? ((tag >> 5) << 8) | (block[at] as number) : block.readUIntLE(at, size);
    at += size;
    if (distance === 0 || distance > to - start || length > end - to) throw new Unreadable('a snappy copy is out of range');
    repeatBytes(to, distance, length);
    to += length;
  }
  if (to !== end) throw new Unreadable('a snappy block is shorter than it declares');
  return end;
}

/** The unpacked length before a raw block: a varint of at most 32 bits. */
function declaredLength(block: Buffer): { readonly value: number; readonly after: number } {
  let value = 0;
  for (let i = 0; i < 5; i++) {
    const byte = block[i];
    if (byte === undefined) break;
    value += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80) return { value, after: i + 1 };
  }
  throw new Unreadable('a snappy block declares no length');
}
