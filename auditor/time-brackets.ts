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
  const bySize = stamps.toSorted((a, b) => a.size - b.size);
  const coveredLeaves = bySize.at(-1)?.size ?? 0;
  return {
    stamps: stamps.length,
    coveredLeaves,
    uncoveredLeaves: Math.max(0, leaves - coveredLeaves),
    unboundedLeaves: bySize[0]?.size ?? 0,
    widestSeconds: Math.ceil(widestBracket(bySize) / 1e6),
  };
}

/** Of time stamps in the order of their sizes: each pass goes through them once, since an archive can hold one for each second. */
function widestBracket(bySize: readonly StampedSize[]): number {
  // Between two sizes, every time stamp from the larger on covers the leaves, and none before.
  const upper = new Array<number>(bySize.length);
  let earliest = Infinity;
  for (let i = bySize.length - 1; i >= 0; i--) {
    earliest = Math.min(earliest, (bySize[i] as StampedSize).to);
    upper[i] = earliest;
  }
  let [lower, widest] = [-Infinity, 0];
  for (const [i, { size, from }] of bySize.entries()) {
    lower = Math.max(lower, from);
    if ((bySize[i + 1]?.size ?? size) > size) widest = Math.max(widest, (upper[i + 1] as number) - lower);
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
    widestSeconds: Math.max(0, ...shards.map(({ widestSeconds }) => widestSeconds)),
  };
}
