/** What differs from the defaults: segments close soon after the end, and what is recorded faster than it is kept waits in the spool only so far. `lingerMs` is that of `lineproof config`. */
export const OVERRIDES = { lingerMs: 20, segmentMaxAgeMs: 1000, spoolMaxBytes: 32 * 1024 * 1024 } as const;
