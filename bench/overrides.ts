/** Settings that differ from the defaults: segments close soon after the end, and the spool is small, so that recording cannot run far ahead of archiving. `lingerMs` is that of `lineproof config`. */
export const OVERRIDES = { lingerMs: 20, segmentMaxAgeMs: 1000, spoolMaxBytes: 32 * 1024 * 1024 } as const;
