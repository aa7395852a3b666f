import { equal } from '../base/bytes.ts';
import { EMPTY_ROOT, HASH_BYTES, nodeHash } from './hash.ts';

/**
 * Whether `proof` shows that `leafHash` is leaf `index` of the tree of `size` leaves with `root` (RFC 9162 §2.1.3.2).
 * Every argument may be hostile: false, never an exception.
 */
export function checkInclusion(proof: readonly Uint8Array[], size: number, index: number, leafHash: Uint8Array, root: Uint8Array): boolean {
  if (!isCount(size) || !isCount(index) || index >= size || !areHashes([leafHash, root]) || !areHashes(proof)) return false;
  let node = index;
  let last = size - 1;
  let hash = leafHash;
  for (const sibling of proof) {
    if (last === 0) return false;
    if (node % 2 === 1 || node === last) {
      hash = nodeHash(sibling, hash);
      // The last node of a row may have no sibling. It moves up unchanged until it is a right child.
      while (node % 2 === 0 && node !== 0) {
        node = half(node);
        last = half(last);
      }
    } else hash = nodeHash(hash, sibling);
    node = half(node);
    last = half(last);
  }
  return last === 0 && equal(hash, root);
}

/**
 * Whether `proof` shows that the tree of `newSize` leaves with `newRoot` begins with the tree of `oldSize` leaves with `oldRoot`
 * (RFC 9162 §2.1.4.2). The empty tree begins every tree, by an empty proof. Every argument may be hostile: false, never an exception.
 */
export function checkConsistency(
  proof: readonly Uint8Array[],
  oldSize: number,
  oldRoot: Uint8Array,
  newSize: number,
  newRoot: Uint8Array,
): boolean {
  if (!isCount(oldSize) || !isCount(newSize) || oldSize > newSize || !areHashes([oldRoot, newRoot]) || !areHashes(proof)) return false;
  if (oldSize === 0 && !equal(oldRoot, EMPTY_ROOT)) return false;
  if (oldSize === newSize) return proof.length === 0 && equal(oldRoot, newRoot);
  if (oldSize === 0) return proof.length === 0;
  return walkConsistency(isPowerOfTwo(oldSize) ? [oldRoot, ...proof] : proof, oldSize, oldRoot, newSize, newRoot);
}

/** The loop of RFC 9162 §2.1.4.2, steps 3 to 7; `path` starts with the largest complete subtree that ends the old tree. */
function walkConsistency(path: readonly Uint8Array[], oldSize: number, oldRoot: Uint8Array, newSize: number, newRoot: Uint8Array): boolean {
  const [seed, ...siblings] = path;
  if (seed === undefined) return false;
  let node = oldSize - 1;
  let last = newSize - 1;
  while (node % 2 === 1) {
    node = half(node);
    last = half(last);
  }
  let oldHash = seed;
  let newHash = seed;
  for (const sibling of siblings) {
    if (last === 0) return false;
    if (node % 2 === 1 || node === last) {
      oldHash = nodeHash(sibling, oldHash);
      newHash = nodeHash(sibling, newHash);
      while (node % 2 === 0 && node !== 0) {
        node = half(node);
        last = half(last);
      }
    } else newHash = nodeHash(newHash, sibling);
    node = half(node);
    last = half(last);
  }
  return last === 0 && equal(oldHash, oldRoot) && equal(newHash, newRoot);
}

/** Shifts right by one; `>>` would cut sizes at 2^32. */
function half(n: number): number {
  return Math.floor(n / 2);
}

function isCount(n: number): boolean {
  return Number.isSafeInteger(n) && n >= 0;
}

function isPowerOfTwo(n: number): boolean {
  return n === 2 ** Math.round(Math.log2(n));
}

function areHashes(hashes: readonly Uint8Array[]): boolean {
  return hashes.every((hash) => hash.length === HASH_BYTES);
}
