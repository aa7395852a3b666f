/** Why work on a shard waits, with what it means: the closed list behind the label `reason` of the metrics `…_held`. docs/metrics.md has the table. */
export const HOLD_REASONS = {
  UNAVAILABLE: 'A server gives no answer, or refuses for now.',
  ANSWER_UNUSABLE: 'The registry answers as no registry does.',
  REFUSED: 'A server refuses; if it lasts, the process ends and names the setting.',
  NOT_FOUND: 'A topic or partition is not there.',
  IO_FAILED: 'The disk or the object store refuses a read or write.',
  DISK_FULL: 'The disk of the state folder is full.',
  INDEX_FORGETS: 'Redis is set to evict.',
  CLOCKS_DIFFER: 'This clock and that of the dedup index differ by more than `clockSkew`.',
  CLOCK_LEADS_LOG: "This clock leads the log's by more than `clockSkew`.",
  POLICY_MISSING: 'A block names a policy version that is not on `provenance.control` yet.',
  SCHEMA_MISSING: 'The registry does not give an event schema that a block names, or that is in force.',
  APPEND_UNCONFIRMED: 'The chain topic does not take the next block.',
} as const;

export type HoldReason = keyof typeof HOLD_REASONS;
