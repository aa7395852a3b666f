import { LineproofError } from '../base/errors.ts';

/** Levels of records, arrays and unions that a schema may nest. */
export const MAX_DEPTH = 32;

// Only one value is read or written at a time, and no function here is asynchronous. So the position can be kept in the module, and a walk allocates nothing.
let input: Uint8Array = new Uint8Array(0);
let at = 0;
let arena = new Uint8Array(64 * 1024);
let length = 0;
const POOL_BYTES = 16 * 1024;
let pool = new Uint8Array(POOL_BYTES);
let pooled = 0;

/** The longest text, in bytes, that is read here and not by the decoder; also the longest byte string that is copied by a loop. */
const SHORT_TEXT = 32;
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

/** Starts reading `bytes` at `offset`. */
export function openInput(bytes: Uint8Array, offset = 0): void {
  input = bytes;
  at = offset;
}

/** Offset of the next byte to be read. */
export function inputAt(): number {
  return at;
}

/** Refuses bytes after the value. */
export function closeInput(): void {
  if (at !== input.length) refuse(`${input.length - at} bytes follow the value`);
}

/** Starts writing a value. */
export function openOutput(): void {
  length = 0;
}

/** The written bytes, which are never overwritten. Short values share one piece of memory, as an allocation costs more than the copy. */
export function closeOutput(): Uint8Array {
  if (length > POOL_BYTES / 8) return arena.slice(0, length);
  if (pooled + length > POOL_BYTES) {
    pool = new Uint8Array(POOL_BYTES);
    pooled = 0;
  }
  const value = pool.subarray(pooled, pooled + length);
  value.set(arena.subarray(0, length));
  pooled += length;
  return value;
}

export function refuse(fact: string): never {
  throw new LineproofError('AVRO_INVALID', `cannot decode Avro value at byte ${at}: ${fact}`, { at });
}

export function refuseValue(place: string, fact: string): never {
  throw new LineproofError('AVRO_INVALID', `cannot encode ${place}: ${fact}`, { place });
}

/** A shortest zigzag varint within ±(2^53 − 1). */
export function readLong(): number {
  const byte = input[at] as number;
  if (!(byte < 0x80)) return readLongerLong();
  at++;
  return (byte >> 1) ^ -(byte & 1);
}

function readLongerLong(): number {
  const first = nextByte();
  let magnitude = (first & 0x7f) >> 1;
  let scale = 64;
  for (let byte = first; byte >= 0x80; scale *= 128) {
    byte = nextByte();
    if (byte === 0) refuse('a number is not written in its shortest form');
    magnitude += (byte & 0x7f) * scale;
    if (magnitude > Number.MAX_SAFE_INTEGER || scale > 2 ** 53) refuse('a number is beyond ±(2^53 − 1)');
  }
  if ((first & 1) === 0) return magnitude;
  if (magnitude === Number.MAX_SAFE_INTEGER) refuse('a number is beyond ±(2^53 − 1)');
  return -magnitude - 1;
}

export function readInt(): number {
  const value = readLong();
  if ((value | 0) !== value) refuse('an int has more than 32 bits');
  return value;
}

export function readBoolean(): boolean {
  const byte = nextByte();
  if (byte > 1) refuse('a boolean is neither 0 nor 1');
  return byte === 1;
}

/** An enum's or union's index below `count`. */
export function readIndex(count: number): number {
  const index = readLong();
  if (index < 0 || index >= count) refuse('an index is out of range');
  return index;
}

/** The number of items of an array, checked against the bytes that are left before anything is allocated. */
export function readCount(minBytes: number): number {
  const count = readLong();
  if (count < 0 || count * minBytes > input.length - at) refuse('an array has an impossible size');
  return count;
}

export function readArrayEnd(): void {
  if (nextByte() !== 0) refuse('an array has more than one block');
}

export function skip(count: number): void {
  if (count < 0 || count > input.length - at) refuse('a size is beyond the end');
  at += count;
}

export function readSlice(count: number): Uint8Array {
  const start = at;
  skip(count);
  return input.subarray(start, at);
}

/** Walks over a string and checks that it is valid UTF-8. Its bytes start at the returned offset and end at {@link inputAt}. */
export function walkString(): number {
  const count = readLong();
  const start = at;
  skip(count);
  if (!isAscii(start)) checkUtf8(start, at);
  return start;
}

/** Order of two ranges of the input, with the sign of `compare`. */
export function compareInput(a: number, aEnd: number, b: number, bEnd: number): number {
  const shared = Math.min(aEnd - a, bEnd - b);
  for (let i = 0; i < shared; i++) {
    const difference = (input[a + i] as number) - (input[b + i] as number);
    if (difference !== 0) return difference;
  }
  return aEnd - a - (bEnd - b);
}

