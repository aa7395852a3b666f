import { sha256, sha256Into } from '#crypto';
import { equal } from '../base/bytes.ts';
import { EMPTY_ROOT } from './hash.ts';

const nodeInput = new Uint8Array(65);
nodeInput[0] = 3;

/** Inner node of the batch tree: `H(0x03 ‖ left ‖ right)` (docs/formats.md §2). */
export function batchNode(left: Uint8Array, right: Uint8Array): Uint8Array {
  nodeInput.set(left, 1);
  nodeInput.set(right, 33);
  return sha256(nodeInput);
}

/**
 * Root of the batch tree over 32-byte event digests. Level by level: a node without a partner moves up as it is,
 * which gives the shape of RFC 6962 §2.1.
 */
export function batchRoot(digests: readonly Uint8Array[]): Uint8Array {
  let width = digests.length;
  if (width === 0) return EMPTY_ROOT;
  const work = new Uint8Array(32 * width);
  for (let i = 0; i < width; i++) work.set(digests[i] as Uint8Array, 32 * i);
  while (width > 1) {
    const pairs = width >> 1;
    for (let i = 0; i < pairs; i++) {
      nodeInput.set(work.subarray(64 * i, 64 * i + 64), 1);
      sha256Into(nodeInput, work, 32 * i);
    }
    if (width % 2 === 1) work.copyWithin(32 * pairs, 32 * (width - 1), 32 * width);
    width = pairs + (width % 2);
  }
  return work.slice(0, 32);
}

/** Whether `path` leads from `digest` at `position` of a batch of `count` events to `root`; false, never an error, for anything else. */
export function checkBatchPath(
  path: readonly Uint8Array[],
  count: number,
  position: number,
  digest: Uint8Array,
  root: Uint8Array,
): boolean {
  if (!Number.isInteger(position) || !Number.isInteger(count) || position < 0 || position >= count) return false;
  if (digest.length !== 32 || path.some((hash) => hash.length !== 32)) return false;
  let node = digest;
  let used = 0;
  let at = position;
  for (let width = count; width > 1; width = Math.ceil(width / 2)) {
    const partner = at % 2 === 1 ? at - 1 : at + 1;
    if (partner < width) {
      const hash = path[used++];
      if (hash === undefined) return false;
      node = at % 2 === 1 ? batchNode(hash, node) : batchNode(node, hash);
    }
    at = Math.floor(at / 2);
  }
  return used === path.length && equal(node, root);
}
