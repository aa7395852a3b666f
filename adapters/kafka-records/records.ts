import { LIMITS } from '../../core/base/limits.ts';
import type { LogRecord } from '../../core/ports/log.ts';
import { Unreadable } from './unreadable.ts';

const EMPTY = new Uint8Array(0);
const NO_HEADERS: LogRecord['headers'] = Object.freeze(Object.create(null) as Record<string, Uint8Array>);

/** What the header of a record batch says of its records. */
export interface RecordsFrame {
  readonly baseOffset: number;
  readonly lastOffset: number;
  /** At most LIMITS.recordBatchRecords. */
  readonly count: number;
  /** Milliseconds to which each record adds its difference; undefined if the log dated them all. */
  readonly baseTimestamp: number | undefined;
  readonly maxTimestamp: number;
}

/**
 * Decodes an unpacked records section of message format 2 (KIP-98, KIP-482 for headers): all of it or, if one record of it is broken, nothing.
 * Keys, values and header values are views of the section. Throws {@link Unreadable}.
 */
export function decodeRecords(section: Buffer, frame: RecordsFrame): LogRecord[] {
  if (section.length > LIMITS.recordBatchBytes) throw new Unreadable('the unpacked size is above the limit');
  const records: LogRecord[] = [];
  const reader = new RecordReader(section, frame);
  for (let i = 0; i < frame.count; i++) records.push(reader.next());
  if (reader.at !== section.length) throw new Unreadable('bytes follow the last record');
  return records;
}

class RecordReader {
  at = 0;
  readonly #section: Buffer;
  readonly #frame: RecordsFrame;
  #before: number;
  #headers = 0;

  constructor(section: Buffer, frame: RecordsFrame) {
    this.#section = section;
    this.#frame = frame;
    this.#before = frame.baseOffset - 1;
  }

  next(): LogRecord {
    const length = this.#int();
    const end = this.at + length;
    if (length < 0 || end > this.#section.length) throw new Unreadable('a record is cut');
    // Attributes, of which none is in use.
    this.at++;
    const difference = this.#long();
    const offset = this.#frame.baseOffset + this.#int();
    if (offset <= this.#before || offset > this.#frame.lastOffset) throw new Unreadable('a record has an offset of another');
    this.#before = offset;
    const { baseTimestamp, maxTimestamp } = this.#frame;
    const key = this.#bytes();
    const value = this.#bytes() ?? EMPTY;
    const headers = this.#readHeaders();
    if (this.at !== end) throw new Unreadable('a record is longer or shorter than it declares');
    const timestampMicros = microsOf(baseTimestamp === undefined ? maxTimestamp : baseTimestamp + difference);
    return { kind: 'record', offset, timestampMicros, key, value, headers };
  }

  /** A name that occurs more than once has its last value; one without a value has an empty one. Names above {@link LIMITS.nameBytes} are left out. */
  #readHeaders(): LogRecord['headers'] {
    const count = this.#int();
    if (count === 0) return NO_HEADERS;
    this.#headers += count;
    if (count < 0 || this.#headers > LIMITS.recordBatchHeaders) throw new Unreadable('more headers than the limit');
    const headers = Object.create(null) as Record<string, Uint8Array>;
    for (let i = 0; i < count; i++) {
      const name = this.#bytes();
      if (name === null) throw new Unreadable('a header has no name');
      const value = this.#bytes() ?? EMPTY;
      // To look up long names that differ at their ends takes V8 the square of their number.
      if (name.length <= LIMITS.nameBytes) headers[name.toString('utf8')] = value;
    }
    return headers;
  }

  /** Bytes behind their length; null if the length is negative. */
  #bytes(): Buffer | null {
    const length = this.#int();
    if (length < 0) return null;
    const from = this.at;
    this.at += length;
    if (this.at > this.#section.length) throw new Unreadable('a field is cut');
    return this.#section.subarray(from, this.at);
  }

  /** A zig-zag varint of 32 bits. */
  #int(): number {
    let byte = this.#byte();
    if (byte < 0x80) return (byte >>> 1) ^ -(byte & 1);
    let bits = byte & 0x7f;
    for (let shift = 7; shift <= 28; shift += 7) {
      byte = this.#byte();
      bits |= (byte & 0x7f) << shift;
      if (byte < 0x80) return (bits >>> 1) ^ -(bits & 1);
    }
    throw new Unreadable('a varint has more than 32 bits');
  }

  /** A zig-zag varint of 64 bits; only times have one, and beyond 2^53 their value is approximate. */
  #long(): number {
    let bits = 0;
    let odd = 0;
    for (let i = 0; i < 10; i++) {
      const byte = this.#byte();
      if (i === 0) odd = byte & 1;
      bits += (byte & 0x7f) * 2 ** (7 * i);
      if (byte < 0x80) return odd === 1 ? -(bits + 1) / 2 : bits / 2;
    }
    throw new Unreadable('a varint has more than 64 bits');
  }

  #byte(): number {
    const byte = this.#section[this.at++];
    if (byte === undefined) throw new Unreadable('a record is cut');
    return byte;
  }
}

/** A time of a record batch as microseconds. Its writer may have chosen any 64 bits: beyond the range of the formats it is the nearest time in it. */
export function microsOf(millis: number): number {
  return Math.min(Number.MAX_SAFE_INTEGER, Math.max(-Number.MAX_SAFE_INTEGER, millis * 1000));
}
