import { type Lane, parseLaneKey, type StreamEnd } from '../acceptance/log-state.ts';
import { compare, compareCodePoints, concat } from '../base/bytes.ts';
import { mustFit, mustHold } from '../base/format-checks.ts';
import { LIMITS } from '../base/limits.ts';
import { sortTexts, type TurnGiver } from '../base/sort.ts';
import type { ObjectStore, Pieces } from '../ports/object-store.ts';
import { decodeStateRecord, encodeStateRecord, type HeldLane, type SnapshotHead, type StateRecord, type StreamHead } from './snapshot.ts';

/** Bytes of the length before each record. */
const LENGTH = 4;
/** A piece ends with the record that reaches this many bytes. */
const PIECE_BYTES = 64 * 1024;
/** Bytes of a state file that are read at once. */
const WINDOW_BYTES = 4 * 1024 * 1024;

/** The parts of a state that grow with its streams and lanes, by name and by lane key. */
export interface StateSource {
  readonly streams: ReadonlyMap<string, StreamEnd>;
  readonly lanes: ReadonlyMap<string, Lane>;
}

/**
 * The content of a state file (docs/formats.md §5): each record after its length, first the head, then the streams and the lanes, sorted. Each piece holds
 * whole records. Only the names are sorted and held here; `state` must not change until the last piece is taken.
 */
export async function statePieces(head: SnapshotHead, state: StateSource, turns: TurnGiver): Promise<Pieces> {
  const [streams, lanes] = [await sortTexts(state.streams.keys(), turns), await sortTexts(state.lanes.keys(), turns)];
  function* records(): Generator<Uint8Array> {
    yield encodeStateRecord({ branch: 'SnapshotHead', value: head });
    for (const stream of streams) yield encodeStateRecord({ branch: 'StreamHead', value: streamHead(stream, state) });
    for (const key of lanes) yield encodeStateRecord({ branch: 'HeldLane', value: heldLane(key, state) });
  }
  return { [Symbol.asyncIterator]: () => framed(records(), turns) };
}

function streamHead(stream: string, { streams }: StateSource): StreamHead {
  return { stream, ...(streams.get(stream) as StreamEnd) };
}

function heldLane(key: string, { lanes }: StateSource): HeldLane {
  return { ...parseLaneKey(key), ...(lanes.get(key) as Lane) };
}

async function* framed(records: Iterable<Uint8Array>, turns: TurnGiver): AsyncGenerator<Uint8Array> {
  let [parts, bytes]: [Uint8Array[], number] = [[], 0];
  for (const record of records) {
    parts.push(lengthOf(record), record);
    bytes += LENGTH + record.length;
    if (bytes < PIECE_BYTES) continue;
    yield concat(...parts);
    [parts, bytes] = [[], 0];
    await turns.next();
  }
  if (bytes > 0) yield concat(...parts);
}

function lengthOf(record: Uint8Array): Uint8Array {
  const length = new Uint8Array(LENGTH);
  new DataView(length.buffer).setUint32(0, record.length);
  return length;
}

/** The bytes of an object that should have `bytes` of them, some MiB at a time. Ends early where the object does. */
export async function* readWindows(objects: Pick<ObjectStore, 'get'>, key: string, bytes: number): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < bytes; ) {
    const end = Math.min(start + WINDOW_BYTES, bytes);
    const window = (await objects.get(key, { start, end }))?.bytes;
    if (window === undefined || window.length === 0) return;
    yield window;
    start += window.length;
  }
}

/** Decodes a state file as its bytes come, and checks the order of its records. Its fields are changed by `take` alone. */
export class StateDecoder {
  /** The beginning of a record whose end has not come yet. */
  #rest: Uint8Array = new Uint8Array(0);
  #last: StateRecord | undefined;

  /** The records that end in these bytes. Throws AVRO_INVALID, FORMAT_INVALID or LIMIT_EXCEEDED. */
  *take(bytes: Uint8Array): Generator<StateRecord> {
    const joined = this.#rest.length === 0 ? bytes : concat(this.#rest, bytes);
    const view = new DataView(joined.buffer, joined.byteOffset, joined.byteLength);
    let at = 0;
    while (joined.length - at >= LENGTH) {
      const length = view.getUint32(at);
      mustFit(length, LIMITS.stateRecordBytes, 'record of a snapshot');
      if (joined.length - at < LENGTH + length) break;
      const record = decodeStateRecord(joined.subarray(at + LENGTH, at + LENGTH + length));
      checkOrder(this.#last, record);
      this.#last = record;
      at += LENGTH + length;
      yield record;
    }
    this.#rest = joined.slice(at);
  }

  /** Throws FORMAT_INVALID if the file ended within a record, or holds none. */
  end(): void {
    mustHold(this.#rest.length === 0, 'cannot take snapshot: it ends within a record');
    mustHold(this.#last !== undefined, 'cannot take snapshot: it is empty');
  }
}

function checkOrder(before: StateRecord | undefined, record: StateRecord): void {
  const fits =
    before === undefined
      ? record.branch === 'SnapshotHead'
      : record.branch === 'StreamHead'
        ? before.branch === 'SnapshotHead' ||
          (before.branch === 'StreamHead' && compareCodePoints(before.value.stream, record.value.stream) < 0)
        : record.branch === 'HeldLane' && (before.branch !== 'HeldLane' || compareLanes(before.value, record.value) < 0);
  mustHold(fits, 'cannot take snapshot: its records are not one head, then streams, then lanes, sorted and unique');
}

function compareLanes(a: HeldLane, b: HeldLane): number {
  return compare(a.epoch, b.epoch) || compareCodePoints(a.producer, b.producer);
}
