import { compileSchema } from '../avro/schema.ts';
import { SCHEMA_TEXTS } from '../avro/schema-texts.ts';
import { equal } from '../base/bytes.ts';
import { checkName, mustCount, mustFit, mustHold, mustNumberLane } from '../base/format-checks.ts';
import { LIMITS } from '../base/limits.ts';
import { EMPTY_ROOT } from '../tree/hash.ts';

/** How far one lane has come, as a heartbeat states it. */
export interface HeartbeatLane {
  readonly epoch: Uint8Array;
  readonly shard: number;
  readonly number: number;
  readonly seq: number;
  readonly final: boolean;
}

/** The part of a batch that its producer signs (docs/formats.md §2). */
export interface BatchHeader {
  readonly origin: string;
  readonly shard: number;
  readonly producer: string;
  readonly epoch: Uint8Array;
  readonly number: number;
  readonly firstSeq: number;
  readonly count: number;
  readonly root: Uint8Array;
  readonly previous: Uint8Array;
  readonly schema: Uint8Array;
  /** Microseconds since 1970. */
  readonly createdAt: number;
  readonly sampledOut: number;
  readonly lanes: readonly HeartbeatLane[];
}

export interface SignedBatch {
  readonly header: Uint8Array;
  readonly keyId: Uint8Array;
  readonly signature: Uint8Array;
  readonly events: readonly Uint8Array[];
}

const headers = compileSchema<BatchHeader>(JSON.parse(SCHEMA_TEXTS.BatchHeader));
const batches = compileSchema<SignedBatch>(JSON.parse(SCHEMA_TEXTS.SignedBatch));

/** Throws FORMAT_INVALID, AVRO_INVALID or LIMIT_EXCEEDED for a header that {@link decodeBatchHeader} would refuse. */
export function encodeBatchHeader(header: BatchHeader): Uint8Array {
  checkHeaderFields(header);
  const bytes = headers.encode(header);
  mustFit(bytes.length, LIMITS.headerBytes, 'batch header');
  return bytes;
}

/** Throws AVRO_INVALID, FORMAT_INVALID or LIMIT_EXCEEDED. */
export function decodeBatchHeader(bytes: Uint8Array): BatchHeader {
  mustFit(bytes.length, LIMITS.headerBytes, 'batch header');
  const header = headers.decode(bytes);
  checkHeaderFields(header);
  return header;
}

/** The batch as it is framed for Kafka; throws as {@link decodeSignedBatch}. */
export function encodeSignedBatch(batch: SignedBatch): Uint8Array {
  checkBatch(batch);
  return batches.encode(batch);
}

/** Throws AVRO_INVALID or LIMIT_EXCEEDED; the header stays undecoded, the events unchecked. */
export function decodeSignedBatch(bytes: Uint8Array): SignedBatch {
  mustFit(bytes.length, LIMITS.messageBytes, 'batch');
  const batch = batches.decode(bytes);
  checkBatch(batch);
  return batch;
}

/** Bytes by which one event counts towards {@link LIMITS.batchBytes}. */
export function batchCost(eventBytes: number, streamBytes: number): number {
  return eventBytes + streamBytes + LIMITS.batchEventOverheadBytes;
}

function checkHeaderFields(header: BatchHeader): void {
  checkName(header.origin, 'origin');
  checkName(header.producer, 'producer');
  mustCount('batch header', header.shard, header.count, header.createdAt);
  mustNumberLane('batch header', header.number, header.firstSeq, header.sampledOut);
  mustHold(
    (header.number === 0) === header.previous.every((byte) => byte === 0),
    'cannot take batch header: the first header of a lane, and no other, must have no previous one',
  );
  mustHold(header.count > 0 || equal(header.root, EMPTY_ROOT), 'cannot take batch header: a heartbeat has the root of the empty tree');
  mustHold(header.count === 0 || header.lanes.length === 0, 'cannot take batch header: only a heartbeat states lanes');
  mustHold(header.lanes.length <= LIMITS.heartbeatLanes, `cannot take batch header: more than ${LIMITS.heartbeatLanes} lanes`);
  for (const lane of header.lanes) {
    mustCount('heartbeat lane', lane.shard);
    mustNumberLane('heartbeat lane', lane.number, lane.seq);
  }
}

function checkBatch(batch: SignedBatch): void {
  mustFit(batch.header.length, LIMITS.headerBytes, 'batch header');
  mustFit(batch.signature.length, LIMITS.signatureBytes, 'signature');
}
