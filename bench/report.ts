import type { Percentiles } from './cost.ts';
import type { Latency } from './latency.ts';
import type { Machine } from './machine.ts';
import type { PartCosts } from './parts.ts';
import type { Checked } from './system.ts';
import { EVENTS_PER_WAIT, type Throughput, WRITERS } from './throughput.ts';
import { EVENT_BYTES } from './workload.ts';

/** Everything that one call measured. */
export interface Report {
  readonly machine: Machine;
  readonly eventBytes: number;
  readonly streams: number;
  readonly settings: Readonly<Record<string, string | number>>;
  readonly throughput: Throughput | undefined;
  readonly parts: PartCosts | undefined;
  readonly latency: Latency | undefined;
  /** The reasons why the measurement does not count; empty if it counts. */
  readonly problems: readonly string[];
}

/** A figure counts only if the archive verifies and has one link for each event that was offered. */
export function problemsOf(what: string, offered: number, { ok, links, verdict }: Checked): string[] {
  return [
    ...(links === offered ? [] : [`${what}: the archive has ${links} links for ${offered} events that were offered`]),
    ...(ok ? [] : [`${what}: the archive does not verify: ${verdict}`]),
  ];
}

/** The report for people. */
export function reportText(report: Report): string {
  const { throughput, parts, latency, problems } = report;
  const lines = [
    ...headLines(report),
    ...(throughput === undefined
      ? []
      : [...wholeLines('Whole', throughput), row('  processor', `${throughput.cost.cpuMicros.toFixed(1)} µs/event`)]),
    ...(parts === undefined ? [] : partLines(parts)),
    ...(latency === undefined ? [] : latencyLines(latency)),
    ...verdictLines(problems),
  ];
  return `${lines.join('\n')}\n`;
}

/** The lines about machine, versions, settings and workload. */
export function headLines({ machine, streams, settings }: Pick<Report, 'machine' | 'streams' | 'settings'>): string[] {
  return [
    `Machine    ${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB; ${machine.system}; ${machine.fileSystem}`,
    `Versions   Node ${machine.node}; ${Object.entries(machine.packages)
      .map(([name, version]) => `${name} ${version}`)
      .join(', ')}`,
    `Commit     ${machine.commit ?? 'not in a repository'}`,
    `Settings   ${Object.entries(settings)
      .map(([name, value]) => `${name} ${value}`)
      .join(', ')}; all others have their defaults`,
    `Workload   events of ${EVENT_BYTES} bytes as encoded, in ${streams} streams`,
  ];
}

/** Whether the figures count. */
export function verdictLines(problems: readonly string[]): string[] {
  return [
    '',
    ...(problems.length === 0
      ? ['Every archive verifies and has one link for each event offered.']
      : problems.map((problem) => `FAILED     ${problem}`)),
  ];
}

/** Seconds and events per second of a run at full speed. */
export function wholeLines(title: string, done: Throughput, eventsPerWait = EVENTS_PER_WAIT): string[] {
  const { offered, checked, seconds, acceptedPerSecond, archivedPerSecond, verifiedPerSecond } = done;
  const waits = eventsPerWait === 1 ? 'each one' : `every ${eventsPerWait}`;
  return [
    '',
    `${title.padEnd(10)} ${offered} events by ${WRITERS} callers that wait until they are safe after ${waits}; ${checked.links} links; ${checked.verdict}`,
    row('  recorded', `${seconds.recorded.toFixed(2)} s`),
    row('  accepted', `${seconds.accepted.toFixed(2)} s`, `${whole(acceptedPerSecond)} events/s`),
    row('  archived', `${seconds.archived.toFixed(2)} s`, `${whole(archivedPerSecond)} events/s`),
    row('  and verified', `${seconds.verified.toFixed(2)} s`, `${whole(verifiedPerSecond)} events/s`),
  ];
}

function partLines({ offered, checked, costs }: PartCosts): string[] {
  const sum = costs.collector.cpuMicros + costs.chainer.cpuMicros + costs.archiver.cpuMicros + costs.auditor.cpuMicros;
  return [
    '',
    `Parts      one after the other, ${offered} events; ${checked.links} links; ${checked.verdict}`,
    row('', 'CPU µs/event', 'wall µs/event'),
    ...Object.entries(costs).map(([name, cost]) =>
      row(`  ${LABELS[name as keyof typeof LABELS]}`, cost.cpuMicros.toFixed(1), cost.wallMicros.toFixed(1)),
    ),
    row('  sum of the four', sum.toFixed(1)),
  ];
}

const LABELS = {
  workload: '(making events)',
  collector: 'collector',
  chainer: 'chainer',
  archiver: 'archiver',
  auditor: 'auditor',
  log: '(log alone)',
} as const;

/** Percentiles of a paced run. */
export function latencyLines({ offered, rate, checked, recordMicros, attestedMs }: Latency): string[] {
  return [
    '',
    `Latency    ${offered} events at ${rate}/s; ${checked.links} links; ${checked.verdict}`,
    row('', 'p50', 'p90', 'p99', 'p99.9', 'max'),
    row('  record, µs', ...ranks(recordMicros)),
    row('  attested, ms', ...ranks(attestedMs)),
  ];
}

function ranks({ p50, p90, p99, p999, max }: Percentiles): string[] {
  return [p50, p90, p99, p999, max].map((value) => (value < 100 ? value.toFixed(1) : whole(value)));
}

/** A label and right-aligned cells. */
export function row(label: string, ...cells: readonly string[]): string {
  return `${label.padEnd(18)}${cells.map((cell) => cell.padStart(16)).join('')}`.trimEnd();
}

/** A rounded number with separators between the thousands. */
export function whole(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}
