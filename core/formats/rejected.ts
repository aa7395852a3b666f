import { compileSchema } from '../avro/schema.ts';
import { SCHEMA_TEXTS } from '../avro/schema-texts.ts';
import { equal, utf8 } from '../base/bytes.ts';
import { checkName, mustCount, mustFit, mustHold } from '../base/format-checks.ts';
import { LIMITS } from '../base/limits.ts';
import { reasonTraits } from '../base/reasons.ts';

/** Key of records on `provenance.rejected` without a value: a chainer appends one to learn the log's time from the answer. */
export const TIME_PROBE_KEY = utf8('log-time');

/** Whether a record of `provenance.rejected` says nothing about a message or event. */
export function isTimeProbe({ key, value }: { readonly key: Uint8Array | null; readonly value: Uint8Array }): boolean {
  return value.length === 0 && key !== null && equal(key, TIME_PROBE_KEY);
}

/** A message or event that was not linked, a run of messages, or records that no reader can read, as it is on `provenance.rejected` (docs/formats.md §3). */
export interface Rejected {
  readonly origin: string;
  readonly shard: number;
  readonly inputGeneration: number;
  /** The first offset. */
  readonly inputOffset: number;
  /** Offsets covered: more than 1 only for a run of messages, or for records that no reader can read. */
  readonly span: number;
  /** Position in the batch; -1 for anything but an event. */
  readonly position: number;
  readonly outcome: 'REJECTED' | 'CONFLICT';
  readonly reason: number;
  /** The digest in the evidence: of the input's `message`, or of the event. */
  readonly digest: Uint8Array;
  /** Bytes that the digest covers. */
  readonly size: number;
  /** What the digest covers (of a run, {@link encodeRun}), cut at 1 MiB. */
  readonly bytes: Uint8Array;
}

const LENGTH_BYTES = 4;
const BROKEN_RUN = 'cannot take rejected record: its bytes are not those of as many messages as it covers';

const records = compileSchema<Rejected>(JSON.parse(SCHEMA_TEXTS.Rejected));

/** Throws the error that {@link decodeRejected} would throw on the bytes. */
export function encodeRejected(record: Rejected): Uint8Array {
  checkRejected(record);
  return records.encode(record);
}

/** Throws AVRO_INVALID, FORMAT_INVALID or LIMIT_EXCEEDED. */
export function decodeRejected(bytes: Uint8Array): Rejected {
  const record = records.decode(bytes);
  checkRejected(record);
  return record;
}

function checkRejected(record: Rejected): void {
  checkName(record.origin, 'origin');
  mustCount('rejected record', record.shard, record.inputGeneration, record.inputOffset, record.reason);
  mustFit(record.bytes.length, LIMITS.rejectedBytes, 'rejected bytes');
  mustHold(record.position >= -1, 'cannot take rejected record: its position is below -1');
  mustHold(
    record.span === 1 || (record.span > 1 && record.position === -1 && record.outcome === 'REJECTED'),
    'cannot take rejected record: its span does not fit what it is about',
  );
  mustHold(
    record.span === 1 || record.size <= LIMITS.runBytes || reasonTraits(record.reason)?.rejects === 'records',
    'cannot take rejected record: it is larger than a run may be',
  );
  mustHold(
    record.bytes.length === Math.min(record.size, LIMITS.rejectedBytes),
    'cannot take rejected record: its number of bytes does not fit its size',
  );
}

/** The bytes that stand for consecutive messages: the value of a single one, or of each of several its length (u32 big-endian) and its value. */
export function encodeRun(values: readonly Uint8Array[]): Uint8Array {
  const [first] = values;
  if (values.length === 1 && first !== undefined) return first;
  const bytes = new Uint8Array(values.reduce((sum, value) => sum + runCost(value), 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const value of values) {
    view.setUint32(at, value.length);
    bytes.set(value, at + LENGTH_BYTES);
    at += runCost(value);
  }
  return bytes;
}

/** Bytes that a value takes in a run of several; the sum of a run is at most {@link LIMITS.runBytes}. */
export function runCost(value: Uint8Array): number {
  return LENGTH_BYTES + value.length;
}

/** The values of the `span` messages that `bytes` stand for. Throws FORMAT_INVALID if they are not those of so many messages. */
export function decodeRun(bytes: Uint8Array, span: number): readonly Uint8Array[] {
  if (span === 1) return [bytes];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const values: Uint8Array[] = [];
  let at = 0;
  while (at < bytes.length) {
    mustHold(at + LENGTH_BYTES <= bytes.length, BROKEN_RUN);
    const from = at + LENGTH_BYTES;
    at = from + view.getUint32(at);
    mustHold(at <= bytes.length, BROKEN_RUN);
    values.push(bytes.subarray(from, at));
  }
  mustHold(values.length === span, BROKEN_RUN);
  return values;
}
