import { importPrivateKey, sha256, signEd25519 } from '#crypto';
import { concat, fromBase64, fromHex, toBase64, toHex, utf8 } from '../base/bytes.ts';
import { LineproofError } from '../base/errors.ts';
import { LIMITS } from '../base/limits.ts';
import type { Signer } from '../ports/signer.ts';
import { checkKeyMaterial, KEY_TYPE } from './signature.ts';

/** A public key with its name, as policies and pins spell it. */
export interface VerifierKey {
  readonly name: string;
  /** `H(name ‖ 0x0A ‖ type ‖ publicKey)[:4]`. */
  readonly id: Uint8Array;
  readonly type: number;
  /** Raw public key; 32 bytes for Ed25519. */
  readonly publicKey: Uint8Array;
  /** `name+hex(id)+base64(type ‖ publicKey)`. */
  readonly text: string;
}

function invalid(reason: string): LineproofError {
  return new LineproofError('KEY_INVALID', `cannot use key: ${reason}`);
}

/** Refuses a key name that is empty, longer than 255 bytes, or has white space, control characters or `+` in it; throws KEY_INVALID. */
export function checkKeyName(name: string): void {
  const bad = name === '' || utf8(name).length > LIMITS.nameBytes || /[\p{White_Space}+\p{Cc}\p{Surrogate}]/u.test(name);
  if (bad) throw invalid('a key name is 1 to 255 bytes without spaces, control characters and +');
}

export function keyId(name: string, type: number, publicKey: Uint8Array): Uint8Array {
  return sha256(concat(utf8(name), Uint8Array.of(0x0a, type), publicKey)).slice(0, 4);
}

export function formatVerifierKey(name: string, type: number, publicKey: Uint8Array): string {
  return `${name}+${toHex(keyId(name, type, publicKey))}+${toBase64(concat(Uint8Array.of(type), publicKey))}`;
}

/** Reads a verifier key; throws KEY_INVALID unless it is spelled as {@link formatVerifierKey} spells it and holds a usable public key. */
export function parseVerifierKey(text: string): VerifierKey {
  const [name, id, material] = splitKey(text);
  const bytes = decodeMaterial(material);
  const type = bytes[0] as number;
  const publicKey = bytes.slice(1);
  const key: VerifierKey = { name, id: keyId(name, type, publicKey), type, publicKey, text };
  if (toHex(key.id) !== id) throw invalid('its id does not belong to its name and public key');
  checkKeyMaterial(key);
  return key;
}

/** A key's name, id and material: base64 may hold `+`, so only the first two split. */
function splitKey(text: string): [string, string, string] {
  const first = text.indexOf('+');
  const second = text.indexOf('+', first + 1);
  if (first < 0 || second < 0) throw invalid('it is not of the form name+id+base64');
  const name = text.slice(0, first);
  checkKeyName(name);
  return [name, text.slice(first + 1, second), text.slice(second + 1)];
}

function decodeMaterial(text: string): Uint8Array {
  let bytes: Uint8Array;
  try {
    bytes = fromBase64(text);
  } catch {
    throw invalid('its material is not canonical base64');
  }
  if (bytes.length < 2 || bytes.length > 8192) throw invalid('its material has a wrong length');
  return bytes;
}

const PRIVATE = 'PRIVATE+KEY+';

/** A private key as Go's note package writes it: `PRIVATE+KEY+name+id+base64(type ‖ seed)`. A secret. */
export function formatPrivateKey(name: string, seed: Uint8Array): string {
  checkKeyName(name);
  const { publicKey } = importPrivateKey(seed);
  return `${PRIVATE}${name}+${toHex(keyId(name, KEY_TYPE.ed25519, publicKey))}+${toBase64(concat(Uint8Array.of(KEY_TYPE.ed25519), seed))}`;
}

/** Reads the text that {@link formatPrivateKey} writes. Errors never repeat the text. */
export function parsePrivateKey(text: string): { readonly name: string; readonly id: Uint8Array; readonly seed: Uint8Array } {
  if (!text.startsWith(PRIVATE)) throw invalid('it is not a private key (PRIVATE+KEY+…)');
  const [name, id, material] = splitKey(text.slice(PRIVATE.length));
  const bytes = decodeMaterial(material);
  if (bytes[0] !== KEY_TYPE.ed25519 || bytes.length !== 33) throw invalid('it is not an Ed25519 private key');
  const seed = bytes.slice(1);
  if (toHex(keyId(name, KEY_TYPE.ed25519, importPrivateKey(seed).publicKey)) !== id)
    throw invalid('its id does not belong to its name and seed');
  return { name, id: fromHex(id), seed };
}

/** A signer whose secret is in memory. */
export function keySigner(name: string, seed: Uint8Array): Signer {
  const key = importPrivateKey(seed);
  const verifierKey = formatVerifierKey(name, KEY_TYPE.ed25519, key.publicKey);
  return { name, keyId: keyId(name, KEY_TYPE.ed25519, key.publicKey), verifierKey, sign: async (message) => signEd25519(key, message) };
}
