import { LIMITS } from '../../core/base/limits.ts';

/** A call of a native copy costs more than a loop over this many bytes. */
const FEW_BYTES = 64;

let room: Buffer | undefined;

/**
 * Room for one section while it is unpacked. The system gives its memory page by page, as it is first written, and it is kept.
 * Nothing may await between the first write to it and {@link takeUnpacked}.
 */
function unpackingRoom(): Buffer {
  room ??= Buffer.allocUnsafeSlow(LIMITS.recordBatchBytes);
  return room;
}

/** Copies `length` bytes of `block` from `from` on into the room at `at`. The caller has checked all ends. */
export function copyBytes(block: Buffer, from: number, length: number, at: number): void {
  const out = unpackingRoom();
  if (length > FEW_BYTES) block.copy(out, at, from, from + length);
  else for (let i = 0; i < length; i++) out[at + i] = block[from + i] as number;
}

/**
 * Copies `length` bytes that begin `distance` before `at` to `at`, both in the room, as LZ77 means it: the source may reach into what is being written.
 * The caller has checked both ends.
 */
export function repeatBytes(at: number, distance: number, length: number): void {
  const out = unpackingRoom();
  const end = at + length;
  if (length <= FEW_BYTES) {
    for (let to = at; to < end; to++) out[to] = out[to - distance] as number;
    return;
  }
  const from = at - distance;
  // What is there already doubles with each copy.
  for (let to = at; to < end; ) {
    const some = Math.min(to - from, end - to);
    out.copyWithin(to, from, from + some);
    to += some;
  }
}

/** A copy of the first `size` bytes of the room. */
export function takeUnpacked(size: number): Buffer {
  return Buffer.from(unpackingRoom().subarray(0, size));
}
