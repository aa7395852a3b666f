import type { Seal } from '../core/formats/leaf.ts';
import { preAuthentication } from '../core/keys/dsse.ts';
import { verifySignature } from '../core/keys/signature.ts';
import { believedUntil } from '../core/policy/policy-document.ts';
import type { PolicyInForce } from '../core/policy/policy-history.ts';
import { finding } from './findings.ts';
import type { Finding } from './verdict.ts';

/** A seal, its bytes and its place in the log of a shard, and what its chainer signed it with. */
export interface SignedSeal {
  readonly shard: number;
  readonly index: number;
  readonly seal: Seal;
  readonly bytes: Uint8Array;
  readonly keyId: Uint8Array;
  readonly signature: Uint8Array;
}

/** Judges who signed a seal: by `policy`, which it names, and by what the `latest` version says of the key. */
export function proveSeal(
  { shard, index, seal, bytes, keyId, signature }: SignedSeal,
  policy: PolicyInForce,
  latest: PolicyInForce,
): Finding[] {
  const place = { shard, leaf: index };
  const name = seal.chainer;
  const findings: Finding[] = [];
  const chainer = policy.chainer(name, keyId);
  if (chainer === undefined)
    findings.push(finding('CHAINER_UNKNOWN', `the seal is signed by ${name}, which is not a chainer of the policy`, place));
  else if (!chainer.active) {
    const message = `the seal is signed by ${name}, whose key is ${chainer.entry.status} in its policy`;
    findings.push(finding('CHAINER_NOT_ACTIVE', message, place));
  } else if (!verifySignature(chainer.key, preAuthentication('block', bytes), signature))
    findings.push(finding('SEAL_SIGNATURE', 'the signature over the seal is wrong', place));
  const now = latest.chainer(name, keyId)?.entry;
  if (now !== undefined && index >= believedUntil(now, shard)) {
    const message = `the seal, and with it the block from leaf ${seal.firstIndex} on, is signed by ${name} after the size up to which its key is believed`;
    findings.push(finding('SUSPECT', message, place));
  }
  return findings;
}
