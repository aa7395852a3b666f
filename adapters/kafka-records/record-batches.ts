import { setImmediate as nextTurn } from 'node:timers/promises';
import { crc32 } from 'node:zlib';
import { sha256 } from '#crypto';
import { LineproofError } from '../../core/base/errors.ts';
import { LIMITS } from '../../core/base/limits.ts';
import type { LogEntry } from '../../core/ports/log.ts';
import { crc32c } from './crc32c.ts';
import { decodeRecords, microsOf, type RecordsFrame } from './records.ts';
import { unpackRecords } from './unpack.ts';
import { Unreadable } from './unreadable.ts';

/**
 * Where fields are in a record batch of message format 2 (KIP-98). The checksum covers everything from the attributes on.
 * Older message sets (formats 0 and 1) have offset, size and format in the same places.
 */
const SIZE_AT = 8;
const BODY_AT = 12;
const FORMAT_AT = 16;
const CHECKSUM_AT = 17;
const ATTRIBUTES_AT = 21;
const LAST_DELTA_AT = 23;
const BASE_TIMESTAMP_AT = 27;
const MAX_TIMESTAMP_AT = 35;
const COUNT_AT = 57;
const RECORDS_AT = 61;
const CODEC_BITS = 0x07;
const LOG_APPEND_TIME = 0x08;
const CONTROL = 0x20;
/** In formats 0 and 1: checksum, format, attributes, time (only 1), lengths of key and value. */
const OLD_CHECKSUM_AT = 12;
const OLD_TIMESTAMP_AT = 18;
const OLD_BYTES = 26;

/** What a record costs a reader beside its bytes. */
const RECORD_COST = 100;
/** Unpacked bytes after which other work of the process gets its turn. */
const TURN_BYTES = 1024 * 1024;

/** The entries of one answer, and the offset at which to read on. */
export interface FetchedEntries {
  readonly entries: LogEntry[];
  /** After everything that was looked at; the wanted offset if that was nothing. */
  readonly next: number;
}

/**
 * Reads the record batches of a fetch answer, from offset `from` on. The broker cuts an answer at its size, so the last batch may be partial.
 * Stops after about `maxBytes` of unpacked records: a small answer can unpack to far more than was asked for.
 * Markers of transactions are left out. A batch that cannot be read is one entry, and so says every reader of the same bytes.
 * Throws UNAVAILABLE if the bytes are not those that the broker took: another try, or another replica, may have them.
 */
export async function readBatches(bytes: Buffer, from: number, maxBytes: number): Promise<FetchedEntries> {
  const entries: LogEntry[] = [];
  let next = from;
  let cost = 0;
  let turn = TURN_BYTES;
  for (let at = 0; cost < maxBytes || entries.length === 0; ) {
    const batch = batchAt(bytes, at);
    if (batch === undefined) {
      if (at === 0 && bytes.length > 0) throw damaged('an answer ends inside of its first record batch');
      break;
    }
    at += batch.bytes.length;
    if (batch.lastOffset < next) continue;
    checkSum(batch);
    cost += await readBatch(batch, next, entries);
    next = batch.lastOffset + 1;
    if (cost < turn) continue;
    turn = cost + TURN_BYTES;
    await nextTurn();
  }
  return { entries, next };
}

interface Batch {
  /** All of it, its header included. */
  readonly bytes: Buffer;
  /** Of the message: 2, or 0 and 1 in logs that clients of ten years ago wrote. */
  readonly format: number;
  readonly baseOffset: number;
  readonly lastOffset: number;
}

