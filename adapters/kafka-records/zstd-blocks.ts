import { LIMITS } from '../../core/base/limits.ts';
import { Unreadable } from './unreadable.ts';

const MAGIC = 0xfd2fb528;
/** Sixteen magic numbers differ in their last four bits. */
const SKIPPABLE_MAGIC = 0x184d2a5;
const SINGLE_SEGMENT = 0x20;
const CONTENT_CHECKSUM = 0x04;
const DICTIONARY_BYTES = [0, 1, 2, 4];
const SIZE_BYTES = [0, 2, 4, 8];
const BLOCK_HEADER = 3;
const ONE_BYTE_BLOCK = 1;
const RESERVED_BLOCK = 3;

/**
 * Walks over the frames and blocks of a section in zstd (RFC 8878, section 3.1), without a look into them. A block of 20 bytes can bring tables of
 * 1,300 entries with it, so the time that a section takes depends on the number of its blocks.
 * Throws {@link Unreadable} if there are more than LIMITS.recordBatchBlocks, or if they do not fill the section.
 */
export function checkZstdBlocks(stored: Buffer): void {
  let count = 0;
  let at = 0;
  const mustBe = (right: boolean): void => {
    if (!right) throw new Unreadable('a zstd frame is cut or broken');
  };
  const next = (bytes: number): number => {
    const from = at;
    at += bytes;
    mustBe(at <= stored.length);
    return from;
  };
  const tally = (): void => {
    if (++count > LIMITS.recordBatchBlocks) throw new Unreadable('more blocks than the limit');
  };
  while (at < stored.length) {
    const magic = stored.readUInt32LE(next(4));
    if (magic >>> 4 === SKIPPABLE_MAGIC) {
      tally();
      next(stored.readUInt32LE(next(4)));
      continue;
    }
    mustBe(magic === MAGIC);
    const flags = stored[next(1)] as number;
    const single = (flags & SINGLE_SEGMENT) !== 0;
    const sizeBytes = flags >> 6 === 0 && single ? 1 : (SIZE_BYTES[flags >> 6] as number);
    next((single ? 0 : 1) + (DICTIONARY_BYTES[flags & 3] as number) + sizeBytes);
    for (let last = false; !last; ) {
      tally();
      const header = stored.readUIntLE(next(BLOCK_HEADER), BLOCK_HEADER);
      const type = (header >> 1) & 3;
      mustBe(type !== RESERVED_BLOCK);
      next(type === ONE_BYTE_BLOCK ? 1 : header >> 3);
      last = (header & 1) !== 0;
    }
    if ((flags & CONTENT_CHECKSUM) !== 0) next(4);
  }
}
