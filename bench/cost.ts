/** The time that some work took, for each event. */
export interface Cost {
  /** Processor time of the whole process, threads of libuv, LMDB and the garbage collector included. */
  readonly cpuMicros: number;
  readonly wallMicros: number;
}

/** Runs `work` and measures its cost, divided by `events`. */
export async function measured(events: number, work: () => Promise<void> | void): Promise<Cost> {
  const cpu = process.cpuUsage();
  const begun = performance.now();
  await work();
  const wallMicros = (1000 * (performance.now() - begun)) / events;
  const { user, system } = process.cpuUsage(cpu);
  return { cpuMicros: (user + system) / events, wallMicros };
}

export interface Percentiles {
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

/** Percentiles by nearest rank. */
export function percentiles(values: Float64Array): Percentiles {
  const sorted = values.toSorted();
  const at = (share: number): number => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
  return { p50: at(0.5), p90: at(0.9), p99: at(0.99), p999: at(0.999), max: at(1) };
}
