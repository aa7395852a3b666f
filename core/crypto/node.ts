import {
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  randomBytes as nodeRandomBytes,
  hash as oneShotHash,
  sign,
  verify,
} from 'node:crypto';
import { LineproofError } from '../base/errors.ts';
import { isCanonicalPoint, isSmallOrderPoint } from './point-encoding.ts';

/** A public key, imported once: the import costs more than a verification. */
export interface PublicKey {
  /** 32 bytes. */
  readonly raw: Uint8Array;
}

/** Hash functions that certificates and time stamps of others may use. SHA-1 is not among them: two texts with one SHA-1 can be made. */
export type Sha2 = 'sha256' | 'sha384' | 'sha512';

/** How a certificate or a time stamp is signed. `rsa` is PKCS #1 v1.5; a signature of `ecdsa` is DER. */
export interface SignatureScheme {
  readonly kind: 'rsa' | 'ecdsa' | 'ed25519';
  readonly hash: Sha2;
}

/** A private key in memory. */
export interface PrivateKey {
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
}

/** The DER bytes before a raw Ed25519 public key (RFC 8410 §4) and private seed (§7). */
const SPKI = Buffer.from('302a300506032b6570032100', 'hex');
const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex');

const keyObjects = new WeakMap<PublicKey | PrivateKey, KeyObject>();
const { latin1Write } = Buffer.prototype as unknown as {
  readonly latin1Write: (this: Uint8Array, text: string, at: number, length: number) => number;
};
// A latin1 string carries the digest: a returned Buffer costs more than the hash itself.
const latin1Digest = (data: Uint8Array): string => oneShotHash('sha256', data, 'latin1' as 'binary');

/** SHA-256 of `data` in a new array. The bytes are written by JavaScript: a native call would move the small array out of the heap and take twice as long. */
export function sha256(data: Uint8Array): Uint8Array {
  const text = latin1Digest(data);
  const digest = new Uint8Array(32);
  for (let i = 0; i < 32; i++) digest[i] = text.charCodeAt(i);
  return digest;
}

/** SHA-256 of `data`, written to `out` at `at`. */
export function sha256Into(data: Uint8Array, out: Uint8Array, at: number): void {
  latin1Write.call(out, latin1Digest(data), at, 32);
}

/** A SHA-256 over bytes that come in pieces. */
export interface Sha256Stream {
  update(data: Uint8Array): void;
  /** The hash; the stream cannot be used afterwards. */
  digest(): Uint8Array;
}

/** Starts a hash over pieces. */
export function sha256Stream(): Sha256Stream {
  const stream = createHash('sha256');
  return { update: (data) => void stream.update(data), digest: () => new Uint8Array(stream.digest()) };
}

/** SHA-256, SHA-384 or SHA-512 of `data`: what certificates and time stamps of others may use. */
export function sha2(name: Sha2, data: Uint8Array): Uint8Array {
  return new Uint8Array(createHash(name).update(data).digest());
}

/** HMAC-SHA256 (RFC 2104) in a new array of 32 bytes. */
export function hmacSha256(key: Uint8Array, data: Uint8Array): Uint8Array {
  return new Uint8Array(createHmac('sha256', key).update(data).digest());
}

/** `length` bytes from the system's generator. */
export function randomBytes(length: number): Uint8Array {
  return new Uint8Array(nodeRandomBytes(length));
}

/** Imports 32 raw bytes. A key that is not a canonical point, or has small order, verifies nothing. Throws KEY_INVALID on another length. */
export function importPublicKey(raw: Uint8Array): PublicKey {
  if (raw.length !== 32) throw new LineproofError('KEY_INVALID', `cannot import public key: ${raw.length} bytes instead of 32`);
  const key: PublicKey = { raw: raw.slice() };
  if (isCanonicalPoint(raw) && !isSmallOrderPoint(raw))
    keyObjects.set(key, createPublicKey({ key: Buffer.concat([SPKI, raw]), format: 'der', type: 'spki' }));
  return key;
}

/** Ed25519 as docs/formats.md §4 fixes it: OpenSSL wants S < L and compares R byte for byte, and some of its versions refuse R of small order. Never throws. */
export function verifyEd25519(key: PublicKey, message: Uint8Array, signature: Uint8Array): boolean {
  const object = keyObjects.get(key);
  if (object === undefined || signature.length !== 64 || isSmallOrderPoint(signature)) return false;
  try {
    return verify(null, message, object, signature);
  } catch {
    return false;
  }
}

/** Imports a 32-byte seed (RFC 8032 §5.1.5). Throws KEY_INVALID on another length. */
export function importPrivateKey(seed: Uint8Array): PrivateKey {
  if (seed.length !== 32) throw new LineproofError('KEY_INVALID', 'cannot import private key: the seed is not 32 bytes');
  const object = createPrivateKey({ key: Buffer.concat([PKCS8, seed]), format: 'der', type: 'pkcs8' });
  const key: PrivateKey = { publicKey: new Uint8Array(createPublicKey(object).export({ format: 'der', type: 'spki' }).subarray(-32)) };
  keyObjects.set(key, object);
  return key;
}

/** Ed25519 signature, 64 bytes, deterministic. */
export function signEd25519(key: PrivateKey, message: Uint8Array): Uint8Array {
  const object = keyObjects.get(key);
  if (object === undefined) throw new LineproofError('INTERNAL', 'cannot sign: the key was not imported here');
  return new Uint8Array(sign(null, message, object));
}

const KEY_KINDS: Readonly<Record<SignatureScheme['kind'], string>> = { rsa: 'rsa', ecdsa: 'ec', ed25519: 'ed25519' };
/** Shorter keys can be factored by those who can pay for it. */
const RSA_BITS = 2048;

/**
 * Whether the key of a certificate (SubjectPublicKeyInfo, DER) signed `message`. False for a key of another kind, an RSA key below 2,048 bits, and anything
 * that cannot be read. Undefined where this runtime does not have the algorithm. Never throws.
 */
export function verifyForeignSignature(
  spki: Uint8Array,
  { kind, hash }: SignatureScheme,
  message: Uint8Array,
  signature: Uint8Array,
): boolean | undefined {
  try {
    const key = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' });
    if (key.asymmetricKeyType !== KEY_KINDS[kind]) return false;
    if (kind === 'rsa' && (key.asymmetricKeyDetails?.modulusLength ?? 0) < RSA_BITS) return false;
    return verify(kind === 'ed25519' ? null : hash, message, key, signature);
  } catch {
    return false;
  }
}
