import { LineproofError } from '../base/errors.ts';
import { LIMITS } from '../base/limits.ts';

/** Hashes in a full tile, leaves in a full bundle (C2SP tlog-tiles). */
export const TILE_WIDTH = 256;
const HEIGHT = 8;
/** Levels that a tree of 2^53 − 1 leaves can have: 0 to 6. */
const LEVELS = 7;

/** The place of a hash tile: `width` hashes of complete subtrees of 256^level leaves, from the (256·n)th such subtree on. */
export interface TileName {
  readonly level: number;
  readonly n: number;
  /** 1 to 256; less than 256 is a partial tile. */
  readonly width: number;
}

/** A hash tile: 32 × width bytes. */
export interface Tile extends TileName {
  readonly bytes: Uint8Array;
}

/** The tile or bundle that a path under `tile/` names; bundles of leaves have the level `entries`. */
export interface TilePath {
  readonly level: number | 'entries';
  readonly n: number;
  readonly width: number;
}

/** `tile/<L>/<N>[.p/<W>]` as in C2SP tlog-tiles, relative to the log's folder. */
export function tilePath(level: number, n: number, width: number): string {
  return formatTilePath({ level, n, width });
}

/** `tile/entries/<N>[.p/<W>]`: the bundle of the leaves below tile `n` of level 0. */
export function entriesPath(n: number, width: number): string {
  return formatTilePath({ level: 'entries', n, width });
}

/** Reads a path as {@link tilePath} and {@link entriesPath} write it; throws FORMAT_INVALID on any other spelling. */
export function parseTilePath(path: string): TilePath {
  const match = /^tile\/(0|[1-6]|entries)\/((?:x[0-9]{3}\/){0,5}[0-9]{3})(?:\.p\/([1-9][0-9]{0,2}))?$/.exec(path);
  if (match !== null) {
    const [, level, digits, width] = match;
    const parsed: TilePath = {
      level: level === 'entries' ? level : Number(level),
      n: Number((digits as string).replaceAll(/[x/]/g, '')),
      width: width === undefined ? TILE_WIDTH : Number(width),
    };
    if (Number.isSafeInteger(parsed.n) && parsed.width <= TILE_WIDTH && formatTilePath(parsed) === path) return parsed;
  }
  throw new LineproofError('FORMAT_INVALID', 'cannot read tile path: it is not spelled as C2SP tlog-tiles spells it');
}

/**
 * Hash tiles that a log of `size` leaves has, level 0 first, in order; with `since`, without those that it had at that size already.
 * A bundle goes with each tile of level 0.
 */
export function tilesOf(size: number, since = 0): TileName[] {
  return [...eachTileOf(size, since)];
}

/** {@link tilesOf} one by one, for a size that may be false: the names of the tiles of 2^53 leaves do not fit in memory. */
export function* eachTileOf(size: number, since = 0): Generator<TileName> {
  for (let level = 0; level < LEVELS; level++) {
    const hashes = subtrees(size, level);
    const before = subtrees(since, level);
    for (let n = Math.floor(before / TILE_WIDTH); n * TILE_WIDTH < hashes; n++) {
      const width = Math.min(TILE_WIDTH, hashes - n * TILE_WIDTH);
      if (n * TILE_WIDTH + width > before) yield { level, n, width };
    }
  }
}

/** The partial tiles of a log of `size` leaves, level 0 first: their hashes are enough to grow the log and to compute its root. */
export function partialTilesOf(size: number): TileName[] {
  const tiles: TileName[] = [];
  for (let level = 0; level < LEVELS; level++) {
    const width = subtrees(size, level) % TILE_WIDTH;
    if (width > 0) tiles.push({ level, n: Math.floor(subtrees(size, level) / TILE_WIDTH), width });
  }
  return tiles;
}

/** Width of tile `n` of `level` in a log of `size` leaves; 0 or less if the log has no such tile. */
export function tileWidth(size: number, level: number, n: number): number {
  return Math.min(TILE_WIDTH, subtrees(size, level) - n * TILE_WIDTH);
}

/** C2SP tlog-tiles entry bundle: every leaf after its length in two bytes. 1 to 256 leaves; throws LIMIT_EXCEEDED otherwise. */
export function encodeBundle(leaves: readonly Uint8Array[]): Uint8Array {
  if (leaves.length === 0 || leaves.length > TILE_WIDTH) throw countWrong(leaves.length);
  const bytes = new Uint8Array(leaves.reduce((sum, leaf) => sum + 2 + leaf.length, 0));
  let at = 0;
  for (const leaf of leaves) {
    if (leaf.length > LIMITS.leafBytes)
      throw new LineproofError('LIMIT_EXCEEDED', `cannot encode leaf: ${leaf.length} bytes are more than ${LIMITS.leafBytes}`);
    bytes[at] = leaf.length >> 8;
    bytes[at + 1] = leaf.length & 0xff;
    bytes.set(leaf, at + 2);
    at += 2 + leaf.length;
  }
  return bytes;
}

/** Leaves of an entry bundle, as views of `bytes`; throws FORMAT_INVALID if it is empty or cut short, LIMIT_EXCEEDED above 256 leaves. */
export function decodeBundle(bytes: Uint8Array): Uint8Array[] {
  const leaves: Uint8Array[] = [];
  let at = 0;
  while (at < bytes.length) {
    if (leaves.length === TILE_WIDTH) throw countWrong(TILE_WIDTH + 1);
    const start = at + 2;
    const end = start + (bytes[at] as number) * 256 + (bytes[at + 1] ?? 0);
    if (end > bytes.length) throw new LineproofError('FORMAT_INVALID', `cannot read bundle: leaf ${leaves.length} is cut`);
    leaves.push(bytes.subarray(start, end));
    at = end;
  }
  if (leaves.length === 0) throw new LineproofError('FORMAT_INVALID', 'cannot read bundle: it is empty');
  return leaves;
}

/** Complete subtrees of 256^level leaves in a log of `size` leaves. */
function subtrees(size: number, level: number): number {
  return Math.floor(size / 2 ** (HEIGHT * level));
}

function formatTilePath({ level, n, width }: TilePath): string {
  let number = String(n % 1000).padStart(3, '0');
  for (let rest = Math.floor(n / 1000); rest > 0; rest = Math.floor(rest / 1000))
    number = `x${String(rest % 1000).padStart(3, '0')}/${number}`;
  return `tile/${level}/${number}${width === TILE_WIDTH ? '' : `.p/${width}`}`;
}

function countWrong(count: number): LineproofError {
  return new LineproofError('LIMIT_EXCEEDED', `a bundle holds 1 to ${TILE_WIDTH} leaves, not ${count}`);
}
