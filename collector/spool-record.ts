import * as zlib from 'node:zlib';

/** Kinds of records in the spool. */
export const RECORD = { event: 1, batch: 2, acknowledged: 3, state: 4, moved: 5, done: 6 } as const;

/** magic 8 ‖ kind u8 ‖ length u32 ‖ CRC of the 13 bytes before u32 ‖ CRC of the payload u32. */
export const RECORD_HEADER_BYTES = 21;
export const MAGIC_BYTES = 8;
const MAX_PAYLOAD_BYTES = 4 * 1024 * 1024;

export interface SpoolRecord {
  readonly kind: number;
  /** Where the payload starts in its segment. */
  readonly at: number;
  /** A view of the segment's bytes. */
  readonly payload: Uint8Array;
}

/** A stretch that holds no whole record: damaged, or torn off at the end by a crash in the middle of a write. */
export interface Stretch {
  readonly from: number;
  readonly to: number;
  readonly torn: boolean;
}

let table: Uint32Array | undefined;

function tableCrc32(data: Uint8Array): number {
  table ??= Uint32Array.from({ length: 256 }, (_, byte) => {
    let crc = byte;
    for (let i = 0; i < 8; i++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
    return crc;
  });
  let crc = 0xffffffff;
  for (const byte of data) crc = (crc >>> 8) ^ (table[(crc ^ byte) & 0xff] as number);
  return ~crc >>> 0;
}

// `crc32` came with Node 20.15 and 22.2.
const nativeCrc32 = (zlib as { readonly crc32?: (data: Uint8Array) => number }).crc32;
/** CRC-32 as in zlib. */
export const crc32: (data: Uint8Array) => number = nativeCrc32 ?? tableCrc32;
export { tableCrc32 };

/** Writes the header of the record whose payload is at `at + RECORD_HEADER_BYTES` already. */
export function sealRecord(out: Buffer, at: number, kind: number, length: number, magic: Uint8Array): void {
  out.set(magic, at);
  out[at + 8] = kind;
  out.writeUInt32BE(length, at + 9);
  out.writeUInt32BE(crc32(out.subarray(at, at + 13)), at + 13);
  const payload = at + RECORD_HEADER_BYTES;
  out.writeUInt32BE(crc32(out.subarray(payload, payload + length)), at + 17);
}

/**
 * All whole records of a segment, in order, and the stretches between them. The magic is random and part of the segment's name, so that an
 * event cannot hold a record that a search after damage would take for one.
 */
export function readRecords(bytes: Buffer, magic: Uint8Array): { readonly records: SpoolRecord[]; readonly stretches: Stretch[] } {
  const records: SpoolRecord[] = [];
  const stretches: Stretch[] = [];
  for (let at = 0; at < bytes.length; ) {
    const record = recordAt(bytes, at, magic);
    if (record !== undefined) {
      records.push(record);
      at = record.at + record.payload.length;
      continue;
    }
    const next = nextRecord(bytes, at + 1, magic);
    stretches.push({ from: at, to: next ?? bytes.length, torn: next === undefined && isTorn(bytes, at, magic) });
    at = next ?? bytes.length;
  }
  return { records, stretches };
}

function recordAt(bytes: Buffer, at: number, magic: Uint8Array): SpoolRecord | undefined {
  const length = lengthAt(bytes, at, magic);
  const start = at + RECORD_HEADER_BYTES;
  if (length === undefined || start + length > bytes.length) return undefined;
  const payload = bytes.subarray(start, start + length);
  return crc32(payload) === bytes.readUInt32BE(at + 17) ? { kind: bytes[at + 8] as number, at: start, payload } : undefined;
}

/** The length that a whole and right header at `at` states. */
function lengthAt(bytes: Buffer, at: number, magic: Uint8Array): number | undefined {
  if (at + RECORD_HEADER_BYTES > bytes.length || !bytes.subarray(at, at + MAGIC_BYTES).equals(magic)) return undefined;
  if (crc32(bytes.subarray(at, at + 13)) !== bytes.readUInt32BE(at + 13)) return undefined;
  const length = bytes.readUInt32BE(at + 9);
  return length <= MAX_PAYLOAD_BYTES ? length : undefined;
}

function nextRecord(bytes: Buffer, from: number, magic: Uint8Array): number | undefined {
  for (let at = bytes.indexOf(magic, from); at !== -1; at = bytes.indexOf(magic, at + 1))
    if (recordAt(bytes, at, magic) !== undefined) return at;
  return undefined;
}

/** Whether the bytes at `at` are the beginning of one record that the file's end cuts, rather than damage. */
function isTorn(bytes: Buffer, at: number, magic: Uint8Array): boolean {
  const left = bytes.length - at;
  if (!bytes.subarray(at, at + MAGIC_BYTES).equals(magic.subarray(0, Math.min(left, MAGIC_BYTES)))) return false;
  if (left < RECORD_HEADER_BYTES) return true;
  const length = lengthAt(bytes, at, magic);
  return length !== undefined && at + RECORD_HEADER_BYTES + length > bytes.length;
}
