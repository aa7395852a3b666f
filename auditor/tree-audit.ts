import { logKeysOf } from '../core/archive/archive-keys.ts';
import { equal } from '../core/base/bytes.ts';
import type { StoredObject } from '../core/ports/object-store.ts';
import { extendFrontier, type Frontier, frontierRoot } from '../core/tree/frontier.ts';
import { GrowingTiles } from '../core/tree/growing-tiles.ts';
import { HASH_BYTES, hashLeaves, subtreeRoot } from '../core/tree/hash.ts';
import { decodeBundle, eachTileOf, entriesPath, parseTilePath, TILE_WIDTH, type Tile, tilePath } from '../core/tree/tile.ts';
import type { Audit } from './audit.ts';
import { errorText } from './governance.ts';

/** At most so many missing tiles of one note are named. */
const FIRST_MISSING = 1000;
/** Bundles that are asked for ahead, with their tiles: a store answers several requests in the time of one. */
const AHEAD = 8;

/** One bundle of leaves, with the hashes that the tree takes for them. */
export interface LeafRun {
  readonly first: number;
  /** Undefined where the bundle cannot be read: the stored hashes are used instead. */
  readonly leaves: readonly Uint8Array[] | undefined;
  readonly hashes: readonly Uint8Array[];
  /** Key of the bundle. */
  readonly object: string;
}

/** Reads all leaves of a shard, makes every tile from them again, and compares it with the stored one. */
export class TreeAudit {
  readonly #audit: Pick<Audit, 'objects' | 'listed' | 'shard' | 'findings'>;
  readonly #folder: string;
  readonly #tiles = new GrowingTiles();
  /** Stored widths by `level/n`; the level of bundles is `entries`. */
  readonly #widths = new Map<string, number[]>();
  /** Objects asked for ahead, by key. */
  readonly #ahead = new Map<string, Promise<StoredObject | undefined>>();
  /** Required objects that are missing: each is named once. */
  readonly #missed = new Set<string>();
  checkedTiles = 0;

  constructor(audit: Pick<Audit, 'objects' | 'listed' | 'shard' | 'findings'>) {
    this.#audit = audit;
    this.#folder = logKeysOf(audit.shard).folder;
    this.#index();
  }

  /** Root of the leaves taken so far. */
  root(): Uint8Array {
    return this.#tiles.root();
  }

  /** Frontier of the leaves taken so far. */
  frontier(): Frontier {
    return this.#tiles.frontier();
  }

  #index(): void {
    const prefix = `${this.#folder}/`;
    for (const key of this.#audit.listed.keys()) {
      if (!key.startsWith(`${prefix}tile/`)) continue;
      try {
        const { level, n, width } = parseTilePath(key.slice(prefix.length));
        const place = `${level}/${n}`;
        this.#widths.set(place, [...(this.#widths.get(place) ?? []), width]);
      } catch {
        const place = { object: key, shard: this.#audit.shard };
        this.#audit.findings.add('UNKNOWN_OBJECT', 'the name is not the name of a tile', place);
      }
    }
  }

