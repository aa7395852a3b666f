import { compileSchema } from '../avro/schema.ts';
import { SCHEMA_TEXTS } from '../avro/schema-texts.ts';
import { equal, utf8 } from '../base/bytes.ts';
import { checkName, mustCount, mustFit, mustHold } from '../base/format-checks.ts';
import { LIMITS } from '../base/limits.ts';

/** Key of records on `provenance.rejected` without a value: a chainer appends one to learn the log's time from the answer. */
export const TIME_PROBE_KEY = utf8('log-time');

/** Whether a record of `provenance.rejected` says nothing about a message or event. */
export function isTimeProbe({ key, value }: { readonly key: Uint8Array | null; readonly value: Uint8Array }): boolean {
  return value.length === 0 && key !== null && equal(key, TIME_PROBE_KEY);
}

/** A message or event that was not linked, as it is on `provenance.rejected` (docs/formats.md §3). */
export interface Rejected {
  readonly origin: string;
  readonly shard: number;
  readonly inputGeneration: number;
  readonly inputOffset: number;
  /** Position in the batch; -1 for a whole message. */
  readonly position: number;
  readonly outcome: 'REJECTED' | 'CONFLICT';
  readonly reason: number;
  /** SHA-256 of a whole message, event digest of an event. */
  readonly digest: Uint8Array;
  /** Size of the whole message or event, in bytes. */
  readonly size: number;
  /** Cut at 1 MiB. */
  readonly bytes: Uint8Array;
}

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
    record.bytes.length === Math.min(record.size, LIMITS.rejectedBytes),
    'cannot take rejected record: its number of bytes does not fit its size',
  );
}
