import { concat } from '../../base/bytes.ts';
import { LineproofError } from '../../base/errors.ts';
import type { Frontier } from '../frontier.ts';
import { GrowingTiles } from '../growing-tiles.ts';
import { hashLeaves } from '../hash.ts';
import { decodeBundle, encodeBundle, entriesPath, partialTilesOf, TILE_WIDTH, type Tile, tilePath, tilesOf } from '../tile.ts';

/** An object to be stored, its path relative to the log's folder. */
export interface TreeObject {
  readonly path: string;
  readonly bytes: Uint8Array;
}

/** The state that a writer of tiles keeps of a log: the partial tiles and the partial bundle of `size` leaves. A value. */
export interface TreeTail {
  readonly size: number;
  /** The partial tiles that a log of this size has, level 0 first. */
  readonly tiles: readonly Tile[];
  /** The partial bundle; empty if `size` is a multiple of 256. */
  readonly bundle: Uint8Array;
}

/** The tail of the log without leaves. */
export const EMPTY_TAIL: TreeTail = { size: 0, tiles: [], bundle: new Uint8Array(0) };

/** Objects that growth from one published size to another adds, and the tail to grow on from. */
export interface Growth {
  /** Leaves before hashes, low levels before high ones; full ones, then the partial ones of the new size. */
  readonly objects: readonly TreeObject[];
  readonly tail: TreeTail;
}

/**
 * Grows the log by `leaves`. A pure function: after a crash the same leaves on the tail of the last signed size give the same bytes again,
 * under the same paths. Objects of a size that was never signed may be left over and do no harm. All objects must be readable before the
 * new size is signed. `leafHashes`, if given, saves hashing the leaves again. Throws LIMIT_EXCEEDED on a leaf above 65,535 bytes.
 */
export function growTree(tail: TreeTail, leaves: readonly Uint8Array[], leafHashes: readonly Uint8Array[] = hashLeaves(leaves)): Growth {
  if (leaves.length !== leafHashes.length)
    throw new LineproofError('INTERNAL', 'cannot grow tree: leaves and leaf hashes differ in number');
  const growing = new GrowingTiles(tail.size, tail.tiles);
  const full = growing.append(leafHashes);
  const tiles = growing.partials();
  const { bundles, rest } = growBundles(tail, leaves);
  // A partial tile of a high level may be the same as at the old size. Then it is stored already.
  const added = new Set(tilesOf(growing.size, tail.size).map(({ level, n, width }) => tilePath(level, n, width)));
  const hashes = [...full, ...tiles].map(({ level, n, width, bytes }) => ({ path: tilePath(level, n, width), bytes }));
  return {
    objects: [...bundles, ...hashes.filter(({ path }) => added.has(path))],
    tail: { size: growing.size, tiles, bundle: rest },
  };
}

/** Reads the tail of a log of `size` leaves; `read` rejects if there is no object. Compare {@link tailFrontier} with the signed root. */
export async function readTail(size: number, read: (path: string) => Promise<Uint8Array>): Promise<TreeTail> {
  const tiles = partialTilesOf(size).map(async (name) => ({ ...name, bytes: await read(tilePath(name.level, name.n, name.width)) }));
  const width = size % TILE_WIDTH;
  const bundle = width === 0 ? EMPTY_TAIL.bundle : await read(entriesPath((size - width) / TILE_WIDTH, width));
  return { size, tiles: await Promise.all(tiles), bundle };
}

/** The frontier of the tail's size; throws FORMAT_INVALID when its tiles do not fit the size. */
export function tailFrontier(tail: TreeTail): Frontier {
  return new GrowingTiles(tail.size, tail.tiles).frontier();
}

/** Bundles that `leaves` fill or begin, and the last one's bytes if it is partial. */
function growBundles(tail: TreeTail, leaves: readonly Uint8Array[]): { bundles: TreeObject[]; rest: Uint8Array } {
  const bundles: TreeObject[] = [];
  let rest = tail.bundle;
  let n = Math.floor(tail.size / TILE_WIDTH);
  let width = tail.size % TILE_WIDTH;
  if (width !== (width === 0 ? rest.length : decodeBundle(rest).length))
    throw new LineproofError('FORMAT_INVALID', `cannot continue bundles: the last one does not hold ${width} leaves`, { size: tail.size });
  for (let at = 0; at < leaves.length; ) {
    const next = leaves.slice(at, at + TILE_WIDTH - width);
    const bytes = concat(rest, encodeBundle(next));
    at += next.length;
    width += next.length;
    bundles.push({ path: entriesPath(n, width), bytes });
    if (width < TILE_WIDTH) return { bundles, rest: bytes };
    rest = EMPTY_TAIL.bundle;
    width = 0;
    n += 1;
  }
  return { bundles, rest };
}
