import { type LogState, parseLaneKey } from '../core/acceptance/log-state.ts';
import { encodeSnapshot } from '../core/archive/snapshot.ts';
import { fromHex } from '../core/base/bytes.ts';
import type { ArchivedLog } from './archived-log.ts';
import { putEnvelope } from './write-once.ts';

/** A snapshot that is not written yet. */
export interface SnapshotDraft {
  readonly size: number;
  readonly payload: Uint8Array;
}

/** Writes snapshots of one log's state: one each time the segments since the last snapshot are larger than that snapshot. Only its methods change its fields. */
export class Snapshots {
  readonly #log: ArchivedLog;
  /** Bytes of the segments closed since the last snapshot. */
  #segmentBytes = 0;
  /** Bytes of the last snapshot. */
  #snapshotBytes = 0;

  constructor(log: ArchivedLog) {
    this.#log = log;
  }

  /** Goes on from the snapshot at `size`; 0: there is none. */
  async reset(size: number): Promise<void> {
    const { objects, keys } = this.#log;
    this.#segmentBytes = 0;
    this.#snapshotBytes = size === 0 ? 0 : ((await objects.get(keys.snapshot(size)))?.bytes.length ?? 0);
  }

  /** Counts a segment that was closed. */
  addSegment(bytes: number): void {
    this.#segmentBytes += bytes;
  }

  get isDue(): boolean {
    return this.#segmentBytes > this.#snapshotBytes;
  }

  /** The state at a segment's end, to be written once the segment is closed. */
  draft(state: LogState, chainOffset: number): SnapshotDraft {
    const { frontier, policy, ...rest } = state.head;
    const payload = encodeSnapshot({
      ...rest,
      frontier: frontier.hashes,
      policy: policy === null ? null : fromHex(policy),
      chainOffset,
      streams: [...state.streams()].map(([stream, end]) => ({ stream, ...end })),
      lanes: [...state.lanes()].map(([key, lane]) => ({ ...parseLaneKey(key), ...lane })),
    });
    return { size: rest.size, payload };
  }

  /** Writes a snapshot. Can be called again after a failure. */
  async write({ size, payload }: SnapshotDraft): Promise<void> {
    const { objects, keys, signing } = this.#log;
    const bytes = await putEnvelope(objects, keys.snapshot(size), { type: 'snapshot', payload }, signing);
    this.#snapshotBytes = bytes.length;
    this.#segmentBytes = 0;
  }
}
