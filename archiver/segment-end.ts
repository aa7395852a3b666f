import type { LogHead, LogState } from '../core/acceptance/log-state.ts';
import type { NoteSignature } from '../core/keys/note.ts';
import type { EndedSegment, Segments } from './segments.ts';
import type { SnapshotDraft, Snapshots } from './snapshots.ts';
import type { TreeWriter } from './tree-writer.ts';
import type { TopicTrim } from './trim.ts';

/** A segment between its last block and its manifest. */
interface Ending {
  readonly head: LogHead;
  readonly segment: EndedSegment;
  /** Undefined where no snapshot is due. */
  readonly snapshot: SnapshotDraft | undefined;
}

export interface SegmentEndParts {
  readonly tree: TreeWriter;
  readonly segments: Segments;
  readonly snapshots: Snapshots;
  readonly trim: TopicTrim;
}

/**
 * The end of a segment, in two steps: its files are stored as soon as its last block is there; its note, manifest and snapshot follow when witnesses have
 * cosigned the note, or their time is over. Blocks are read on in between. Only `begin`, `close` and `reset` change it.
 */
export class SegmentEnd {
  readonly #parts: SegmentEndParts;
  #ending: Ending | undefined;
  /** The newest segment whose files are stored. */
  #ended: EndedSegment | undefined;

  constructor(parts: SegmentEndParts) {
    this.#parts = parts;
  }

  /** Size of the segment that is not closed yet; undefined if there is none. */
  get size(): number | undefined {
    return this.#ending?.head.size;
  }

  reset(): void {
    this.#ending = undefined;
    this.#ended = undefined;
  }

  /** Stores the files of the segment that ends with the state, once the store gives back every leaf and tile of it. Can be called again after a failure. */
  async begin(state: LogState, chainOffset: number): Promise<void> {
    const { tree, segments, snapshots } = this.#parts;
    const { head } = state;
    if (this.#ended?.checkpoint.size !== head.size) {
      await tree.readSegmentBack(head);
      this.#ended = await segments.end(head);
      snapshots.addSegment(this.#ended.bytes);
      tree.beginSegment();
    }
    const snapshot = snapshots.isDue ? await snapshots.draft(state, chainOffset) : undefined;
    this.#ending = { head, segment: this.#ended, snapshot };
  }

  /** Closes the segment; then writes the snapshot and trims the topics up to the records that are still needed. Can be called again after a failure. */
  async close(cosignatures: readonly NoteSignature[], closed: (head: LogHead) => void): Promise<void> {
    if (this.#ending === undefined) return;
    const { segments, snapshots, trim } = this.#parts;
    const { head, segment, snapshot } = this.#ending;
    if (segments.archivedSize < head.size) {
      await segments.close(segment, cosignatures);
      closed(head);
    }
    if (snapshot !== undefined) {
      await snapshots.write(snapshot);
      await trim.behind(head);
    }
    this.#ending = undefined;
  }
}