  /** Reports every tile and bundle that a log of `size` leaves needs and that is missing. */
  checkRequired(size: number): void {
    // A note may claim any size: after a thousand missing objects the others are not looked for.
    const bound = this.#missed.size + FIRST_MISSING;
    for (const { level, n, width } of eachTileOf(size)) {
      if (this.#missed.size >= bound) break;
      const paths = level === 0 ? [tilePath(level, n, width), entriesPath(n, width)] : [tilePath(level, n, width)];
      for (const path of paths) {
        const object = `${this.#folder}/${path}`;
        if (this.#audit.listed.has(object) || this.#missed.has(object)) continue;
        this.#missed.add(object);
        this.#audit.findings.add(
          'MISSING',
          'the object is missing, and the checkpoint needs it',
          { object, shard: this.#audit.shard },
          { property: 'ARCHIVE' },
        );
      }
    }
  }

  /**
   * The leaves from the start to `size`, bundle by bundle, each compared with the tile of its hashes. Ends where neither gives the hashes.
   * `root` is the signed root for `size`. Where leaf and tile differ at the edge of the tree, it tells which of the two is altered.
   */
  async *leaves(size: number, root: Uint8Array | undefined): AsyncGenerator<LeafRun> {
    for (let n = 0; n * TILE_WIDTH < size; n++) {
      const width = Math.min(TILE_WIDTH, size - n * TILE_WIDTH);
      this.#askAhead(n + AHEAD, size);
      const run = await this.#run(n, width, n * TILE_WIDTH + width === size ? root : undefined);
      if (run === undefined) return;
      yield run;
      await this.#compare({ level: 0, n, width, bytes: joined(run.hashes) });
      await this.#compareBundles(n, run);
      this.#forget(n, width);
    }
  }

  #askAhead(n: number, size: number): void {
    const width = Math.min(TILE_WIDTH, size - n * TILE_WIDTH);
    if (width <= 0) return;
    for (const { key } of [this.#bundleKey(n, width), this.#tileKey(n, width)]) {
      const answer = this.#audit.objects.get(key);
      answer.catch(() => undefined);
      this.#ahead.set(key, answer);
    }
  }

  /** An object, asked for ahead or now. */
  #get(key: string): Promise<StoredObject | undefined> {
    return this.#ahead.get(key) ?? this.#audit.objects.get(key);
  }

  #forget(n: number, width: number): void {
    for (const { key } of [this.#bundleKey(n, width), this.#tileKey(n, width)]) this.#ahead.delete(key);
  }

  async #run(n: number, width: number, root: Uint8Array | undefined): Promise<LeafRun | undefined> {
    const { object, leaves } = await this.#bundle(n, width);
    const tile = await this.#storedTile(n, width);
    if (leaves === undefined) return tile === undefined ? undefined : { first: n * TILE_WIDTH, leaves, hashes: split(tile), object };
    const hashes = hashLeaves(leaves);
    const own = { first: n * TILE_WIDTH, leaves, hashes, object };
    if (tile === undefined) return own;
    const altered = hashes.findIndex((hash, i) => !equal(hash, tile.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES)));
    if (altered < 0 || !(await this.#tileIsRight(n, tile, hashes, root))) return own;
    const place = { object, shard: this.#audit.shard, leaf: n * TILE_WIDTH + altered };
    this.#audit.findings.add('BUNDLE_WRONG', 'the leaf does not have the hash that the tree has for it', place);
    return { ...own, hashes: split(tile) };
  }

  /** Whether the tree above was made of the stored tile instead of the leaves. */
  async #tileIsRight(n: number, tile: Uint8Array, hashes: readonly Uint8Array[], root: Uint8Array | undefined): Promise<boolean> {
    if (root !== undefined && equal(root, frontierRoot(extendFrontier(this.#tiles.frontier(), split(tile))))) return true;
    if (hashes.length < TILE_WIDTH) return false;
    const parent = Math.floor(n / TILE_WIDTH);
    const at = n % TILE_WIDTH;
    const width = (this.#widths.get(`1/${parent}`) ?? []).find((each) => each > at);
    const stored = width === undefined ? undefined : await this.#audit.objects.get(`${this.#folder}/${tilePath(1, parent, width)}`);
    return stored !== undefined && equal(stored.bytes.subarray(at * HASH_BYTES, (at + 1) * HASH_BYTES), subtreeRoot(tile));
  }

  /** The stored hashes of bundle `n`: the tile of this width, or the full tile. Undefined where it does not have its size. */
  async #storedTile(n: number, width: number): Promise<Uint8Array | undefined> {
    const { key, source } = this.#tileKey(n, width);
    const stored = await this.#get(key);
    return stored?.bytes.length === source * HASH_BYTES ? stored.bytes.subarray(0, width * HASH_BYTES) : undefined;
  }

  #tileKey(n: number, width: number): { key: string; source: number } {
    const source = (this.#widths.get(`0/${n}`) ?? []).includes(width) ? width : TILE_WIDTH;
    return { key: `${this.#folder}/${tilePath(0, n, source)}`, source };
  }

  /** Takes leaf hashes into the tree and compares the higher tiles that they fill with the stored ones. */
  async take(hashes: readonly Uint8Array[]): Promise<void> {
    for (const tile of this.#tiles.append(hashes)) if (tile.level > 0) await this.#compare(tile);
  }

  /** Compares the tiles that are not full at the end. */
  async finish(): Promise<void> {
    for (const tile of this.#tiles.partials()) if (tile.level > 0) await this.#compare(tile);
  }

  #bundleKey(n: number, width: number): { key: string; source: number } {
    const source = (this.#widths.get(`entries/${n}`) ?? []).includes(width) ? width : TILE_WIDTH;
    return { key: `${this.#folder}/${entriesPath(n, source)}`, source };
  }

  /** A bundle's leaves: from the partial bundle of this size, or from the full one where that is missing. */
  async #bundle(n: number, width: number): Promise<{ object: string; leaves: readonly Uint8Array[] | undefined }> {
    const { key: object, source } = this.#bundleKey(n, width);
    const stored = await this.#get(object);
    if (stored === undefined) return { object, leaves: undefined };
    this.checkedTiles += 1;
    let leaves: Uint8Array[];
    try {
      leaves = decodeBundle(stored.bytes);
      if (leaves.length !== source) throw new Error(`it holds ${leaves.length} leaves, not ${source}`);
    } catch (error) {
      const place = { object, shard: this.#audit.shard, leaf: n * TILE_WIDTH };
      this.#audit.findings.add('BUNDLE_INVALID', `the bundle cannot be read: ${errorText(error)}`, place);
      return { object, leaves: undefined };
    }
    return { object, leaves: leaves.slice(0, width) };
  }

  /** Every other bundle of these leaves, older or never published, must hold leaves of the same hashes. */
  async #compareBundles(n: number, { object, hashes }: LeafRun): Promise<void> {
    for (const width of this.#widths.get(`entries/${n}`) ?? []) {
      const other = `${this.#folder}/${entriesPath(n, width)}`;
      if (other === object) continue;
      this.checkedTiles += 1;
      const stored = await this.#audit.objects.get(other);
      const place = { object: other, shard: this.#audit.shard };
      if (stored === undefined || !holdsLeaves(stored.bytes, width, hashes)) {
        this.#audit.findings.add('TILE_WRONG', 'the stored bundle does not hold the leaves that the tree was made of', place);
      } else if (width > hashes.length) this.#beyond(other);
    }
  }

  #beyond(object: string): void {
    const message = 'no checkpoint covers the size of the object, so it was not checked';
    this.#audit.findings.add('BEYOND_CHECKPOINT', message, { object, shard: this.#audit.shard });
  }

  async #compare({ level, n, width, bytes }: Tile): Promise<void> {
    for (const stored of this.#widths.get(`${level}/${n}`) ?? []) {
      const object = `${this.#folder}/${tilePath(level, n, stored)}`;
      if (stored <= width) await this.#comparePrefix(object, bytes.subarray(0, HASH_BYTES * stored));
      else await this.#compareLonger(object, bytes.subarray(0, HASH_BYTES * width));
    }
  }

  async #comparePrefix(object: string, expected: Uint8Array): Promise<void> {
    this.checkedTiles += 1;
    const stored = await this.#get(object);
    if (stored === undefined || !equal(stored.bytes, expected)) {
      this.#audit.findings.add('TILE_WRONG', 'the stored bytes are not what the leaves give', { object, shard: this.#audit.shard });
    }
  }

  /** After a crash an object of a size that was never published may remain. It must begin with the published bytes. */
  async #compareLonger(object: string, expected: Uint8Array): Promise<void> {
    const stored = await this.#audit.objects.get(object);
    if (stored !== undefined && equal(stored.bytes.subarray(0, expected.length), expected)) this.#beyond(object);
    else this.#audit.findings.add('TILE_WRONG', 'the stored bytes contradict the leaves', { object, shard: this.#audit.shard });
  }
}

/** Whether a bundle of `width` leaves begins with the leaves of these hashes. */
function holdsLeaves(bytes: Uint8Array, width: number, hashes: readonly Uint8Array[]): boolean {
  try {
    const leaves = decodeBundle(bytes);
    return leaves.length === width && hashLeaves(leaves).every((hash, i) => i >= hashes.length || equal(hash, hashes[i] as Uint8Array));
  } catch {
    return false;
  }
}

function joined(hashes: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(HASH_BYTES * hashes.length);
  for (const [i, hash] of hashes.entries()) bytes.set(hash, i * HASH_BYTES);
  return bytes;
}

function split(tile: Uint8Array): Uint8Array[] {
  return Array.from({ length: tile.length / HASH_BYTES }, (_, i) => tile.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES));
}
