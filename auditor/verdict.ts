/** What a verdict speaks of. The last three need more than this version has and say so. */
export const PROPERTIES = [
  'ARCHIVE',
  'LOG',
  'STREAMS',
  'SIGNATURES',
  'ORDER',
  'COMPLETE',
  'UNIQUE',
  'POLICY',
  'WITNESSES',
  'TIME',
] as const;
export type Property = (typeof PROPERTIES)[number];

/** FAILED: shown to be wrong. OPEN: right so far, and not ended. NOT CHECKED: nothing is claimed. */
export type Result = 'OK' | 'FAILED' | 'OPEN' | 'NOT CHECKED';

/** Where a finding lies, as exactly as it is known. */
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

/** One thing that was found. `FAILED` fails its property; `OPEN` keeps it open; `NOTE` is a report and fails nothing. */
export interface Finding {
  readonly property: Property;
  readonly severity: 'FAILED' | 'OPEN' | 'NOTE';
  /** Short name of the kind of finding, for programs. */
  readonly code: string;
  readonly message: string;
  readonly place: Place;
}

export interface PropertyVerdict {
  readonly result: Result;
  /** Which pinned key it rests on, or what would be needed. */
  readonly trust: string;
  /** What was looked at, counted. */
  readonly counts: Readonly<Record<string, number>>;
}

/** The auditor's answer. Never green by a key that came with the archive. */
export interface Verdict {
  /** True when no checked property failed and everything that rests on signatures rests on a pinned key. */
  readonly ok: boolean;
  readonly origin: string;
  readonly properties: Readonly<Record<Property, PropertyVerdict>>;
  readonly findings: readonly Finding[];
  /** Findings of each code that were counted and not kept. */
  readonly unlisted: Readonly<Record<string, number>>;
}
