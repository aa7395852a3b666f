import type { LogHead } from '../acceptance/log-state.ts';
import { compileSchema } from '../avro/schema.ts';
import { SCHEMA_TEXTS } from '../avro/schema-texts.ts';
import { fromHex, toHex, utf8 } from '../base/bytes.ts';
import { checkName, checkStream, mustCount, mustFit, mustHold } from '../base/format-checks.ts';
import { canonicalJson } from '../base/jcs.ts';
import { count, digest, object, readShape, text } from '../base/json-shape.ts';
import { LIMITS } from '../base/limits.ts';

/** The part of a shard's state after a segment that has a fixed size (docs/formats.md §5). Times are microseconds since 1970. */
export interface SnapshotHead {
  readonly origin: string;
  readonly shard: number;
  readonly shards: number;
  readonly size: number;
  readonly frontier: readonly Uint8Array[];
  readonly seal: Uint8Array;
  readonly inputGeneration: number;
  readonly inputTo: number;
  readonly appendedAt: number;
  readonly acceptedAt: number;
  /** Offset on the chain topic of the block that the snapshot ends in. */
  readonly chainOffset: number;
  readonly policy: Uint8Array | null;
  readonly final: boolean;
}

/** The end of a stream. */
export interface StreamHead {
  readonly stream: string;
  readonly index: number;
  readonly hash: Uint8Array;
  readonly logIndex: number;
  /** Name of the producer of its first link. */
  readonly producer: string;
}

/** A lane that is held. */
export interface HeldLane {
  readonly producer: string;
  readonly epoch: Uint8Array;
  readonly number: number;
  readonly hash: Uint8Array;
  readonly appendedAt: number;
}

/** One record of a snapshot's state. */
export type StateRecord =
  | { readonly branch: 'SnapshotHead'; readonly value: SnapshotHead }
  | { readonly branch: 'StreamHead'; readonly value: StreamHead }
  | { readonly branch: 'HeldLane'; readonly value: HeldLane };

/** What the log key signs of a snapshot: the size and the digest of the file that holds the state. */
export interface SnapshotStatement {
  /** `<origin>/<shard>`. */
  readonly origin: string;
  readonly size: number;
  readonly bytes: number;
  /** Hex SHA-256 of the file. */
  readonly sha256: string;
}

const records = compileSchema<StateRecord>(JSON.parse(SCHEMA_TEXTS.Snapshot));
const STATEMENT = object({ origin: text, size: count, bytes: count, sha256: digest });

/** Throws the error that {@link decodeStateRecord} would throw on the bytes. */
export function encodeStateRecord(record: StateRecord): Uint8Array {
  checkRecord(record);
  return fitting(records.encode(record));
}

/** Throws AVRO_INVALID, FORMAT_INVALID or LIMIT_EXCEEDED. */
export function decodeStateRecord(bytes: Uint8Array): StateRecord {
  const record = records.decode(fitting(bytes));
  checkRecord(record);
  return record;
}

/** The payload: canonical JSON. */
export function encodeSnapshotStatement(statement: SnapshotStatement): Uint8Array {
  return utf8(canonicalJson(statement));
}

/** Reads a payload; throws FORMAT_INVALID unless it has exactly the fields of a {@link SnapshotStatement}, each well-formed. */
export function parseSnapshotStatement(payload: Uint8Array): SnapshotStatement {
  return readShape(payload, STATEMENT, 'statement of a snapshot') as SnapshotStatement;
}

/** The head of a state as a snapshot holds it. */
export function snapshotHead({ frontier, policy, ...rest }: LogHead, chainOffset: number): SnapshotHead {
  return { ...rest, frontier: frontier.hashes, policy: policy === null ? null : fromHex(policy), chainOffset };
}

/** The head of a state that a snapshot holds. */
export function snapshotLogHead({ frontier, policy, chainOffset: _offset, ...rest }: SnapshotHead): LogHead {
  return { ...rest, frontier: { size: rest.size, hashes: frontier }, policy: policy === null ? null : toHex(policy) };
}

function fitting(bytes: Uint8Array): Uint8Array {
  mustFit(bytes.length, LIMITS.stateRecordBytes, 'record of a snapshot');
  return bytes;
}

function checkRecord({ branch, value }: StateRecord): void {
  if (branch === 'SnapshotHead') checkHead(value);
  else if (branch === 'StreamHead') {
    checkStream(value.stream);
    checkName(value.producer, 'producer');
    mustCount('stream head', value.index, value.logIndex);
  } else {
    checkName(value.producer, 'producer');
    mustCount('lane', value.number, value.appendedAt);
  }
}

function checkHead(head: SnapshotHead): void {
  const { shard, size, inputGeneration, inputTo, appendedAt, acceptedAt, chainOffset } = head;
  checkName(head.origin, 'origin');
  mustCount('snapshot', shard, size, inputGeneration, inputTo, appendedAt, acceptedAt, chainOffset);
  mustHold(shard < head.shards, 'cannot take snapshot: its shard is not below its number of shards');
  mustHold(head.frontier.length === setBits(size), 'cannot take snapshot: its frontier is not that of its size');
}

function setBits(size: number): number {
  let bits = 0;
  for (let rest = size; rest > 0; rest = Math.floor(rest / 2)) bits += rest % 2;
  return bits;
}
