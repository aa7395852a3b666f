import { equal } from '../base/bytes.ts';
import type { Lane } from './log-state.ts';

/** The effect of a header on its lane: the table of docs/formats.md §2, first row that fits. NEXT and GAP are both ACCEPTED. */
export type LaneOutcome = 'REPEATED' | 'FORK' | 'NEXT' | 'GAP';

/** The facts about a header that its lane is judged by. */
export interface LaneStep {
  readonly number: number;
  /** H of the lane's previous header, as the header claims it. */
  readonly previous: Uint8Array;
  /** H of this header. */
  readonly hash: Uint8Array;
  /** `appendedAt` of the message that carried it, microseconds. */
  readonly appendedAt: number;
}

/**
 * Judges a header against its lane. `lane` is undefined if the state holds none; a lane whose last header is older than `retentionMicros` counts as none.
 * A lane remembers only its last header. The dedup index knows the headers accepted before that one, so the caller asks the index first.
 */
export function judgeLane(lane: Lane | undefined, step: LaneStep, retentionMicros: number): LaneOutcome {
  if (lane === undefined || step.appendedAt - lane.appendedAt > retentionMicros) return step.number === 0 ? 'NEXT' : 'GAP';
  if (equal(lane.hash, step.hash)) return 'REPEATED';
  if (step.number > lane.number) return 'GAP';
  return step.number === lane.number && equal(lane.hash, step.previous) ? 'NEXT' : 'FORK';
}
