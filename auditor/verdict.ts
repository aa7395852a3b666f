import type { FindingCode, Severity } from './findings-table.ts';
import type { Property } from './property.ts';

/** FAILED: something is shown to be wrong. OPEN: nothing is wrong so far, and more may come. NOT CHECKED: nothing is claimed. */
export type Result = 'OK' | 'FAILED' | 'OPEN' | 'NOT CHECKED';

/** Where a finding lies, as exactly as the auditor knows. */
export interface Place {
  readonly object?: string;
  readonly shard?: number;
  /** Tree index. */
  readonly leaf?: number;
  readonly stream?: string;
  /** Input offset. */
  readonly offset?: number;
  readonly lane?: string;
}

/** One thing that was found. */
export interface Finding {
  readonly property: Property;
  readonly severity: Severity;
  /** A code of `FINDINGS`, for programs; docs/findings.md explains each. */
  readonly code: FindingCode;
  readonly message: string;
  readonly place: Place;
}

export interface PropertyVerdict {
  readonly result: Result;
  /** The pinned key that the result rests on, or the key that it would need. */
  readonly trust: string;
  /** Counts of the checked items. */
  readonly counts: Readonly<Record<string, number>>;
}

/** The auditor's answer. A key that came with the archive never makes it OK. */
export interface Verdict {
  /** True when no checked property failed and everything that rests on signatures rests on a pinned key. */
  readonly ok: boolean;
  readonly origin: string;
  readonly properties: Readonly<Record<Property, PropertyVerdict>>;
  readonly findings: readonly Finding[];
  /** How many findings of each code were counted and not kept. */
  readonly unlisted: Readonly<Record<string, number>>;
}
