import type { Policy } from '../policy/policy-document.ts';
import type { PolicyHistory } from '../policy/policy-history.ts';
import type { LogHead } from './log-state.ts';

/**
 * Where the dedup window starts after input that was appended at `appendedAt`, under the policy of the block that consumes it:
 * `dedupWindow` and `clockSkew` before it, and never earlier than `before`, the start after the block before
 * (docs/decisions/0012-the-window-never-grows-backwards.md: identities that left the window do not come back when a policy makes it longer). Microseconds since 1970.
 * Chainer, archiver and auditor all ask here.
 */
export function dedupWindowStart(
  appendedAt: number,
  { dedupWindowMs, clockSkewMs }: Pick<Policy, 'dedupWindowMs' | 'clockSkewMs'>,
  before = 0,
): number {
  return Math.max(before, appendedAt - (dedupWindowMs + clockSkewMs) * 1000);
}

/** The window's start by the policy of the head's block alone: a newer policy counts from the first block that it seals. */
export function headWindowStart({ appendedAt, policy }: Pick<LogHead, 'appendedAt' | 'policy'>, policies: PolicyHistory): number {
  const sealed = policy === null ? undefined : policies.byDigest(policy);
  return dedupWindowStart(appendedAt, (sealed ?? policies.latest).policy);
}
