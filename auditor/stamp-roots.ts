import type { Certificate } from '../core/keys/certificate.ts';
import { type KnownAuthority, knownAuthorities } from '../core/policy/stamp-authorities.ts';
import type { Governance } from './governance.ts';

/** Whose time stamps count, and for whom. */
export interface StampRoots {
  /** Roots that the reader brought: then only these count, whoever the policy names. */
  readonly given: readonly Certificate[];
  readonly authorities: ReadonlyMap<string, KnownAuthority>;
}

/** Where the roots of time-stamp authorities come from: the reader, or a policy that a pinned root key proves. `reason` says why there are none. */
export function stampRoots(
  governance: Governance,
  given: readonly Certificate[],
): { readonly roots: StampRoots } | { readonly roots: undefined; readonly reason: string } {
  const authorities = knownAuthorities(governance.history);
  if (given.length > 0) return { roots: { given, authorities } };
  if (authorities.size === 0) return { roots: undefined, reason: 'no time-stamp authority is named or given' };
  if (governance.root === undefined) return { roots: undefined, reason: 'no pinned key proves the time-stamp authorities' };
  return { roots: { given, authorities } };
}
