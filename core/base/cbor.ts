import { concat, utf8 } from './bytes.ts';

/** The few forms of CBOR (RFC 8949) that Lineproof writes, each in its deterministic encoding (§4.2.1): shortest lengths, no indefinite ones. */
function head(major: number, value: number): Uint8Array {
  const type = major << 5;
  if (value < 24) return Uint8Array.of(type | value);
  if (value < 0x100) return Uint8Array.of(type | 24, value);
  const bytes = new Uint8Array(value < 0x10000 ? 3 : value < 0x100000000 ? 5 : 9);
  const view = new DataView(bytes.buffer);
  if (bytes.length === 3) view.setUint16(1, value);
  else if (bytes.length === 5) view.setUint32(1, value);
  else view.setBigUint64(1, BigInt(value));
  bytes[0] = type | (bytes.length === 3 ? 25 : bytes.length === 5 ? 26 : 27);
  return bytes;
}

export const CBOR_NULL: Uint8Array = Uint8Array.of(0xf6);

/** A whole number within ±(2^53 − 1). */
export function cborInt(value: number): Uint8Array {
  return value < 0 ? head(1, -1 - value) : head(0, value);
}

export function cborBytes(value: Uint8Array): Uint8Array {
  return concat(head(2, value.length), value);
}

export function cborText(value: string): Uint8Array {
  const bytes = utf8(value);
  return concat(head(3, bytes.length), bytes);
}

/** An array of encoded items. */
export function cborArray(...items: readonly Uint8Array[]): Uint8Array {
  return concat(head(4, items.length), ...items);
}

/** A map of whole numbers to encoded values. The caller gives the keys in the order of their encodings. */
export function cborMap(...entries: readonly (readonly [key: number, value: Uint8Array])[]): Uint8Array {
  return concat(head(5, entries.length), ...entries.flatMap(([key, value]) => [cborInt(key), value]));
}

/** An encoded item under a tag. */
export function cborTag(tag: number, item: Uint8Array): Uint8Array {
  return concat(head(6, tag), item);
}
