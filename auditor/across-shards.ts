import type { LaneAudit } from './lane-audit.ts';
import type { Refusals } from './refusals.ts';

/** What is gathered over all shards of an archive. */
export interface AcrossShards {
  readonly lanes: LaneAudit;
  readonly refusals: Refusals;
}
