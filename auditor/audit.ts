import type { ArchiveReader } from './archive-reader.ts';
import type { AuditLimits } from './audit-limits.ts';
import type { Findings } from './findings.ts';
import type { Governance } from './governance.ts';
import type { WitnessTrust } from './witness-trust.ts';

/** The audit of one shard: its sources, its rules, and where it reports. */
export interface Audit {
  readonly objects: ArchiveReader;
  /** Every object of the shard's log with its size. */
  readonly listed: ReadonlyMap<string, number>;
  readonly origin: string;
  readonly shard: number;
  readonly shards: number;
  readonly governance: Governance;
  readonly findings: Findings;
  readonly limits: AuditLimits;
  readonly witnesses: WitnessTrust;
}
