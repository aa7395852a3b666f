import { compileSchema } from '../avro/schema.ts';
import { SCHEMA_TEXTS } from '../avro/schema-texts.ts';
import { compare, compareCodePoints } from '../base/bytes.ts';
import { checkName, checkStream, mustCount, mustHold } from '../base/format-checks.ts';

/** The state of a shard's log after a segment (docs/formats.md §5). Times are microseconds since 1970. */
export interface Snapshot {
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
  /** Sorted by the UTF-8 bytes of the name. */
  readonly streams: readonly { readonly stream: string; readonly index: number; readonly hash: Uint8Array; readonly logIndex: number }[];
  /** Sorted by epoch, then by the UTF-8 bytes of the producer. */
  readonly lanes: readonly {
    readonly producer: string;
    readonly epoch: Uint8Array;
    readonly number: number;
    readonly hash: Uint8Array;
    readonly appendedAt: number;
  }[];
}

const snapshots = compileSchema<Snapshot>(JSON.parse(SCHEMA_TEXTS.Snapshot));

/** Sorts streams and lanes; throws the error that {@link decodeSnapshot} would throw on the bytes. */
export function encodeSnapshot(snapshot: Snapshot): Uint8Array {
  const streams = snapshot.streams.toSorted((a, b) => compareCodePoints(a.stream, b.stream));
  const lanes = snapshot.lanes.toSorted(compareLanes);
  const sorted = { ...snapshot, streams, lanes };
  checkSnapshot(sorted);
  return snapshots.encode(sorted);
}

/** Throws AVRO_INVALID or FORMAT_INVALID. */
export function decodeSnapshot(bytes: Uint8Array): Snapshot {
  const snapshot = snapshots.decode(bytes);
  checkSnapshot(snapshot);
  return snapshot;
}

function compareLanes(a: Snapshot['lanes'][number], b: Snapshot['lanes'][number]): number {
  return compare(a.epoch, b.epoch) || compareCodePoints(a.producer, b.producer);
}

function checkSnapshot(snapshot: Snapshot): void {
  const { streams, lanes } = snapshot;
  checkName(snapshot.origin, 'origin');
  mustCount(
    'snapshot',
    snapshot.shard,
    snapshot.size,
    snapshot.inputGeneration,
    snapshot.inputTo,
    snapshot.appendedAt,
    snapshot.acceptedAt,
    snapshot.chainOffset,
  );
  mustHold(snapshot.shard < snapshot.shards, 'cannot take snapshot: its shard is not below its number of shards');
  mustHold(snapshot.frontier.length === setBits(snapshot.size), 'cannot take snapshot: its frontier is not that of its size');
  for (const [i, head] of streams.entries()) {
    const before = streams[i - 1];
    checkStream(head.stream);
    mustCount('stream head', head.index, head.logIndex);
    mustHold(
      before === undefined || compareCodePoints(before.stream, head.stream) < 0,
      'cannot take snapshot: its streams are not sorted and unique',
    );
  }
  for (const [i, lane] of lanes.entries()) {
    const before = lanes[i - 1];
    checkName(lane.producer, 'producer');
    mustCount('lane', lane.number, lane.appendedAt);
    mustHold(before === undefined || compareLanes(before, lane) < 0, 'cannot take snapshot: its lanes are not sorted and unique');
  }
}

function setBits(size: number): number {
  let bits = 0;
  for (let rest = size; rest > 0; rest = Math.floor(rest / 2)) bits += rest % 2;
  return bits;
}
