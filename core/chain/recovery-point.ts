import type { Lane, LogHead, StreamEnd } from '../acceptance/log-state.ts';
import type { OpenSegment } from '../acceptance/segment-rule.ts';

/** A state from which a reader of a shard can go on, from a snapshot or from a process's memory. */
export interface RecoveryPoint {
  readonly head: LogHead;
  readonly streams: Iterable<readonly [string, StreamEnd]>;
  readonly lanes: Iterable<readonly [string, Lane]>;
  /** Offset on the chain topic of the block that the head ends in. */
  readonly chainOffset: number;
  /** The segment that is open at the head; undefined if the head is the end of a segment, which the head of a snapshot always is. */
  readonly segment?: OpenSegment | undefined;
}

/** The attested state, as the archive states it to a chainer that starts or goes on. */
export interface ArchiveAnchor {
  /** Size and root of the newest note that the log key signed, verified; undefined if there is none. Throws UNAVAILABLE; ARCHIVE_DIVERGED for a note that does not verify. */
  signed(shard: number): Promise<{ readonly size: number; readonly root: Uint8Array } | undefined>;
  /** The newest snapshot that verifies; undefined if there is none. */
  snapshot(shard: number): Promise<RecoveryPoint | undefined>;
}
