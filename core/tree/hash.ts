import { sha256, sha256Into } from '#crypto';
import { LineproofError } from '../base/errors.ts';
import { LIMITS } from '../base/limits.ts';

/** Bytes of a SHA-256 hash. */
export const HASH_BYTES = 32;

/** Root of the tree without leaves: SHA-256 of nothing. */
export const EMPTY_ROOT: Uint8Array = sha256(new Uint8Array(0));

// Hash inputs are put together here and never outlive a call. This saves an allocation for each hash.
const leafInput = new Uint8Array(1 + LIMITS.leafBytes);
const nodeInput = new Uint8Array(1 + 2 * HASH_BYTES);
nodeInput[0] = 1;

/** RFC 6962 §2.1 leaf hash `H(0x00 ‖ leaf)` in a new array; throws LIMIT_EXCEEDED above 65,535 bytes. */
export function leafHash(leaf: Uint8Array): Uint8Array {
  return sha256(leafInputOf(leaf));
}

/** Leaf hashes of `leaves`, in order; all of them are views of one new array. Throws LIMIT_EXCEEDED as {@link leafHash} does. */
export function hashLeaves(leaves: readonly Uint8Array[]): Uint8Array[] {
  const arena = new Uint8Array(HASH_BYTES * leaves.length);
  return leaves.map((leaf, i) => {
    sha256Into(leafInputOf(leaf), arena, HASH_BYTES * i);
    return arena.subarray(HASH_BYTES * i, HASH_BYTES * (i + 1));
  });
}

/** RFC 6962 §2.1 node hash `H(0x01 ‖ left ‖ right)` of two 32-byte hashes, in a new array. */
export function nodeHash(left: Uint8Array, right: Uint8Array): Uint8Array {
  nodeInput.set(left, 1);
  nodeInput.set(right, 1 + HASH_BYTES);
  return sha256(nodeInput);
}

/** Hashes the two adjoining hashes that begin at `at` in `hashes`, and writes the result to `to`, which may overlap them. */
export function joinHashes(hashes: Uint8Array, at: number, to: number): void {
  nodeInput.set(hashes.subarray(at, at + 2 * HASH_BYTES), 1);
  sha256Into(nodeInput, hashes, to);
}

/** Root of the complete subtree over `hashes`: a power of two of concatenated 32-byte hashes. A new array. */
export function subtreeRoot(hashes: Uint8Array): Uint8Array {
  const work = hashes.slice();
  for (let length = work.length; length > HASH_BYTES; length /= 2)
    for (let at = 0; at < length; at += 2 * HASH_BYTES) joinHashes(work, at, at / 2);
  return work.slice(0, HASH_BYTES);
}

/** `0x00 ‖ leaf`, valid until the next call. */
function leafInputOf(leaf: Uint8Array): Uint8Array {
  if (leaf.length > LIMITS.leafBytes)
    throw new LineproofError('LIMIT_EXCEEDED', `cannot hash leaf: ${leaf.length} bytes are more than ${LIMITS.leafBytes}`);
  leafInput.set(leaf, 1);
  return leafInput.subarray(0, 1 + leaf.length);
}
