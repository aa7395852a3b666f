import { concat, equal } from '../core/base/bytes.ts';
import { LineproofError } from '../core/base/errors.ts';
import type { ObjectStore } from '../core/ports/object-store.ts';
import { growTree, readTail, type TreeTail, tailFrontier } from '../core/tree/build/tile.ts';
import { frontierRoot } from '../core/tree/frontier.ts';
import { hashLeaves } from '../core/tree/hash.ts';
import { decodeBundle, entriesPath, TILE_WIDTH } from '../core/tree/tile.ts';
import { inParallel } from './parallel.ts';

/** One shard's tree as the store holds it. */
export interface StoredTree {
  readonly objects: ObjectStore;
  /** `logs/<shard>`. */
  readonly folder: string;
}

/** The tail at a published size, from the store. Throws ARCHIVE_DIVERGED if it is missing or does not give `root`. */
export async function readStoredTail(tree: StoredTree, size: number, root: Uint8Array): Promise<TreeTail> {
  const tail = await readTail(size, (path) => readStored(tree, path));
  const stored = readable(tree, `a tile of the tree at ${size}`, () => frontierRoot(tailFrontier(tail)));
  if (!equal(stored, root)) throw diverged(tree, `its tiles do not give the root at ${size}`);
  checkBundle(tree, tail);
  return tail;
}

/** Compares the partial bundle with its tile. Its leaves begin the next bundle, and no later root would show a fault in them: roots are computed from the tile. */
function checkBundle(tree: StoredTree, { size, tiles, bundle }: TreeTail): void {
  const width = size % TILE_WIDTH;
  if (width === 0) return;
  const path = entriesPath((size - width) / TILE_WIDTH, width);
  const hashes = concat(...hashLeaves(readable(tree, path, () => decodeBundle(bundle))));
  if (!tiles.some(({ level, bytes }) => level === 0 && equal(bytes, hashes)))
    throw diverged(tree, `${path} does not hold the leaves of its tile`);
}

/**
 * Reads the leaves from `from` on back from their bundles, builds the tree again, and compares every tile with the stored one.
 * Throws ARCHIVE_DIVERGED unless the store holds, at `size`, the tree with this root.
 */
export async function readBack(tree: StoredTree, from: TreeTail, size: number, root: Uint8Array): Promise<void> {
  const first = Math.floor(from.size / TILE_WIDTH);
  const numbers = Array.from({ length: Math.ceil(size / TILE_WIDTH) - first }, (_, i) => first + i);
  const bundles = new Map<number, Uint8Array[]>();
  await inParallel(numbers, async (n) => {
    const path = entriesPath(n, Math.min(TILE_WIDTH, size - n * TILE_WIDTH));
    const stored = await readStored(tree, path);
    const bundle = readable(tree, path, () => decodeBundle(stored));
    bundles.set(n, bundle.slice(Math.max(0, from.size - n * TILE_WIDTH)));
  });
  const leaves = numbers.flatMap((n) => bundles.get(n) as Uint8Array[]);
  const { objects, tail } = growTree(from, leaves);
  if (!equal(frontierRoot(tailFrontier(tail)), root)) throw diverged(tree, `its bundles do not give the root at ${size}`);
  await inParallel(objects, async ({ path, bytes }) => {
    if (!equal(await readStored(tree, path), bytes)) throw diverged(tree, `${path} is not what the leaves give`);
  });
}

async function readStored(tree: StoredTree, path: string): Promise<Uint8Array> {
  const stored = await tree.objects.get(`${tree.folder}/${path}`);
  if (stored === undefined) throw diverged(tree, `${path} is missing`);
  return stored.bytes;
}

/** The result of `read`, which reads stored bytes; ARCHIVE_DIVERGED if it throws. */
function readable<T>(tree: StoredTree, what: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw diverged(tree, `${what} cannot be read`, cause);
  }
}

function diverged({ folder }: StoredTree, fact: string, cause?: unknown): LineproofError {
  return new LineproofError('ARCHIVE_DIVERGED', `cannot go on with ${folder}: ${fact}`, { folder }, cause);
}
