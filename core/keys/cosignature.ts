import { concat, utf8 } from '../base/bytes.ts';
import { LineproofError } from '../base/errors.ts';
import type { Signer } from '../ports/signer.ts';
import { keyId, parseVerifierKey, type VerifierKey } from './key.ts';
import { importKey, KEY_TYPE, verifyCosigned } from './signature.ts';

/** A `u64` time and an Ed25519 signature. */
const COSIGNATURE_BYTES = 8 + 64;

/** The bytes that a witness signs: `cosignature/v1`, its time in seconds since 1970, and the note's text (C2SP tlog-cosignature). */
export function cosignatureMessage(time: number, text: string): Uint8Array {
  return utf8(`cosignature/v1\ntime ${time}\n${text}`);
}

/** The time that a cosignature states, in seconds since 1970; undefined for bytes that are not a cosignature. Says nothing about who signed. */
export function cosignatureTime(cosignature: Uint8Array): number | undefined {
  if (cosignature.length !== COSIGNATURE_BYTES) return undefined;
  const time = Number(new DataView(cosignature.buffer, cosignature.byteOffset).getBigUint64(0));
  return Number.isSafeInteger(time) ? time : undefined;
}

/** Whether `key`, a witness's, made the cosignature over the checkpoint `text`. */
export function verifyCosignature(key: VerifierKey, text: string, cosignature: Uint8Array): boolean {
  const time = cosignatureTime(cosignature);
  return time !== undefined && verifyCosigned(importKey(key), cosignatureMessage(time, text), cosignature.subarray(8));
}

/** The signature that a witness with this signer adds to a note: its name, the id of its cosignature key, and the cosignature of `time`, in seconds since 1970. */
export async function cosign(text: string, time: number, signer: Signer): Promise<{ name: string; id: Uint8Array; signature: Uint8Array }> {
  if (!Number.isSafeInteger(time) || time < 0)
    throw new LineproofError('INTERNAL', 'cannot cosign: the time is not a whole number of seconds');
  const seconds = new Uint8Array(8);
  new DataView(seconds.buffer).setBigUint64(0, BigInt(time));
  const { publicKey } = parseVerifierKey(signer.verifierKey);
  const signature = concat(seconds, await signer.sign(cosignatureMessage(time, text)));
  return { name: signer.name, id: keyId(signer.name, KEY_TYPE.cosignature, publicKey), signature };
}
