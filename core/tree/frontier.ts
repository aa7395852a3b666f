import { EMPTY_ROOT, HASH_BYTES, joinHashes, nodeHash } from './hash.ts';

/** The hashes that a log must keep in order to grow: the roots of the complete subtrees that its leaves fill, largest (leftmost) first. A value; never changed. */
export interface Frontier {
  /** Number of leaves, at most 2^53 − 1. */
  readonly size: number;
  /** One hash for each bit that is set in `size`. */
  readonly hashes: readonly Uint8Array[];
}

/** The frontier of the log without leaves. */
export const EMPTY_FRONTIER: Frontier = { size: 0, hashes: [] };

/** One hash for each bit of the largest size, and the one that is about to merge. */
const STACK_HASHES = 54;

/** The frontier after `leafHashes` were appended; it shares no memory with them. Computed in one flat array: an array for each node would double the cost. */
export function extendFrontier(frontier: Frontier, leafHashes: readonly Uint8Array[]): Frontier {
  const stack = new Uint8Array(STACK_HASHES * HASH_BYTES);
  let top = 0;
  for (const hash of frontier.hashes) {
    stack.set(hash, top);
    top += HASH_BYTES;
  }
  let size = frontier.size;
  for (const leaf of leafHashes) {
    stack.set(leaf, top);
    // A bit that is set in the old size is a finished subtree as large as the one on top: they merge. Divided, not shifted, as shifts end at 2^32.
    for (let rest = size; rest % 2 === 1; rest = (rest - 1) / 2) {
      top -= HASH_BYTES;
      joinHashes(stack, top, top);
    }
    top += HASH_BYTES;
    size += 1;
  }
  return { size, hashes: Array.from({ length: top / HASH_BYTES }, (_, i) => stack.slice(i * HASH_BYTES, (i + 1) * HASH_BYTES)) };
}

/** Root of the tree (RFC 6962 §2.1): the hashes folded from the right. */
export function frontierRoot(frontier: Frontier): Uint8Array {
  return foldRoots(frontier.hashes);
}

/** Root over adjoining complete subtrees, largest first; the empty root if there are none. */
export function foldRoots(roots: readonly Uint8Array[]): Uint8Array {
  let root: Uint8Array | undefined;
  for (let i = roots.length - 1; i >= 0; i--) {
    const left = roots[i] as Uint8Array;
    root = root === undefined ? left : nodeHash(left, root);
  }
  return root ?? EMPTY_ROOT;
}
