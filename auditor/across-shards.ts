import type { LaneAudit } from './lane-audit.ts';
import type { Refusals } from './refusals.ts';
import type { SilenceAudit } from './silence-audit.ts';

/** What is gathered over all shards of an archive. */
export interface AcrossShards {
  readonly lanes: LaneAudit;
  readonly silence: SilenceAudit;
  readonly refusals: Refusals;
}