/** The whole batch at `at`, or undefined if the answer ends before its end. */
function batchAt(answer: Buffer, at: number): Batch | undefined {
  if (answer.length - at < BODY_AT) return undefined;
  const size = answer.readInt32BE(at + SIZE_AT);
  if (size < OLD_BYTES - BODY_AT) throw damaged(`a record batch of ${size} bytes`);
  if (size > answer.length - at - BODY_AT) return undefined;
  const bytes = answer.subarray(at, at + BODY_AT + size);
  const format = bytes[FORMAT_AT] as number;
  if (format > 2 || (format === 2 && bytes.length < RECORDS_AT)) throw damaged(`a record batch of format ${format} and ${size} bytes`);
  const baseOffset = Number(bytes.readBigInt64BE(0));
  const lastOffset = baseOffset + (format === 2 ? bytes.readInt32BE(LAST_DELTA_AT) : 0);
  if (baseOffset < 0 || lastOffset < baseOffset || !Number.isSafeInteger(lastOffset + 1))
    throw damaged(`a record batch at offsets ${baseOffset} to ${lastOffset}`);
  return { bytes, format, baseOffset, lastOffset };
}

/** Brokers check the sum of what they take: a wrong one means damage since then. It says nothing of what the producer sent. */
function checkSum({ bytes, format, baseOffset }: Batch): void {
  const right =
    format === 2
      ? crc32c(bytes, ATTRIBUTES_AT) === bytes.readUInt32BE(CHECKSUM_AT)
      : crc32(bytes.subarray(FORMAT_AT)) === bytes.readUInt32BE(OLD_CHECKSUM_AT);
  if (!right) throw damaged(`the record batch at offset ${baseOffset} does not have its checksum`);
}

function damaged(what: string): LineproofError {
  return new LineproofError('UNAVAILABLE', `cannot use what the broker sent: ${what}`);
}

/** Adds the batch's entries from offset `from` on. Returns about how many bytes they take, or how many the attempt took. */
async function readBatch(batch: Batch, from: number, entries: LogEntry[]): Promise<number> {
  const { bytes, format, baseOffset, lastOffset } = batch;
  if (format < 2) return addOld(batch, entries);
  const attributes = bytes.readInt16BE(ATTRIBUTES_AT);
  const count = bytes.readInt32BE(COUNT_AT);
  const maxTimestamp = Number(bytes.readBigInt64BE(MAX_TIMESTAMP_AT));
  // Compaction leaves batches without records.
  if ((attributes & CONTROL) !== 0 || count === 0) return 0;
  const stored = bytes.subarray(RECORDS_AT);
  try {
    const baseTimestamp = (attributes & LOG_APPEND_TIME) === 0 ? Number(bytes.readBigInt64BE(BASE_TIMESTAMP_AT)) : undefined;
    const frame: RecordsFrame = { baseOffset, lastOffset, count: checkedCount(count), baseTimestamp, maxTimestamp };
    const section = await unpackRecords(attributes & CODEC_BITS, stored);
    for (const record of decodeRecords(section, frame)) if (record.offset >= from) entries.push(record);
    return section.length + count * RECORD_COST;
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error;
    entries.push(unreadable(Math.max(from, baseOffset), lastOffset, microsOf(maxTimestamp), stored));
    return LIMITS.recordBatchBytes;
  }
}

/** Refuses before anything is unpacked. */
function checkedCount(count: number): number {
  if (count < 0 || count > LIMITS.recordBatchRecords) throw new Unreadable('more records than the limit');
  return count;
}

/**
 * A message of format 0 or 1. Brokers since 3.0 write format 2 whatever they are sent, so no topic of ours has one. A compressed one holds several,
 * up to its own offset; the offsets of the others look like a hole.
 */
function addOld({ bytes, format, baseOffset }: Batch, entries: LogEntry[]): number {
  const millis = format === 1 ? Number(bytes.readBigInt64BE(OLD_TIMESTAMP_AT)) : 0;
  entries.push(unreadable(baseOffset, baseOffset, microsOf(millis), bytes.subarray(BODY_AT)));
  return bytes.length;
}

function unreadable(offset: number, lastOffset: number, timestampMicros: number, stored: Buffer): LogEntry {
  return {
    kind: 'unreadable',
    offset,
    span: lastOffset - offset + 1,
    timestampMicros,
    digest: sha256(stored),
    size: stored.length,
    bytes: stored.subarray(0, LIMITS.rejectedBytes),
  };
}
