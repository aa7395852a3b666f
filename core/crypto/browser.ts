import { etc, getPublicKey, hashes, Point, sign } from '@noble/ed25519';
import { hmac } from '@noble/hashes/hmac.js';
import { sha256 as nobleSha256, sha384, sha512 } from '@noble/hashes/sha2.js';
import { concat, equal } from '../base/bytes.ts';
import { LineproofError } from '../base/errors.ts';
import { isSmallOrderPoint } from './point-encoding.ts';

/** A public key, decoded once. */
export interface PublicKey {
  /** 32 bytes. */
  readonly raw: Uint8Array;
}

export type Sha2 = 'sha256' | 'sha384' | 'sha512';

/** As in node.ts. */
export interface SignatureScheme {
  readonly kind: 'rsa' | 'ecdsa' | 'ed25519';
  readonly hash: Sha2;
}

/** A private key in memory. */
export interface PrivateKey {
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
}

hashes.sha512 = sha512;

/** Order of the base point. */
const L = Point.CURVE().n;
const points = new WeakMap<PublicKey, Point>();
const seeds = new WeakMap<PrivateKey, Uint8Array>();

/** SHA-256 of `data` in a new array. */
export function sha256(data: Uint8Array): Uint8Array {
  return nobleSha256(data);
}

/** SHA-256 of `data`, written to `out` at `at`. */
export function sha256Into(data: Uint8Array, out: Uint8Array, at: number): void {
  out.set(nobleSha256(data), at);
}

/** A SHA-256 over bytes that come in pieces. */
export interface Sha256Stream {
  update(data: Uint8Array): void;
  /** The hash; the stream cannot be used afterwards. */
  digest(): Uint8Array;
}

/** Starts a hash over pieces. */
export function sha256Stream(): Sha256Stream {
  const stream = nobleSha256.create();
  return { update: (data) => void stream.update(data), digest: () => stream.digest() };
}

/** SHA-256, SHA-384 or SHA-512 of `data`. */
export function sha2(name: Sha2, data: Uint8Array): Uint8Array {
  return { sha256: nobleSha256, sha384, sha512 }[name](data);
}

/** HMAC-SHA256 (RFC 2104) in a new array of 32 bytes. */
export function hmacSha256(key: Uint8Array, data: Uint8Array): Uint8Array {
  return hmac(nobleSha256, key, data);
}

/** `length` bytes from the system's generator. */
export function randomBytes(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  // Web Crypto gives at most 65,536 bytes to a call.
  for (let at = 0; at < length; at += 65_536) bytes.set(etc.randomBytes(Math.min(65_536, length - at)), at);
  return bytes;
}

/** Imports 32 raw bytes. A key that is not a canonical point, or has small order, verifies nothing. Throws KEY_INVALID on another length. */
export function importPublicKey(raw: Uint8Array): PublicKey {
  if (raw.length !== 32) throw new LineproofError('KEY_INVALID', `cannot import public key: ${raw.length} bytes instead of 32`);
  const key: PublicKey = { raw: raw.slice() };
  if (isSmallOrderPoint(raw)) return key;
  try {
    points.set(key, Point.fromBytes(key.raw, false));
  } catch {
    // The key stays without a point and verifies nothing. The import does not throw, as in node.ts.
  }
  return key;
}

/**
 * Ed25519 as docs/formats.md §4 fixes it. Noble's own `verify` multiplies by the cofactor, and so takes signatures that others refuse;
 * here encode(S·B − k·A) must be R, byte for byte, and R not of small order. Never throws.
 */
export function verifyEd25519(key: PublicKey, message: Uint8Array, signature: Uint8Array): boolean {
  const point = points.get(key);
  if (point === undefined || signature.length !== 64 || isSmallOrderPoint(signature)) return false;
  const encodedR = signature.subarray(0, 32);
  const s = littleEndian(signature.subarray(32));
  if (s >= L) return false;
  const k = littleEndian(sha512(concat(encodedR, key.raw, message))) % L;
  return equal(Point.BASE.multiply(s, false).subtract(point.multiply(k, false)).toBytes(), encodedR);
}

/** Imports a 32-byte seed (RFC 8032 §5.1.5). Throws KEY_INVALID on another length. */
export function importPrivateKey(seed: Uint8Array): PrivateKey {
  if (seed.length !== 32) throw new LineproofError('KEY_INVALID', 'cannot import private key: the seed is not 32 bytes');
  const key: PrivateKey = { publicKey: getPublicKey(seed) };
  seeds.set(key, seed.slice());
  return key;
}

/** Ed25519 signature, 64 bytes, deterministic. */
export function signEd25519(key: PrivateKey, message: Uint8Array): Uint8Array {
  const seed = seeds.get(key);
  if (seed === undefined) throw new LineproofError('INTERNAL', 'cannot sign: the key was not imported here');
  return sign(message, seed);
}

function littleEndian(bytes: Uint8Array): bigint {
  return BigInt(`0x${etc.bytesToHex(bytes.toReversed())}`);
}

/** Undefined: browsers verify RSA and ECDSA by calls that answer later, and noble's curves are not loaded here. So time stamps are NOT CHECKED in a browser. */
export function verifyForeignSignature(
  _spki: Uint8Array,
  _scheme: SignatureScheme,
  _message: Uint8Array,
  _signature: Uint8Array,
): boolean | undefined {
  return undefined;
}
