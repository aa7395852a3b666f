import { gzipSync } from 'node:zlib';
import { crc32c } from '../../adapters/kafka-records/crc32c.ts';

/** A record as a client would write it; the defaults are those of the most ordinary record. */
export interface RawRecord {
  readonly key?: Uint8Array | null;
  readonly value?: Uint8Array | null;
  readonly headers?: readonly (readonly [name: string, value: Uint8Array | null])[];
  readonly offsetDelta?: number;
  readonly timestampDelta?: number;
}

/** What a record batch is made of; each part may be wrong on purpose. */
export interface RawBatch {
  readonly baseOffset?: number;
  readonly lastDelta?: number;
  readonly count?: number;
  readonly attributes?: number;
  readonly baseTimestamp?: number;
  readonly maxTimestamp?: number;
  /** The records section as stored. */
  readonly section: Uint8Array;
}

export const CODECS = { none: 0, gzip: 1, snappy: 2, lz4: 3, zstd: 4 } as const;

/** A record batch of message format 2, by KIP-98, with its checksum. */
export function recordBatch({ section, ...given }: RawBatch): Buffer {
  const batch = Buffer.alloc(61 + section.length);
  const count = given.count ?? 1;
  batch.writeBigInt64BE(BigInt(given.baseOffset ?? 0), 0);
  batch.writeInt32BE(batch.length - 12, 8);
  batch.writeInt8(2, 16);
  batch.writeInt16BE(given.attributes ?? 0, 21);
  batch.writeInt32BE(given.lastDelta ?? count - 1, 23);
  batch.writeBigInt64BE(BigInt(given.baseTimestamp ?? 1_000), 27);
  batch.writeBigInt64BE(BigInt(given.maxTimestamp ?? 1_000), 35);
  batch.writeBigInt64BE(-1n, 43);
  batch.writeInt16BE(-1, 51);
  batch.writeInt32BE(-1, 53);
  batch.writeInt32BE(count, 57);
  batch.set(section, 61);
  return summed(batch);
}

/** The batch with the checksum of its present bytes. */
export function summed(batch: Buffer): Buffer {
  batch.writeUInt32BE(crc32c(batch, 21), 17);
  return batch;
}

/** The records of a section, uncompressed. */
export function recordsSection(records: readonly RawRecord[]): Buffer {
  return Buffer.concat(records.map((record, i) => encodeRecord({ offsetDelta: i, ...record })));
}

/** A batch of ordinary records. */
export function plainBatch(baseOffset: number, values: readonly string[]): Buffer {
  return recordBatch({ baseOffset, count: values.length, section: recordsSection(values.map((value) => ({ value: Buffer.from(value) }))) });
}

function encodeRecord({ key = null, value = null, headers = [], offsetDelta = 0, timestampDelta = 0 }: RawRecord): Buffer {
  const body = Buffer.concat([
    Buffer.from([0]),
    varint(timestampDelta),
    varint(offsetDelta),
    nullable(key),
    nullable(value),
    varint(headers.length),
    ...headers.flatMap(([name, bytes]) => [nullable(Buffer.from(name)), nullable(bytes)]),
  ]);
  return Buffer.concat([varint(body.length), body]);
}

function nullable(bytes: Uint8Array | null): Buffer {
  return bytes === null ? varint(-1) : Buffer.concat([varint(bytes.length), bytes]);
}

/** A zig-zag varint. */
export function varint(value: number): Buffer {
  let rest = value < 0 ? -2n * BigInt(value) - 1n : 2n * BigInt(value);
  const bytes: number[] = [];
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  return Buffer.from([...bytes, Number(rest)]);
}

/** Sections in the frames of each compression, by hand; all but gzip only copy. */
export const PACK: Readonly<Record<'gzip' | 'snappy' | 'javaSnappy' | 'lz4' | 'zstd', (section: Buffer) => Buffer>> = {
  gzip: (section) => gzipSync(section),
  snappy: (section) => Buffer.concat([unsignedVarint(section.length), snappyLiteral(section)]),
  javaSnappy: (section) => Buffer.concat([JAVA_SNAPPY, ...halves(section).map((half) => javaBlock(PACK.snappy(half)))]),
  lz4: (section) =>
    lz4Frame(
      halves(section).map((half) => ({ bytes: half, plain: true })),
      INDEPENDENT,
    ),
  zstd: (section) =>
    zstdFrame(
      section.length,
      [...halves(section).entries()].map(([i, half]) => zstdBlock(0, half.length, half, i === 1)),
    ),
};

