import { sha256 } from '#crypto';
import type { LogState } from '../../core/acceptance/log-state.ts';
import { parseLaneKey } from '../../core/acceptance/log-state.ts';
import { logKeysOf } from '../../core/archive/archive-keys.ts';
import {
  encodeSnapshotStatement,
  encodeStateRecord,
  type HeldLane,
  type SnapshotHead,
  type StateRecord,
  type StreamHead,
  snapshotHead,
} from '../../core/archive/snapshot.ts';
import { StateDecoder } from '../../core/archive/state-file.ts';
import { compare, compareCodePoints, concat, toHex } from '../../core/base/bytes.ts';
import { encodeEnvelope, signEnvelope } from '../../core/keys/dsse.ts';
import type { Signer } from '../../core/ports/signer.ts';

/** A whole snapshot as a test changes it. */
export interface Snapshot extends SnapshotHead {
  readonly streams: readonly StreamHead[];
  readonly lanes: readonly HeldLane[];
}

/** The snapshot of a state. */
export function snapshotOf({ head, streams, lanes }: LogState, chainOffset: number): Snapshot {
  return {
    ...snapshotHead(head, chainOffset),
    streams: [...streams].map(([stream, end]) => ({ stream, ...end })),
    lanes: [...lanes].map(([key, lane]) => ({ ...parseLaneKey(key), ...lane })),
  };
}

/** The records of a state, sorted at once: by another hand than the archiver's. */
export function stateRecords({ streams, lanes, ...head }: Snapshot): Uint8Array[] {
  const sorted: StateRecord[] = [
    { branch: 'SnapshotHead', value: head },
    ...streams.toSorted((a, b) => compareCodePoints(a.stream, b.stream)).map((value) => ({ branch: 'StreamHead' as const, value })),
    ...lanes
      .toSorted((a, b) => compare(a.epoch, b.epoch) || compareCodePoints(a.producer, b.producer))
      .map((value) => ({ branch: 'HeldLane' as const, value })),
  ];
  return sorted.map(encodeStateRecord);
}

/** The file of a state. */
export function stateFile(snapshot: Snapshot): Uint8Array {
  return stateFileOf(stateRecords(snapshot));
}

/** Records, each after its length. */
export function stateFileOf(records: readonly Uint8Array[]): Uint8Array {
  return concat(
    ...records.flatMap((record) => {
      const length = new Uint8Array(4);
      new DataView(length.buffer).setUint32(0, record.length);
      return [length, record];
    }),
  );
}

/** The state that a file holds. */
export function readStateFile(bytes: Uint8Array): Snapshot {
  const decoder = new StateDecoder();
  let head: SnapshotHead | undefined;
  const [streams, lanes]: [StreamHead[], HeldLane[]] = [[], []];
  for (const { branch, value } of decoder.take(bytes)) {
    if (branch === 'SnapshotHead') head = value;
    else if (branch === 'StreamHead') streams.push(value);
    else lanes.push(value);
  }
  decoder.end();
  return { ...(head as SnapshotHead), streams, lanes };
}

/** The two objects of a snapshot, by their keys; its place by default is what the snapshot says. */
export async function snapshotObjects(
  snapshot: Snapshot,
  signers: readonly Signer[],
  { shard, size }: { readonly shard: number; readonly size: number } = snapshot,
): Promise<Map<string, Uint8Array>> {
  const keys = logKeysOf(shard);
  const file = stateFile(snapshot);
  const payload = encodeSnapshotStatement({
    origin: `${snapshot.origin}/${snapshot.shard}`,
    size: snapshot.size,
    bytes: file.length,
    sha256: toHex(sha256(file)),
  });
  return new Map([
    [keys.state(size), file],
    [keys.snapshot(size), encodeEnvelope(await signEnvelope('snapshot', payload, signers))],
  ]);
}