export function readString(): string {
  const count = readLong();
  const start = at;
  skip(count);
  return count > SHORT_TEXT || !isAscii(start) ? longText(start) : asciiText(start);
}

/** Whether the bytes from `start` up to the cursor are ASCII. */
function isAscii(start: number): boolean {
  const end = at;
  let bits = 0;
  let i = start;
  for (; i + 4 <= end; i += 4) bits |= unit(i) | unit(i + 1) | unit(i + 2) | unit(i + 3);
  for (; i < end; i++) bits |= unit(i);
  return bits < 0x80;
}

/** Four characters at a time: for short text twice as fast as the decoder, whose call alone costs 0.2 µs. */
function asciiText(start: number): string {
  const end = at;
  let text = '';
  let i = start;
  for (; i + 4 <= end; i += 4) text += String.fromCharCode(unit(i), unit(i + 1), unit(i + 2), unit(i + 3));
  for (; i < end; i++) text += String.fromCharCode(unit(i));
  return text;
}

function unit(offset: number): number {
  return input[offset] as number;
}

function longText(start: number): string {
  try {
    return decoder.decode(input.subarray(start, at));
  } catch {
    return refuse('a string is not valid UTF-8');
  }
}

function nextByte(): number {
  const byte = input[at];
  if (byte === undefined) refuse('it is cut short');
  at++;
  return byte;
}

function checkUtf8(start: number, end: number): void {
  let i = start;
  while (i < end) {
    const lead = input[i++] as number;
    if (lead < 0x80) continue;
    const more = lead >= 0xc2 && lead < 0xe0 ? 1 : lead >= 0xe0 && lead < 0xf0 ? 2 : lead >= 0xf0 && lead < 0xf5 ? 3 : 0;
    if (more === 0 || i + more > end) refuse('a string is not valid UTF-8');
    const second = input[i] as number;
    const low = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
    const high = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
    if (second < low || second > high) refuse('a string is not valid UTF-8');
    for (let k = 1; k < more; k++) if (((input[i + k] as number) & 0xc0) !== 0x80) refuse('a string is not valid UTF-8');
    i += more;
  }
}

/** Makes room for `count` more bytes. */
function reserve(count: number): void {
  if (length + count <= arena.length) return;
  const larger = new Uint8Array(Math.max(2 * arena.length, length + count));
  larger.set(arena.subarray(0, length));
  arena = larger;
}

/** Writes a number that the caller has found to be a safe integer. */
export function writeLong(value: number): void {
  reserve(8);
  if ((value | 0) !== value) {
    writeLongerLong(value);
    return;
  }
  let rest = ((value << 1) ^ (value >> 31)) >>> 0;
  for (; rest >= 0x80; rest >>>= 7) arena[length++] = rest | 0x80;
  arena[length++] = rest;
}

function writeLongerLong(value: number): void {
  const negative = value < 0;
  let rest = negative ? -(value + 1) : value;
  let byte = ((rest % 64) << 1) | (negative ? 1 : 0);
  rest = Math.floor(rest / 64);
  while (rest > 0) {
    arena[length++] = byte | 0x80;
    byte = rest % 128;
    rest = Math.floor(rest / 128);
  }
  arena[length++] = byte;
}

export function writeSlice(bytes: Uint8Array): void {
  const count = bytes.length;
  reserve(count);
  const out = arena;
  // For a digest or an id, the loop is faster than a call of `set`.
  if (count > SHORT_TEXT) out.set(bytes, length);
  else for (let i = 0; i < count; i++) out[length + i] = bytes[i] as number;
  length += count;
}

/** Writes the text as if it were ASCII, and starts over if it is not. */
export function writeString(text: string, place: string): void {
  const start = length;
  const units = text.length;
  writeLong(units);
  reserve(units);
  const out = arena;
  const from = length;
  for (let i = 0; i < units; i++) {
    const code = text.charCodeAt(i);
    if (code >= 0x80) {
      rewriteString(text, place, start);
      return;
    }
    out[from + i] = code;
  }
  length += units;
}

function rewriteString(text: string, place: string, start: number): void {
  const size = utf8Length(text, place);
  length = start;
  writeLong(size);
  reserve(size);
  encoder.encodeInto(text, arena.subarray(length, length + size));
  length += size;
}

function utf8Length(text: string, place: string): number {
  let size = text.length;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x80) continue;
    size += code < 0x800 ? 1 : 2;
    if (code < 0xd800 || code > 0xdfff) continue;
    const next = text.charCodeAt(i + 1);
    if (code > 0xdbff || !(next >= 0xdc00 && next <= 0xdfff)) refuseValue(place, 'it holds half of a surrogate pair');
    i++;
  }
  return size;
}
