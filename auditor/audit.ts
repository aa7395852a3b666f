import type { ArchiveReader } from './archive-reader.ts';
import type { AuditLimits } from './audit-limits.ts';
import type { Findings } from './findings.ts';
import type { Governance } from './governance.ts';
import type { StampRoots } from './stamp-roots.ts';
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
  /** Whose time stamps count; without it time stamps are not looked at. */
  readonly stampRoots?: StampRoots | undefined;
  /** The reader's clock, microseconds, where the reader has one. */
  readonly now?: number | undefined;
}
