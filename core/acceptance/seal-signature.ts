import { equal } from '../base/bytes.ts';
import type { Block } from '../formats/block.ts';
import { preAuthentication } from '../keys/dsse.ts';
import { type ImportedKey, verifySignature } from '../keys/signature.ts';
import type { PolicyHistory } from '../policy/policy-history.ts';

/** Whether `key` signed the block's seal. */
export function isSealSignedBy(key: ImportedKey, block: Block): boolean {
  return verifySignature(key, preAuthentication('block', block.seal), block.signature);
}

/**
 * Whether a chainer key that may follow the policy `before` signed the block's seal: one that is ACTIVE in that version or in a later one,
 * or in any version where `before` is null. For seals that cannot be read, so that their policy is unknown.
 */
export function isSealSignedByAny(policies: PolicyHistory, before: string | null, block: Block): boolean {
  return policies.versions
    .filter(({ hex }) => before === null || hex === before || policies.descends(hex, before))
    .flatMap((policy) => policy.chainers())
    .some(({ key, active, id }) => active && equal(id, block.keyId) && isSealSignedBy(key, block));
}
