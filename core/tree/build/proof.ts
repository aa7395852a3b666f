import { LineproofError } from '../../base/errors.ts';
import { foldRoots } from '../frontier.ts';
import { HASH_BYTES, subtreeRoot } from '../hash.ts';
import { TILE_WIDTH, tilePath, tileWidth } from '../tile.ts';

/**
 * Root of the complete subtree of 2^level leaves that begins at leaf index · 2^level. It is not checked: a proof built from
 * it proves nothing until checkInclusion or checkConsistency accepts it.
 */
export type ReadHash = (level: number, index: number) => Promise<Uint8Array>;

/** Inclusion proof (RFC 9162 §2.1.3.1) of leaf `index` in the tree of `size` leaves. Throws USAGE unless 0 ≤ index < size. */
export async function proveInclusion(size: number, index: number, readHash: ReadHash): Promise<Uint8Array[]> {
  if (!Number.isSafeInteger(size) || !Number.isSafeInteger(index) || index < 0 || index >= size)
    throw new LineproofError('USAGE', `cannot prove inclusion: leaf ${index} is not in a tree of ${size} leaves`, { size, index });
  const siblings: Promise<Uint8Array>[] = [];
  let [first, end] = [0, size];
  while (end - first > 1) {
    const middle = first + powerBelow(end - first);
    if (index < middle) {
      siblings.push(rangeRoot(middle, end, readHash));
      end = middle;
    } else {
      siblings.push(rangeRoot(first, middle, readHash));
      first = middle;
    }
  }
  return Promise.all(siblings.toReversed());
}

/** Consistency proof (RFC 9162 §2.1.4.1) between two sizes; empty for old size 0 and for equal sizes. Throws USAGE unless 0 ≤ old ≤ new. */
export async function proveConsistency(oldSize: number, newSize: number, readHash: ReadHash): Promise<Uint8Array[]> {
  if (!Number.isSafeInteger(oldSize) || !Number.isSafeInteger(newSize) || oldSize < 0 || oldSize > newSize)
    throw new LineproofError('USAGE', `cannot prove consistency: from ${oldSize} to ${newSize} leaves is not growth`, { oldSize, newSize });
  if (oldSize === 0) return [];
  const nodes: Promise<Uint8Array>[] = [];
  let [first, end] = [0, newSize];
  while (end !== oldSize) {
    const middle = first + powerBelow(end - first);
    if (oldSize <= middle) {
      nodes.push(rangeRoot(middle, end, readHash));
      end = middle;
    } else {
      nodes.push(rangeRoot(first, middle, readHash));
      first = middle;
    }
  }
  // If the old tree is one complete subtree (`first` is 0), the verifier knows this root already.
  if (first > 0) nodes.push(rangeRoot(first, end, readHash));
  return Promise.all(nodes.toReversed());
}

/**
 * Reads subtree roots out of the tiles of a log of `size` leaves; every tile is fetched once. `readTile` answers undefined if there
 * is no object; the full tile may replace a partial one. Throws NOT_FOUND if neither exists, FORMAT_INVALID on a wrong length.
 */
export function tileHashReader(size: number, readTile: (path: string) => Promise<Uint8Array | undefined>): ReadHash {
  const tiles = new Map<string, Promise<Uint8Array>>();
  return async (level, index) => {
    const row = Math.floor(level / 8);
    const span = 2 ** (level % 8);
    const n = Math.floor((index * span) / TILE_WIDTH);
    const at = index * span - n * TILE_WIDTH;
    const width = tileWidth(size, row, n);
    if (at + span > width)
      throw new LineproofError('USAGE', `cannot read hash: subtree ${index} of height ${level} is not complete`, { size });
    const path = tilePath(row, n, width);
    const tile = tiles.get(path) ?? fetchTile(row, n, width, readTile);
    tiles.set(path, tile);
    return subtreeRoot((await tile).subarray(at * HASH_BYTES, (at + span) * HASH_BYTES));
  };
}

async function fetchTile(
  level: number,
  n: number,
  width: number,
  readTile: (path: string) => Promise<Uint8Array | undefined>,
): Promise<Uint8Array> {
  for (const stored of width === TILE_WIDTH ? [TILE_WIDTH] : [width, TILE_WIDTH]) {
    const bytes = await readTile(tilePath(level, n, stored));
    if (bytes === undefined) continue;
    if (bytes.length === stored * HASH_BYTES) return bytes;
    throw new LineproofError('FORMAT_INVALID', `cannot read tile: ${tilePath(level, n, stored)} has ${bytes.length} bytes`);
  }
  throw new LineproofError('NOT_FOUND', `cannot read tile: ${tilePath(level, n, width)} is not there`);
}

/** Root over the leaves from `first` to `end`, where `first` is a multiple of the largest power of two that fits in between. */
async function rangeRoot(first: number, end: number, readHash: ReadHash): Promise<Uint8Array> {
  const roots: Promise<Uint8Array>[] = [];
  for (let at = first; at < end; ) {
    const level = Math.round(Math.log2(powerBelow(end - at + 1)));
    roots.push(readHash(level, at / 2 ** level));
    at += 2 ** level;
  }
  return foldRoots(await Promise.all(roots));
}

/** The largest power of two smaller than `n`, for n ≥ 2. */
function powerBelow(n: number): number {
  let power = 1;
  while (power * 2 < n) power *= 2;
  return power;
}
