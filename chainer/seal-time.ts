import type { LogHead } from '../core/acceptance/log-state.ts';
import type { PolicyInForce } from '../core/policy/policy-history.ts';

/** Whether a time leads this clock by more than the policy's `clockSkew`. All times in microseconds since 1970. */
export function isAhead(time: number, { policy }: PolicyInForce, now: number): boolean {
  return time > now + policy.clockSkewMs * 1000;
}

/**
 * The `acceptedAt` of a block after `head` that is sealed at `now` under `policy`. It never falls, but for one case: if the log stands in the future,
 * the first block under a newer policy sets it back (docs/formats.md §3, rule 5). So an operator ends that state by publishing any policy version.
 */
export function sealTime(head: Pick<LogHead, 'acceptedAt' | 'policy'>, policy: PolicyInForce, now: number): number {
  const mayFall = head.policy !== policy.hex;
  return mayFall && isAhead(head.acceptedAt, policy, now) ? now : Math.max(head.acceptedAt, now);
}
