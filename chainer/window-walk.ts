import { dedupWindowStart, headWindowStart } from '../core/acceptance/dedup-window.ts';
import { toHex } from '../core/base/bytes.ts';
import { LineproofError } from '../core/base/errors.ts';
import { type WalkedBlock, walkBack } from '../core/chain/chain-walk.ts';
import type { ChainFollower } from '../core/chain/follower.ts';
import type { Seal } from '../core/formats/leaf.ts';
import type { PolicyHistory } from '../core/policy/policy-history.ts';
import { type Log, TOPICS } from '../core/ports/log.ts';
import { lastAppendedAt } from './block-identities.ts';

/** The blocks of the dedup window, from the head back. Throws CHAIN_TRIMMED if one is missing: the topic lost a block that it must keep. */
export async function* windowBlocks(chain: ChainFollower, log: Log, policies: PolicyHistory): AsyncGenerator<WalkedBlock> {
  const { head } = chain.state;
  let from = headWindowStart(head, policies);
  let first = head.size;
  for await (const walked of walkBack(log, head.shard, chain.chainOffset, head.seal)) {
    const last = lastAppendedAt(walked.block);
    if (last !== undefined && last < from) return;
    yield walked;
    from = startAfter(walked.seal, last ?? 0, from, policies);
    first = walked.seal.firstIndex;
  }
  if (first === 0 || chain.chainOffset < 0) return;
  throw new LineproofError(
    'CHAIN_TRIMMED',
    `cannot rebuild the dedup index: shard ${head.shard} of ${TOPICS.chain} lost blocks below leaf ${first}, which are inside the dedup window`,
    { shard: head.shard, first },
  );
}

/** The start of the window for the blocks before a walked block. A policy that is not known does not move it, as it must not shorten the window. */
function startAfter(seal: Seal, appendedAt: number, before: number, policies: PolicyHistory): number {
  const policy = policies.byDigest(toHex(seal.policy));
  return policy === undefined ? before : dedupWindowStart(appendedAt, policy.policy, before);
}
