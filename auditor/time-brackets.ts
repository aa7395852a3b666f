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
  const sizes = [...new Set(stamps.map(({ size }) => size))].toSorted((a, b) => a - b);
  const coveredLeaves = sizes.at(-1) ?? 0;
  let widest = 0;
  for (const [i, size] of sizes.entries()) {
    const before = sizes[i - 1];
    if (before === undefined) continue;
    // Leaves from `before` on: every time stamp of `size` and more covers them, none of `before` and less does.
    const upper = Math.min(...stamps.filter((stamp) => stamp.size >= size).map(({ to }) => to));
    const lower = Math.max(...stamps.filter((stamp) => stamp.size <= before).map(({ from }) => from));
    widest = Math.max(widest, upper - lower);
  }
  return {
    stamps: stamps.length,
    coveredLeaves,
    uncoveredLeaves: Math.max(0, leaves - coveredLeaves),
    unboundedLeaves: sizes[0] ?? 0,
    widestSeconds: Math.ceil(widest / 1e6),
  };
}

/** The counts of all shards together. */
export function timeTotals(shards: readonly TimeCounts[]): TimeCounts {
  const sum = (name: keyof TimeCounts): number => shards.reduce((total, each) => total + each[name], 0);
  return {
    stamps: sum('stamps'),
    coveredLeaves: sum('coveredLeaves'),
    uncoveredLeaves: sum('uncoveredLeaves'),
    unboundedLeaves: sum('unboundedLeaves'),
    widestSeconds: Math.max(0, ...shards.map(({ widestSeconds }) => widestSeconds)),
  };
}