/** Few bytes that unpack to `head` and then zeros, `size` bytes in all. */
export const BOMB: Readonly<Record<'gzip' | 'snappy' | 'lz4' | 'zstd', (size: number, head?: Buffer) => Buffer>> = {
  gzip: (size, head = NOTHING) => gzipSync(Buffer.concat([head, Buffer.alloc(size - head.length)])),
  snappy: (size, head = NOTHING) => {
    // One zero, then copies of 64 bytes from one byte before.
    const zeros = size - head.length - 1;
    const copies = Buffer.alloc(3 * Math.ceil(zeros / 64));
    for (let at = 0, left = zeros; left > 0; at += 3, left -= 64) copies.set([((Math.min(64, left) - 1) << 2) | 2, 1, 0], at);
    return Buffer.concat([unsignedVarint(size), snappyLiteral(head), Buffer.from([0, 0]), copies]);
  },
  lz4: (size, head = NOTHING) => {
    const blocks = head.length === 0 ? [] : [{ bytes: head, plain: true }];
    for (let left = size - head.length; left > 0; left -= 4 << 20)
      blocks.push(left < 100 ? { bytes: Buffer.alloc(left), plain: true } : { bytes: lz4Zeros(Math.min(4 << 20, left)), plain: false });
    return lz4Frame(blocks, INDEPENDENT);
  },
  zstd: (size, head = NOTHING) => {
    const blocks: Buffer[] = [zstdBlock(0, head.length, head, false)];
    for (let left = size - head.length; left > 0; left -= 128 << 10)
      blocks.push(zstdBlock(1, Math.min(128 << 10, left), Buffer.from([0]), left <= 128 << 10));
    return zstdFrame(size, blocks);
  },
};

const NOTHING = Buffer.alloc(0);
const JAVA_SNAPPY = Buffer.from('82534e41505059000000000100000001', 'hex');

function halves(section: Buffer): readonly [Buffer, Buffer] {
  return [section.subarray(0, section.length >> 1), section.subarray(section.length >> 1)];
}

function unsignedVarint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest & 127) | 128);
  return Buffer.from([...bytes, rest]);
}

function snappyLiteral(bytes: Buffer): Buffer {
  if (bytes.length === 0) return bytes;
  const tag = Buffer.alloc(5);
  tag[0] = 63 << 2;
  tag.writeUInt32LE(bytes.length - 1, 1);
  return Buffer.concat([tag, bytes]);
}

function javaBlock(block: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeInt32BE(block.length);
  return Buffer.concat([length, block]);
}

const LINKED = 0x40;
const INDEPENDENT = 0x60;
const BLOCKS_OF_4_MIB = 0x70;

/** A frame of blocks of at most 4 MiB, without checksums of its blocks. */
export function lz4Frame(blocks: readonly { readonly bytes: Buffer; readonly plain: boolean }[], flags = LINKED): Buffer {
  const parts = blocks.flatMap(({ bytes, plain }) => [u32le(bytes.length + (plain ? 0x80000000 : 0)), bytes]);
  const head = [flags, BLOCKS_OF_4_MIB];
  return Buffer.concat([Buffer.from([0x04, 0x22, 0x4d, 0x18, ...head, (xxh32(head) >>> 8) & 0xff]), ...parts, u32le(0)]);
}

/** XXH32 with seed 0 of less than 4 bytes, as the header of an LZ4 frame needs it. */
function xxh32(bytes: readonly number[]): number {
  let hash = 374761393 + bytes.length;
  for (const byte of bytes) {
    hash = (hash + Math.imul(byte, 374761393)) | 0;
    hash = Math.imul((hash << 11) | (hash >>> 21), 2654435761);
  }
  hash = Math.imul(hash ^ (hash >>> 15), 2246822519);
  hash = Math.imul(hash ^ (hash >>> 13), 3266489917);
  return hash ^ (hash >>> 16);
}

/** A block of zeros: one literal, a match of all but 6, and 5 literals as the format demands. */
function lz4Zeros(size: number): Buffer {
  const more = size - 6 - 4 - 15;
  const length = Buffer.concat([Buffer.alloc(Math.floor(more / 255), 255), Buffer.from([more % 255])]);
  return Buffer.concat([Buffer.from([0x1f, 0, 1, 0]), length, Buffer.from([0x50, 0, 0, 0, 0, 0])]);
}

function u32le(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

/** A frame with a declared size of 4 bytes and a window of 8 MiB. */
export function zstdFrame(declared: number, blocks: readonly Buffer[], window = 13 << 3): Buffer {
  return Buffer.concat([Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x80, window]), u32le(declared), ...blocks]);
}

/** A block of RFC 8878: type 0 is plain, 1 one byte many times. */
export function zstdBlock(type: 0 | 1, size: number, bytes: Buffer, last: boolean): Buffer {
  const header = Buffer.alloc(4);
  header.writeUInt32LE((size << 3) | (type << 1) | (last ? 1 : 0));
  return Buffer.concat([header.subarray(0, 3), bytes]);
}
