import { setTimeout as sleep } from 'node:timers/promises';
import { type Percentiles, percentiles } from './cost.ts';
import type { BenchSystem, Checked } from './system.ts';
import type { Workload } from './workload.ts';

const TURN_MS = 5;

export interface Latency {
  readonly offered: number;
  /** Events per second that were offered evenly. */
  readonly rate: number;
  readonly checked: Checked;
  /** The `record` call itself, microseconds. */
  readonly recordMicros: Percentiles;
  /** From the call to the first note that covers the event, milliseconds. */
  readonly attestedMs: Percentiles;
}

/** Offers `rate` events per second for `seconds`, and measures when each was attested. */
export async function measureLatency(
  system: BenchSystem,
  workload: Workload,
  { rate, seconds }: { readonly rate: number; readonly seconds: number },
): Promise<Latency> {
  const offered = Math.max(1, Math.round(rate * seconds));
  const calledMs = new Float64Array(offered);
  const tookMicros = new Float64Array(offered);
  const begun = performance.now();
  for (let i = 0; i < offered; ) {
    for (const due = Math.min(offered, ((performance.now() - begun) * rate) / 1000); i < due; i++) {
      const event = workload.event(i);
      const called = performance.now();
      system.record(event);
      tookMicros[i] = 1000 * (performance.now() - called);
      calledMs[i] = called;
    }
    await sleep(TURN_MS);
  }
  await system.finish();
  const checked = await system.verify();
  return {
    offered,
    rate,
    checked,
    recordMicros: percentiles(tookMicros),
    attestedMs: percentiles(attestedAfter(system, workload, calledMs)),
  };
}

/** For each event, milliseconds from its call to the first note that covers it. */
function attestedAfter(system: BenchSystem, workload: Workload, calledMs: Float64Array): Float64Array {
  const after = new Float64Array(calledMs.length).fill(Number.POSITIVE_INFINITY);
  const places = new Map<number, number[]>();
  for (let i = 0; i < calledMs.length; i++) {
    const shard = system.shardOf(workload.event(i).stream);
    const events = places.get(shard) ?? [];
    events.push(i);
    places.set(shard, events);
  }
  const covered = new Map<number, number>();
  for (const { shard, links, atMs } of system.attestations()) {
    const events = places.get(shard) ?? [];
    for (let n = covered.get(shard) ?? 0; n < Math.min(links, events.length); n++) {
      const i = events[n] as number;
      after[i] = atMs - (calledMs[i] as number);
    }
    covered.set(shard, Math.max(links, covered.get(shard) ?? 0));
  }
  return after;
}
