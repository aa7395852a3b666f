import { fromHex } from '../core/base/bytes.ts';
import { quotedText } from '../core/base/quoted-text.ts';
import type { DataRef } from '../core/formats/event.ts';
import { anyText, fieldsOf, nature, refuse, text } from './field-check.ts';

/** Bytes of the digests of known algorithms. A digest of another algorithm can have any length. */
export const DIGEST_BYTES: ReadonlyMap<string, number> = new Map([
  ['md5', 16],
  ['sha1', 20],
  ['sha224', 28],
  ['sha256', 32],
  ['sha384', 48],
  ['sha512', 64],
  ['sha512-224', 28],
  ['sha512-256', 32],
  ['sha3-224', 28],
  ['sha3-256', 32],
  ['sha3-384', 48],
  ['sha3-512', 64],
  ['blake2b-256', 32],
  ['blake2b-512', 64],
  ['blake2s-256', 32],
]);
const HMAC = 'hmac-';
const SPELLINGS: ReadonlyMap<string, string> = new Map([...DIGEST_BYTES.keys()].map((name) => [squeezed(name), name]));
const FIELDS: ReadonlySet<string> = new Set(['algorithm', 'value']);

/** The digest of data, from hex of a SHA-256 or from an algorithm and a value. */
export function digestOf(digest: unknown): NonNullable<DataRef['digest']> {
  if (typeof digest === 'string') {
    const value = bytesOf(digest, '');
    if (value.length !== 32)
      refuse('', `has ${value.length} bytes, but plain hex must be a SHA-256 of 32 bytes; name the algorithm of any other`);
    return { algorithm: 'sha256', value };
  }
  const given = fieldsOf(digest, FIELDS, 'a digest');
  const algorithm = algorithmOf(text(given['algorithm'], 'algorithm'));
  const value = bytesOf(given['value'], 'value');
  const known = DIGEST_BYTES.get(baseOf(algorithm));
  if (known !== undefined && value.length !== known)
    refuse('value', `has ${value.length} bytes, but a digest by ${algorithm} has ${known}`);
  if (value.length === 0) refuse('value', 'is empty; leave the digest out if there is none');
  return { algorithm, value };
}

/** Bytes, or their hex; exactly `length` where that is given. */
export function bytesOf(value: unknown, name: string, length?: number): Uint8Array {
  const bytes = isBytes(value) ? value : hexBytes(value, name);
  if (length !== undefined && bytes.length !== length) refuse(name, `has ${bytes.length} bytes; give ${length}`);
  return bytes;
}

function hexBytes(value: unknown, name: string): Uint8Array {
  if (typeof value !== 'string') refuse(name, `${nature(value)}; give lower-case hexadecimal, or a Uint8Array`);
  try {
    return fromHex(anyText(value, name));
  } catch {
    return refuse(name, 'is not hexadecimal: give pairs of the digits 0-9 and a-f, in lower case');
  }
}

/** Whether a value is a Uint8Array, also of another realm. */
function isBytes(value: unknown): value is Uint8Array {
  return ArrayBuffer.isView(value) && /^\[object Uint8Array\]$/.test(Object.prototype.toString.call(value));
}

/** One algorithm has one name: readers compare names to compare digests. */
function algorithmOf(name: string): string {
  const isKeyed = squeezed(name).startsWith('hmac');
  const base = SPELLINGS.get(squeezed(name).slice(isKeyed ? HMAC.length - 1 : 0));
  const spelled = base === undefined ? undefined : `${isKeyed ? HMAC : ''}${base}`;
  if (spelled !== undefined && spelled !== name) refuse('algorithm', `is ${quotedText(name)}; write ${spelled}`);
  if (!/^[a-z0-9][a-z0-9._/+-]{0,63}$/.test(name)) refuse('algorithm', `is ${quotedText(name)}; give a name in lower case, such as sha256`);
  return name;
}

function baseOf(algorithm: string): string {
  return algorithm.startsWith(HMAC) ? algorithm.slice(HMAC.length) : algorithm;
}

function squeezed(name: string): string {
  return name.toLowerCase().replaceAll(/[^a-z0-9]/g, '');
}
