import type { LogState } from '../core/acceptance/log-state.ts';
import { encodeSnapshotStatement, parseSnapshotStatement, snapshotHead } from '../core/archive/snapshot.ts';
import { statePieces } from '../core/archive/state-file.ts';
import { Turns } from '../core/base/turns.ts';
import type { ArchivedLog } from './archived-log.ts';
import { putEnvelope, putPieces, signedPayload } from './write-once.ts';

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

  /** Writes the state at a segment's end: first its file, then the statement, which makes it count. `state` must not change meanwhile. */
  async write(state: LogState, chainOffset: number): Promise<void> {
    const { objects, keys, name, signing, sources } = this.#log;
    const { size } = state.head;
    const pieces = await statePieces(snapshotHead(state.head, chainOffset), state, new Turns(sources.clock));
    const { bytes, sha256 } = await putPieces(objects, keys.state(size), pieces);
    const payload = encodeSnapshotStatement({ origin: name, size, bytes, sha256 });
    await putEnvelope(objects, keys.snapshot(size), { type: 'snapshot', payload }, signing);
    this.#snapshotBytes = bytes;
    this.#segmentBytes = 0;
  }
}
