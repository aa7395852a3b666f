import type { Head, Lane, LogHead } from '../acceptance/log-state.ts';
import type { OpenSegment } from '../acceptance/segment-rule.ts';

/** A state from which a reader of a shard can go on, from a snapshot or from a process's memory. */
export interface RecoveryPoint {
  readonly head: LogHead;
  readonly streams: Iterable<readonly [string, Head]>;
  readonly lanes: Iterable<readonly [string, Lane]>;
  /** Offset on the chain topic of the block that the head ends in. */
  readonly chainOffset: number;
  /** The segment that is open at the head; undefined where the head is a segment's end, as a snapshot's always is. */
  readonly segment?: OpenSegment | undefined;
}

/** The archive as a chainer asks it before it goes on: the archive decides what is attested. */
export interface ArchiveAnchor {
  /** Size and root of the newest note that the log key signed, verified; undefined where none was. Throws UNAVAILABLE; ARCHIVE_DIVERGED for a note that does not verify. */
  signed(shard: number): Promise<{ readonly size: number; readonly root: Uint8Array } | undefined>;
  /** The newest snapshot that verifies; undefined where there is none. */
  snapshot(shard: number): Promise<RecoveryPoint | undefined>;
}
