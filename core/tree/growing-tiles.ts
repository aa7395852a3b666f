import { LineproofError } from '../base/errors.ts';
import { type Frontier, foldRoots } from './frontier.ts';
import { HASH_BYTES, subtreeRoot } from './hash.ts';
import { partialTilesOf, TILE_WIDTH, type Tile } from './tile.ts';

const TILE_BYTES = TILE_WIDTH * HASH_BYTES;

interface Row {
  /** Number of the tile that is being filled. */
  n: number;
  width: number;
  /** Its hashes so far, at the front; a new array for each tile, as full ones are given away. */
  bytes: Uint8Array;
}

/**
 * The hash tiles of a log, computed from its leaf hashes in one pass, with one tile of memory for each level. Stored tiles are right
 * when they equal these, byte for byte: full ones as {@link append} returns them, partial ones as {@link partials} at their size.
 */
export class GrowingTiles {
  readonly #rows: Row[] = [];
  #size = 0;

  /** Starts with the log of `size` leaves whose partial tiles are `partials`, level 0 first; throws FORMAT_INVALID when those do not fit. */
  constructor(size = 0, partials: readonly Tile[] = []) {
    const expected = partialTilesOf(size);
    if (expected.length !== partials.length) throw partialsWrong(size);
    for (const [i, { level, n, width }] of expected.entries()) {
      const { bytes, ...name } = partials[i] as Tile;
      if (name.level !== level || name.n !== n || name.width !== width || bytes.length !== width * HASH_BYTES) throw partialsWrong(size);
      const row = this.#row(level);
      row.width = width;
      row.bytes.set(bytes);
    }
    this.#size = size;
    for (const [level, row] of this.#rows.entries()) row.n = Math.floor(size / TILE_WIDTH ** (level + 1));
  }

  /** Number of leaves. */
  get size(): number {
    return this.#size;
  }

  /** Takes the hashes of the next leaves. Returns the tiles that they filled, in the order of filling. */
  append(leafHashes: readonly Uint8Array[]): Tile[] {
    const full: Tile[] = [];
    for (const hash of leafHashes) this.#add(hash, full);
    this.#size += leafHashes.length;
    return full;
  }

  /** The partial tiles of the present size, level 0 first; copies. */
  partials(): Tile[] {
    return partialTilesOf(this.#size).map((name) => ({ ...name, bytes: this.#row(name.level).bytes.slice(0, name.width * HASH_BYTES) }));
  }

  /** The frontier of the present size, computed from the partial tiles. */
  frontier(): Frontier {
    const hashes: Uint8Array[] = [];
    for (const { bytes, width } of this.#rows.toReversed()) {
      let at = 0;
      for (let span = TILE_WIDTH / 2; span >= 1; span /= 2) {
        if ((width & span) === 0) continue;
        hashes.push(subtreeRoot(bytes.subarray(at, at + span * HASH_BYTES)));
        at += span * HASH_BYTES;
      }
    }
    return { size: this.#size, hashes };
  }

  /** Root of the tree at the present size. */
  root(): Uint8Array {
    return foldRoots(this.frontier().hashes);
  }

  #add(leafHash: Uint8Array, full: Tile[]): void {
    let hash = leafHash;
    for (let level = 0; ; level++) {
      const row = this.#row(level);
      row.bytes.set(hash, row.width * HASH_BYTES);
      row.width += 1;
      if (row.width < TILE_WIDTH) return;
      full.push({ level, n: row.n, width: TILE_WIDTH, bytes: row.bytes });
      hash = subtreeRoot(row.bytes);
      row.n += 1;
      row.width = 0;
      row.bytes = new Uint8Array(TILE_BYTES);
    }
  }

  #row(level: number): Row {
    while (this.#rows.length <= level) this.#rows.push({ n: 0, width: 0, bytes: new Uint8Array(TILE_BYTES) });
    return this.#rows[level] as Row;
  }
}

function partialsWrong(size: number): LineproofError {
  return new LineproofError('FORMAT_INVALID', `cannot continue tiles: these are not the partial tiles of ${size} leaves`, { size });
}
