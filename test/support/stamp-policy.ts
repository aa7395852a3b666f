import { toBase64 } from '../../core/base/bytes.ts';
import type { Policy, StampAuthority } from '../../core/policy/policy-document.ts';
import type { StampChain } from './forged-stamp.ts';

/** An authority as a policy lists it. */
export function authorityOf({ root, middle }: Pick<StampChain, 'root' | 'middle'>, changes: Partial<StampAuthority> = {}): StampAuthority {
  return {
    name: 'tsa',
    url: 'http://127.0.0.1:9/tsa',
    roots: [toBase64(root.der)],
    intermediates: [toBase64(middle.der)],
    policies: [],
    ...changes,
  };
}

/** The policy with these authorities, each asked every ten minutes. */
export function stamping(policy: Policy, ...authorities: readonly StampAuthority[]): Policy {
  return { ...policy, timestamping: { authorities, intervalMs: 600_000 } };
}
