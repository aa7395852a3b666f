/** A time stamp that counts: the first `size` leaves were there at `to` at the latest; it was made at `from` at the earliest. Microseconds. */
export interface StampedSize {
  readonly size: number;
  readonly from: number;
  readonly to: number;
}

/** What the time stamps of one shard say. */
export interface TimeCounts {
  readonly stamps: number;
  readonly coveredLeaves: number;
  readonly uncoveredLeaves: number;
  /** Covered leaves with no time stamp before them: nothing says how long they were there already. */
  readonly unboundedLeaves: number;
  /** Width of the widest bracket, rounded up: from the last time stamp that does not cover a leaf to the first one that does. */
  readonly widestSeconds: number;
}

/** Counts brackets over the sizes of one shard. */
export function timeCounts(stamps: readonly StampedSize[], leaves: number): TimeCounts {
  const sorted = stamps.toSorted((a, b) => a.size - b.size);
  const coveredLeaves = sorted.at(-1)?.size ?? 0;
  return {
    stamps: stamps.length,
    coveredLeaves,
    uncoveredLeaves: Math.max(0, leaves - coveredLeaves),
    unboundedLeaves: sorted[0]?.size ?? 0,
    widestSeconds: Math.ceil(widestBracket(sorted) / 1e6),
  };
}

/** Width of the widest bracket, microseconds. Between two neighbouring sizes lie leaves that every time stamp from the upper one on covers, and none up to the lower one. */
function widestBracket(sorted: readonly StampedSize[]): number {
  const uppers: number[] = [];
  let upper = Infinity;
  for (const { to } of sorted.toReversed()) {
    upper = Math.min(upper, to);
    uppers.push(upper);
  }
  let [lower, widest] = [-Infinity, 0];
  for (const [i, { size, from }] of sorted.entries()) {
    const before = sorted[i - 1];
    if (before !== undefined && before.size < size) widest = Math.max(widest, (uppers[sorted.length - 1 - i] as number) - lower);
    lower = Math.max(lower, from);
  }
  return widest;
}

/** The counts of all shards together. */
export function timeTotals(shards: readonly TimeCounts[]): TimeCounts {
  const sum = (name: keyof TimeCounts): number => shards.reduce((total, each) => total + each[name], 0);
  return {
    stamps: sum('stamps'),
    coveredLeaves: sum('coveredLeaves'),
    uncoveredLeaves: sum('uncoveredLeaves'),
    unboundedLeaves: sum('unboundedLeaves'),
    widestSeconds: shards.reduce((widest, { widestSeconds }) => Math.max(widest, widestSeconds), 0),
  };
}
