import { sha256 } from '#crypto';
import { LineproofError } from '../core/base/errors.ts';

const HASH_BYTES = 32;
const ENTRY_BYTES = 2 * HASH_BYTES + 8;

/** Topics of the baseline. */
export const NAIVE_TOPICS = { events: 'naive.events', chain: 'naive.chain' } as const;
/** The `previous` of the first entry of a chain. */
export const NAIVE_START: Uint8Array = new Uint8Array(HASH_BYTES);
export const SIGNATURE_HEADER = 'signature';

/** One entry of the baseline's hash chain: `previous entry's hash ‖ event's hash ‖ offset of the event`. */
export interface NaiveEntry {
  readonly previous: Uint8Array;
  readonly digest: Uint8Array;
  readonly offset: number;
}

/** The bytes of an entry. The next entry begins with their SHA-256. */
export function encodeNaiveEntry({ previous, digest, offset }: NaiveEntry): Buffer {
  const bytes = Buffer.allocUnsafe(ENTRY_BYTES);
  bytes.set(previous, 0);
  bytes.set(digest, HASH_BYTES);
  bytes.writeBigUInt64BE(BigInt(offset), 2 * HASH_BYTES);
  return bytes;
}

export function decodeNaiveEntry(bytes: Uint8Array): NaiveEntry {
  if (bytes.length !== ENTRY_BYTES) throw new LineproofError('FORMAT_INVALID', `cannot read entry: ${bytes.length} bytes`);
  const offset = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(2 * HASH_BYTES));
  return { previous: bytes.subarray(0, HASH_BYTES), digest: bytes.subarray(HASH_BYTES, 2 * HASH_BYTES), offset };
}

export function hashNaiveEntry(bytes: Uint8Array): Uint8Array {
  return sha256(bytes);
}
