import { LineproofError } from '../../base/errors.ts';
import { batchNode } from '../batch-tree.ts';

/** The path that `checkBatchPath` follows from the event at `position` up to the batch's root. */
export function proveBatchPath(digests: readonly Uint8Array[], position: number): Uint8Array[] {
  if (!Number.isInteger(position) || position < 0 || position >= digests.length)
    throw new LineproofError('FORMAT_INVALID', `cannot prove event ${position}: the batch has ${digests.length}`);
  const path: Uint8Array[] = [];
  let level = digests;
  for (let at = position; level.length > 1; at = Math.floor(at / 2)) {
    const partner = level[at % 2 === 1 ? at - 1 : at + 1];
    if (partner !== undefined) path.push(partner);
    level = levelAbove(level);
  }
  return path;
}

function levelAbove(level: readonly Uint8Array[]): Uint8Array[] {
  const above: Uint8Array[] = [];
  for (let i = 0; i < level.length; i += 2) {
    const right = level[i + 1];
    above.push(right === undefined ? (level[i] as Uint8Array) : batchNode(level[i] as Uint8Array, right));
  }
  return above;
}
