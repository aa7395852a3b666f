import type { Policy } from '../policy/policy-document.ts';
import type { PolicyHistory } from '../policy/policy-history.ts';
import type { LogHead } from './log-state.ts';

/**
 * Start of the dedup window, in microseconds since 1970, after a block that consumed input appended at `appendedAt`. It is
 * `dedupWindow` + `clockSkew` before `appendedAt`, by the policy of that block, but never earlier than `before`, the start after the previous block.
 * So identities that left the window do not come back when a policy makes it longer (docs/decisions/0012-the-window-never-grows-backwards.md).
 * Chainer, archiver and auditor all use this function.
 */
export function dedupWindowStart(
  appendedAt: number,
  { dedupWindowMs, clockSkewMs }: Pick<Policy, 'dedupWindowMs' | 'clockSkewMs'>,
  before = 0,
): number {
  return Math.max(before, appendedAt - (dedupWindowMs + clockSkewMs) * 1000);
}

/** The start of the window by the policy of the head's last block. A newer policy counts only from the first block that is sealed under it. */
export function headWindowStart({ appendedAt, policy }: Pick<LogHead, 'appendedAt' | 'policy'>, policies: PolicyHistory): number {
  const sealed = policy === null ? undefined : policies.byDigest(policy);
  return dedupWindowStart(appendedAt, (sealed ?? policies.latest).policy);
}
