import { utf8 } from '../../../core/bytes.ts';
import { encodeEnvelope, signEnvelope } from '../../../core/dsse.ts';
import { canonicalJson } from '../../../core/jcs.ts';
import { newPolicy, type Policy } from '../../../core/policy.ts';
import type { Signer } from '../../../core/ports/signer.ts';
import { signerOf } from '../keys/support.ts';

export const SHARDS = 2;
export const ROOT = signerOf('root');
export const PRODUCER = signerOf('producer');
export const CHAINER = signerOf('chainer');
export const LOGS = [signerOf('log', 'origin.example/0'), signerOf('log', 'origin.example/1')] as const;
/** A schema that is in force. */
export const SCHEMA = '5c'.repeat(32);

/** Version 1 of a small policy with `changes`. */
export function policyOf(changes: Partial<Policy> = {}): Policy {
  return {
    ...newPolicy({
      origin: 'origin.example',
      shards: SHARDS,
      roots: [ROOT.verifierKey],
      producers: [{ key: PRODUCER.verifierKey, streams: ['orders/*', 'exact'] }],
      chainers: [CHAINER.verifierKey],
      logs: LOGS.map(({ verifierKey }) => verifierKey),
      schemas: [SCHEMA],
    }),
    ...changes,
  };
}

/** The signed envelope of a policy, whatever it says. */
export async function signed(policy: Policy, signers: readonly Signer[] = [ROOT]): Promise<Uint8Array> {
  return encodeEnvelope(await signEnvelope('policy', utf8(canonicalJson(policy)), signers));
}
