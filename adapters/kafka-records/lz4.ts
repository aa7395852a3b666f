import { LIMITS } from '../../core/base/limits.ts';
import { copyBytes, repeatBytes, takeUnpacked } from './unpacking-room.ts';
import { Unreadable } from './unreadable.ts';

const MAGIC = 0x184d2204;
const MIN_MATCH = 4;
const STORED_PLAIN = 0x80000000;

interface Frame {
  /** Whether no block refers to the blocks before it. */
  readonly independent: boolean;
  readonly blockChecksums: boolean;
  readonly contentChecksum: boolean;
  readonly blockMax: number;
  /** Where the first block begins. */
  readonly blocks: number;
}

/**
 * Unpacks one LZ4 frame, as Kafka clients write it (https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md and lz4_Block_format.md).
 * Declared sizes and the frame's own checksums are not used: the checksum of the record batch covers the same bytes. Throws {@link Unreadable}.
 */
export function unlz4(stored: Buffer): Buffer {
  const frame = readFrame(stored);
  let at = frame.blocks;
  let size = 0;
  let count = 0;
  for (;;) {
    if (at + 4 > stored.length) throw new Unreadable('an LZ4 frame has no end mark');
    const word = stored.readUInt32LE(at);
    at += 4;
    if (word === 0) break;
    if (++count > LIMITS.recordBatchBlocks) throw new Unreadable('more blocks than the limit');
    const length = word % STORED_PLAIN;
    if (length > stored.length - at) throw new Unreadable('an LZ4 block is cut');
    const block = stored.subarray(at, at + length);
    const end = Math.min(size + frame.blockMax, LIMITS.recordBatchBytes);
    size = word >= STORED_PLAIN ? copyPlain(block, size, end) : unpackBlock(block, { at: size, end, reach: frame.independent ? size : 0 });
    at += length + (frame.blockChecksums ? 4 : 0);
  }
  if (at + (frame.contentChecksum ? 4 : 0) !== stored.length) throw new Unreadable('an LZ4 frame does not end with the records');
  return takeUnpacked(size);
}

function readFrame(stored: Buffer): Frame {
  if (stored.length < 7 || stored.readUInt32LE(0) !== MAGIC) throw new Unreadable('this is not an LZ4 frame');
  const flags = stored[4] as number;
  const size = ((stored[5] as number) >> 4) & 7;
  if (flags >> 6 !== 1 || size < 4) throw new Unreadable('an LZ4 frame of an unknown version');
  // No client of Kafka has a dictionary to share.
  if ((flags & 1) !== 0) throw new Unreadable('an LZ4 frame needs a dictionary');
  return {
    independent: (flags & 0x20) !== 0,
    blockChecksums: (flags & 0x10) !== 0,
    contentChecksum: (flags & 0x04) !== 0,
    blockMax: 2 ** (2 * size + 8),
    blocks: 7 + ((flags & 0x08) === 0 ? 0 : 8),
  };
}

function copyPlain(block: Buffer, at: number, end: number): number {
  if (block.length > end - at) throw new Unreadable('an LZ4 block is above its limit');
  copyBytes(block, 0, block.length, at);
  return at + block.length;
}

/** Unpacks a block into the room from `at` on, at most to `end`; matches reach back to `reach`. Returns the offset after it. */
function unpackBlock(block: Buffer, { at, end, reach }: { at: number; end: number; reach: number }): number {
  let from = 0;
  let to = at;
  /** A length that its four bits begin: each further byte adds to it, until one is not 255. */
  const lengthOf = (bits: number): number => {
    let length = bits;
    for (let byte = bits === 15 ? 255 : 0; byte === 255; length += byte) {
      byte = block[from++] ?? -1;
      if (byte < 0) throw new Unreadable('an LZ4 length is cut');
    }
    return length;
  };
  while (from < block.length) {
    const token = block[from++] as number;
    const literals = lengthOf(token >> 4);
    if (literals > block.length - from || literals > end - to) throw new Unreadable('an LZ4 literal is out of range');
    copyBytes(block, from, literals, to);
    from += literals;
    to += literals;
    // The last sequence of a block has no match.
    if (from === block.length) return to;
    if (from + 2 > block.length) throw new Unreadable('an LZ4 match is cut');
    const distance = block.readUInt16LE(from);
    from += 2;
    const length = lengthOf(token & 15) + MIN_MATCH;
    if (distance === 0 || distance > to - reach || length > end - to) throw new Unreadable('an LZ4 match is out of range');
    repeatBytes(to, distance, length);
    to += length;
  }
  throw new Unreadable('an LZ4 block ends in a match');
}
