import { utf8 } from '../../core/base/bytes.ts';
import { canonicalJson } from '../../core/base/jcs.ts';
import { EVENT_SCHEMA } from '../../core/formats/event-schema.ts';
import { encodeEnvelope, signEnvelope } from '../../core/keys/dsse.ts';
import { keySigner } from '../../core/keys/key.ts';
import { newPolicy } from '../../core/policy/new-policy.ts';
import type { Policy } from '../../core/policy/policy-document.ts';
import type { Signer } from '../../core/ports/signer.ts';

/** A signer whose seed is this byte 32 times. */
export function testSigner(name: string, byte: number): Signer {
  return keySigner(name, new Uint8Array(32).fill(byte));
}

/** The keys of {@link testPolicy}. */
export const SIGNERS = {
  roots: [testSigner('root-1', 1), testSigner('root-2', 2), testSigner('root-3', 3)],
  producer: testSigner('producer', 11),
  chainer: testSigner('chainer', 21),
  logs: [testSigner('example.com/o/0', 31), testSigner('example.com/o/1', 32)],
} as const;

/** Version 1 of a policy of two shards, signed by two of three roots. */
export function testPolicy(): Policy {
  return newPolicy({
    origin: 'example.com/o',
    shards: 2,
    roots: SIGNERS.roots.map(({ verifierKey }) => verifierKey),
    threshold: 2,
    producers: [{ key: SIGNERS.producer.verifierKey, streams: ['datasets/*'] }],
    chainers: [SIGNERS.chainer.verifierKey],
    logs: SIGNERS.logs.map(({ verifierKey }) => verifierKey),
    schemas: [EVENT_SCHEMA.hex],
  });
}

/** A policy in its envelope, whether it holds together or not. */
export async function envelopeOf(policy: unknown, signers: readonly Signer[]): Promise<Uint8Array> {
  return encodeEnvelope(await signEnvelope('policy', utf8(canonicalJson(policy)), signers));
}
