import { type Cost, measured } from './cost.ts';
import type { BenchSystem, Checked } from './system.ts';
import type { Workload } from './workload.ts';

/** Callers that record at the same time, and what each records before it waits for the disk. */
export const WRITERS = 16;
export const EVENTS_PER_WAIT = 256;

export interface Throughput {
  /** Calls of `record`. */
  readonly offered: number;
  readonly checked: Checked;
  /** From the first `record` on. */
  readonly seconds: { readonly recorded: number; readonly archived: number; readonly verified: number };
  /** Events per second from the first `record` to archived, and to archived and verified. */
  readonly archivedPerSecond: number;
  readonly verifiedPerSecond: number;
  readonly cost: Cost;
}

/** Offers `events` as fast as the system takes them, waits until all are archived, verifies. `repeats` events are offered twice. */
export async function measureThroughput(
  system: BenchSystem,
  workload: Workload,
  { events, repeats }: { readonly events: number; readonly repeats: number },
): Promise<Throughput> {
  const seconds = { recorded: 0, archived: 0, verified: 0 };
  let checked: Checked = { ok: false, links: 0, verdict: '' };
  const begun = performance.now();
  const since = (): number => (performance.now() - begun) / 1000;
  const cost = await measured(events, async () => {
    const ids = await offer(system, workload, events, repeats);
    for (const [i, id] of ids.entries()) system.record({ ...workload.event(i), id });
    seconds.recorded = since();
    await system.finish();
    seconds.archived = since();
    checked = await system.verify();
    seconds.verified = since();
  });
  const perSecond = (took: number): number => Math.min(events, checked.links) / took;
  return {
    offered: events + repeats,
    checked,
    seconds,
    archivedPerSecond: perSecond(seconds.archived),
    verifiedPerSecond: perSecond(seconds.verified),
    cost,
  };
}

/** Records `events` as concurrent callers do, each waiting for the disk now and then. The ids of the first `keep`. */
export async function offer(
  system: Pick<BenchSystem, 'record' | 'recordDurably'>,
  workload: Workload,
  events: number,
  keep = 0,
): Promise<string[]> {
  const ids: string[] = [];
  let next = 0;
  const write = async (): Promise<void> => {
    while (next < events) {
      for (const end = Math.min(events, next + EVENTS_PER_WAIT) - 1; next < end; next++) {
        const id = system.record(workload.event(next));
        if (next < keep) ids[next] = id;
      }
      const last = next++;
      const id = await system.recordDurably(workload.event(last));
      if (last < keep) ids[last] = id;
    }
  };
  await Promise.all(Array.from({ length: WRITERS }, write));
  return ids;
}
