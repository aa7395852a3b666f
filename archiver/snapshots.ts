import type { LogState } from '../core/acceptance/log-state.ts';
import { encodeSnapshotStatement, parseSnapshotStatement, snapshotHead } from '../core/archive/snapshot.ts';
import { statePieces } from '../core/archive/state-file.ts';
import { Turns } from '../core/base/turns.ts';
import type { ArchivedLog } from './archived-log.ts';
import { putEnvelope, putPieces, signedPayload } from './write-once.ts';

/** A snapshot whose file is stored, and whose statement is not written yet. */
export interface SnapshotDraft {
  readonly size: number;
  /** Of its file. */
  readonly bytes: number;
  /** The statement. */
  readonly payload: Uint8Array;
}

/** Writes snapshots of one log's state: one each time the segments since the last snapshot are larger than that snapshot. Only its methods change its fields. */
export class Snapshots {
  readonly #log: ArchivedLog;
  /** Bytes of the segments closed since the last snapshot. */
  #segmentBytes = 0;
  /** Bytes of the last snapshot's state. */
  #snapshotBytes = 0;

  constructor(log: ArchivedLog) {
    this.#log = log;
  }

  /** Goes on from the snapshot at `size`; 0: there is none. */
  async reset(size: number): Promise<void> {
    this.#segmentBytes = 0;
    this.#snapshotBytes = size === 0 ? 0 : await this.#bytesAt(size);
  }

  async #bytesAt(size: number): Promise<number> {
    const { objects, keys, verifiers } = this.#log;
    const stored = await objects.get(keys.snapshot(size));
    const payload = stored === undefined ? undefined : signedPayload(stored.bytes, 'snapshot', verifiers);
    return payload === undefined ? 0 : parseSnapshotStatement(payload).bytes;
  }

  /** Counts a segment that was closed. */
  addSegment(bytes: number): void {
    this.#segmentBytes += bytes;
  }

  get isDue(): boolean {
    return this.#segmentBytes > this.#snapshotBytes;
  }

  /** The state at a segment's end: stores its file at once, since the state goes on, and returns the statement, which makes it count. Can be called again after a failure. */
  async draft(state: LogState, chainOffset: number): Promise<SnapshotDraft> {
    const { objects, keys, name, sources } = this.#log;
    const { size } = state.head;
    const pieces = await statePieces(snapshotHead(state.head, chainOffset), state, new Turns(sources.clock));
    const { bytes, sha256 } = await putPieces(objects, keys.state(size), pieces);
    return { size, bytes, payload: encodeSnapshotStatement({ origin: name, size, bytes, sha256 }) };
  }

  /** Writes the statement of a snapshot whose file is stored. Can be called again after a failure. */
  async write({ size, bytes, payload }: SnapshotDraft): Promise<void> {
    const { objects, keys, signing } = this.#log;
    await putEnvelope(objects, keys.snapshot(size), { type: 'snapshot', payload }, signing);
    this.#snapshotBytes = bytes;
    this.#segmentBytes = 0;
  }
}
