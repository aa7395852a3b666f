import { concat, fromBase64, toBase64, toHex, utf8 } from '../base/bytes.ts';
import { LineproofError } from '../base/errors.ts';
import { canonicalJson, parseCanonicalJson } from '../base/jcs.ts';
import type { Signer } from '../ports/signer.ts';
import { checkKeyName, type VerifierKey } from './key.ts';
import { importKey, verifySignature } from './signature.ts';

/** Types of DSSE payloads, by the short names that the code uses. */
export const PAYLOAD_TYPES = {
  batch: 'application/vnd.lineproof.batch.v1+avro',
  block: 'application/vnd.lineproof.block.v1+avro',
  manifest: 'application/vnd.lineproof.manifest.v1+json',
  retired: 'application/vnd.lineproof.retired.v1+json',
  snapshot: 'application/vnd.lineproof.snapshot.v1+json',
  policy: 'application/vnd.lineproof.policy.v1+json',
} as const;

export type PayloadType = keyof typeof PAYLOAD_TYPES;

const MAX_SIGNATURES = 100;

export interface EnvelopeSignature {
  /** Key name, `+`, 8 hex digits of the key id. */
  readonly keyid: string;
  readonly sig: Uint8Array;
}

/** A DSSE envelope (github.com/secure-systems-lab/dsse). */
export interface Envelope {
  readonly payloadType: PayloadType;
  readonly payload: Uint8Array;
  readonly signatures: readonly EnvelopeSignature[];
}

/** The bytes that are signed for a payload of ours. */
export function preAuthentication(type: PayloadType, payload: Uint8Array): Uint8Array {
  return encodePreAuthentication(PAYLOAD_TYPES[type], payload);
}

/** DSSE pre-authentication encoding `"DSSEv1 " len(type) " " type " " len(payload) " " payload`, lengths in bytes. */
export function encodePreAuthentication(payloadType: string, payload: Uint8Array): Uint8Array {
  return concat(utf8(`DSSEv1 ${utf8(payloadType).length} ${payloadType} ${payload.length} `), payload);
}

/** The name under which a key signs in an envelope. */
export function envelopeKeyId(name: string, id: Uint8Array): string {
  return `${name}+${toHex(id)}`;
}

export function encodeEnvelope({ payloadType, payload, signatures }: Envelope): Uint8Array {
  const lines = signatures.map(({ keyid, sig }) => ({ keyid, sig: toBase64(sig) }));
  return utf8(canonicalJson({ payload: toBase64(payload), payloadType: PAYLOAD_TYPES[payloadType], signatures: lines }));
}

/** Reads an envelope of the given type; throws FORMAT_INVALID unless it is spelled as {@link encodeEnvelope} spells it, LIMIT_EXCEEDED on more than 100 signatures. */
export function decodeEnvelope(bytes: Uint8Array, payloadType: PayloadType): Envelope {
  const json = parseCanonicalJson(bytes);
  const { payload, payloadType: type, signatures, ...rest } = record(json);
  if (type !== PAYLOAD_TYPES[payloadType] || typeof payload !== 'string' || !Array.isArray(signatures) || Object.keys(rest).length > 0)
    throw invalid();
  if (signatures.length > MAX_SIGNATURES)
    throw new LineproofError('LIMIT_EXCEEDED', `cannot read DSSE envelope: it has more than ${MAX_SIGNATURES} signatures`);
  return { payloadType, payload: fromBase64(payload), signatures: signatures.map(decodeSignature) };
}

function decodeSignature(json: unknown): EnvelopeSignature {
  const { keyid, sig, ...rest } = record(json);
  if (typeof keyid !== 'string' || typeof sig !== 'string' || Object.keys(rest).length > 0) throw invalid();
  checkKeyId(keyid);
  return { keyid, sig: fromBase64(sig) };
}

/** Also of a signature that nobody will verify: all readers refuse the same envelopes. */
function checkKeyId(keyid: string): void {
  const name = /^([^+]+)\+[0-9a-f]{8}$/.exec(keyid)?.[1];
  if (name === undefined) throw invalid();
  try {
    checkKeyName(name);
  } catch (cause) {
    throw new LineproofError('FORMAT_INVALID', 'cannot read DSSE envelope: a signature names no key', {}, cause);
  }
}

function record(json: unknown): Record<string, unknown> {
  if (typeof json !== 'object' || json === null) throw invalid();
  return json as Record<string, unknown>;
}

function invalid(): LineproofError {
  return new LineproofError('FORMAT_INVALID', 'cannot read DSSE envelope: it is not of the expected type and form');
}

/** Signs `payload` with every signer, in order. */
export async function signEnvelope(payloadType: PayloadType, payload: Uint8Array, signers: readonly Signer[]): Promise<Envelope> {
  const message = preAuthentication(payloadType, payload);
  const signatures: EnvelopeSignature[] = [];
  for (const signer of signers) signatures.push({ keyid: envelopeKeyId(signer.name, signer.keyId), sig: await signer.sign(message) });
  return { payloadType, payload, signatures };
}

/** The payload of an envelope that at least one of `keys` must have signed; throws SIGNATURE_INVALID if none did, else as {@link envelopeSigners} and {@link decodeEnvelope} do. */
export function openEnvelope(bytes: Uint8Array, type: PayloadType, keys: readonly VerifierKey[]): Uint8Array {
  const envelope = decodeEnvelope(bytes, type);
  if (envelopeSigners(envelope, keys).length === 0)
    throw new LineproofError('SIGNATURE_INVALID', 'cannot accept envelope: none of the expected keys signed it');
  return envelope.payload;
}

/**
 * Those of `keys` that signed the envelope, possibly none; the caller judges whether they are enough. A wrong signature by one of `keys`,
 * or a second one by the same key, throws SIGNATURE_INVALID. Signatures by other keys are not looked at.
 */
export function envelopeSigners(envelope: Envelope, keys: readonly VerifierKey[]): VerifierKey[] {
  const message = preAuthentication(envelope.payloadType, envelope.payload);
  const signed = new Map<string, VerifierKey>();
  for (const { keyid, sig } of envelope.signatures) {
    const key = keys.find(({ name, id }) => envelopeKeyId(name, id) === keyid);
    if (key === undefined) continue;
    if (signed.has(key.text)) throw new LineproofError('SIGNATURE_INVALID', `cannot accept envelope: ${keyid} signs twice`);
    if (!verifySignature(importKey(key), message, sig))
      throw new LineproofError('SIGNATURE_INVALID', `cannot accept envelope: the signature of ${keyid} is wrong`);
    signed.set(key.text, key);
  }
  return [...signed.values()];
}
