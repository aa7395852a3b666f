import type { EventInput } from '../sdk/event-input.ts';
import { type Cost, measured } from './cost.ts';
import type { BenchSystem, Checked } from './system.ts';
import type { Workload } from './workload.ts';

/** Callers that record at the same time, and the events that each records before it waits for the disk. */
export const WRITERS = 16;
export const EVENTS_PER_WAIT = 256;

export interface Throughput {
  /** Calls of `record`. */
  readonly offered: number;
  readonly checked: Checked;
  /** From the first `record` on. */
  readonly seconds: { readonly recorded: number; readonly accepted: number; readonly archived: number; readonly verified: number };
  /** Events per second from the first `record` to accepted, to archived, and to archived and verified. */
  readonly acceptedPerSecond: number;
  readonly archivedPerSecond: number;
  readonly verifiedPerSecond: number;
  /** Cost of this process, which records and verifies. */
  readonly cost: Cost;
  /** Processor time in microseconds for each event: of this process until all is archived, of this process from then on, and of the other processes. */
  readonly cpuMicros: { readonly recording: number; readonly verifying: number; readonly others: Readonly<Record<string, number>> };
}

export interface ThroughputOptions {
  readonly events: number;
  /** Events that are offered twice. */
  readonly repeats: number;
  /** Events that each caller records before it waits until they are safe. */
  readonly eventsPerWait?: number;
}

/** Offers `events` as fast as the system takes them, waits until all are archived, verifies. */
export async function measureThroughput(
  system: BenchSystem,
  workload: Workload,
  { events, repeats, eventsPerWait = EVENTS_PER_WAIT }: ThroughputOptions,
): Promise<Throughput> {
  const seconds = { recorded: 0, accepted: 0, archived: 0, verified: 0 };
  const before = { ...system.othersMicros() };
  let recording = 0;
  let checked: Checked = { ok: false, links: 0, verdict: '' };
  const begun = performance.now();
  const since = (): number => (performance.now() - begun) / 1000;
  const cpu = process.cpuUsage();
  const cost = await measured(events, async () => {
    const ids = await offer(system, workload, { events, eventsPerWait, keep: repeats });
    for (const [i, id] of ids.entries()) system.record({ ...workload.event(i), id, occurredAt: new Date() } as EventInput);
    seconds.recorded = since();
    await system.finish();
    seconds.archived = since();
    seconds.accepted = (system.acceptedAtMs() - begun) / 1000;
    const { user, system: kernel } = process.cpuUsage(cpu);
    recording = (user + kernel) / events;
    checked = await system.verify();
    seconds.verified = since();
  });
  const others = Object.fromEntries(
    Object.entries(system.othersMicros()).map(([name, micros]) => [name, (micros - (before[name] ?? 0)) / events]),
  );
  const perSecond = (took: number): number => Math.min(events, checked.links) / took;
  return {
    offered: events + repeats,
    checked,
    seconds,
    acceptedPerSecond: perSecond(seconds.accepted),
    archivedPerSecond: perSecond(seconds.archived),
    verifiedPerSecond: perSecond(seconds.verified),
    cost,
    cpuMicros: { recording, verifying: cost.cpuMicros - recording, others },
  };
}

/** Records `events` as concurrent callers do, each waiting for the disk after every `eventsPerWait`. Returns the ids of the first `keep`. */
export async function offer(
  system: Pick<BenchSystem, 'record' | 'recordDurably'>,
  workload: Workload,
  {
    events,
    eventsPerWait = EVENTS_PER_WAIT,
    keep = 0,
  }: { readonly events: number; readonly eventsPerWait?: number; readonly keep?: number },
): Promise<string[]> {
  const ids: string[] = [];
  let next = 0;
  const write = async (): Promise<void> => {
    while (next < events) {
      for (const end = Math.min(events, next + eventsPerWait) - 1; next < end; next++) {
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
