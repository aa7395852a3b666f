import { getPublicKey, hashes, Point, sign } from '@noble/ed25519';
import { hmac } from '@noble/hashes/hmac.js';
import { sha256 as sha256Of, sha512 } from '@noble/hashes/sha2.js';
import { concat, equal } from '../bytes.ts';
import { LineproofError } from '../errors.ts';
import { hasIdentityR } from './identity-point.ts';

// What node.ts exports, without Node: for pages that verify. One suite holds both to the same answers.

hashes.sha512 = sha512;

/** A public key. */
export interface PublicKey {
  /** 32 bytes. */
  readonly raw: Uint8Array;
}

/** A private key in memory. */
export interface PrivateKey {
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
}

const points = new WeakMap<PublicKey, Point | undefined>();
const seeds = new WeakMap<PrivateKey, Uint8Array>();
/** Order of the base point (RFC 8032 §5.1). */
const { n: ORDER } = Point.CURVE();

/** SHA-256 of `data` in a new array. */
export function sha256(data: Uint8Array): Uint8Array {
  return sha256Of(data);
}

/** SHA-256 of `data`, written to `out` at `at`. */
export function sha256Into(data: Uint8Array, out: Uint8Array, at: number): void {
  out.set(sha256Of(data), at);
}

/** A SHA-256 over bytes that come in pieces. */
export interface Sha256Stream {
  update(data: Uint8Array): void;
  /** The hash; the stream is used up. */
  digest(): Uint8Array;
}

/** Starts a hash over pieces. */
export function sha256Stream(): Sha256Stream {
  const stream = sha256Of.create();
  return { update: (data) => void stream.update(data), digest: () => stream.digest() };
}

/** HMAC-SHA256 (RFC 2104) in a new array of 32 bytes. */
export function hmacSha256(key: Uint8Array, data: Uint8Array): Uint8Array {
  return hmac(sha256Of, key, data);
}

/** `length` bytes from the browser's generator. */
export function randomBytes(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  // The generator gives 65,536 at a time.
  for (let at = 0; at < length; at += 65_536) crypto.getRandomValues(bytes.subarray(at, at + 65_536));
  return bytes;
}

/** Imports 32 raw bytes. Says nothing about the point: `checkPublicKey` does, when a key is registered. Throws KEY_INVALID on another length. */
export function importPublicKey(raw: Uint8Array): PublicKey {
  if (raw.length !== 32) throw new LineproofError('KEY_INVALID', `cannot import public key: ${raw.length} bytes instead of 32`);
  const key: PublicKey = { raw: raw.slice() };
  points.set(key, pointOf(key.raw));
  return key;
}

/** Only canonical encodings: no other key is ever registered. */
function pointOf(raw: Uint8Array): Point | undefined {
  try {
    return Point.fromBytes(raw, false);
  } catch {
    return undefined;
  }
}

/**
 * Ed25519 as docs/formats.md §4 fixes it: S < L, R not the identity, and encode(S·B − k·A) equals R byte for byte. Never throws.
 * Written out because the library's own `verify` multiplies by the cofactor and so takes an R with torsion.
 */
export function verifyEd25519(key: PublicKey, message: Uint8Array, signature: Uint8Array): boolean {
  const point = points.get(key);
  if (point === undefined || signature.length !== 64 || hasIdentityR(signature)) return false;
  const r = signature.subarray(0, 32);
  const s = littleEndian(signature.subarray(32));
  if (s >= ORDER) return false;
  const k = littleEndian(sha512(concat(r, key.raw, message))) % ORDER;
  return equal(Point.BASE.multiply(s, false).subtract(point.multiply(k, false)).toBytes(), r);
}

function littleEndian(bytes: Uint8Array): bigint {
  let value = 0n;
  for (let i = bytes.length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i] as number);
  return value;
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
