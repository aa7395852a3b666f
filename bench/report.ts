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
  /** What makes the measurement void; empty where nothing does. */
  readonly problems: readonly string[];
}

/** A figure counts only from an archive that verifies and whose links are the events that were offered. */
export function problemsOf(what: string, offered: number, { ok, links, verdict }: Checked): string[] {
  return [
    ...(links === offered ? [] : [`${what}: the archive has ${links} links for ${offered} events that were offered`]),
    ...(ok ? [] : [`${what}: the archive does not verify: ${verdict}`]),
  ];
}

/** The report for people. */
export function reportText({ machine, streams, settings, throughput, parts, latency, problems }: Report): string {
  const lines = [
    `Machine    ${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB; ${machine.system}; ${machine.fileSystem}`,
    `Versions   Node ${machine.node}; ${Object.entries(machine.packages)
      .map(([name, version]) => `${name} ${version}`)
      .join(', ')}`,
    `Commit     ${machine.commit ?? 'not in a repository'}`,
    `Settings   ${Object.entries(settings)
      .map(([name, value]) => `${name} ${value}`)
      .join(', ')}; the others as lineproof config has them`,
    `Workload   events of ${EVENT_BYTES} bytes as encoded, in ${streams} streams`,
    ...(throughput === undefined ? [] : throughputLines(throughput)),
    ...(parts === undefined ? [] : partLines(parts)),
    ...(latency === undefined ? [] : latencyLines(latency)),
    '',
    ...(problems.length === 0
      ? ['Every archive verifies and has one link for each event offered.']
      : problems.map((problem) => `FAILED     ${problem}`)),
  ];
  return `${lines.join('\n')}\n`;
}

function throughputLines({ offered, checked, seconds, archivedPerSecond, verifiedPerSecond, cost }: Throughput): string[] {
  return [
    '',
    `Whole      ${offered} events by ${WRITERS} callers that wait for the disk after every ${EVENTS_PER_WAIT}; ${checked.links} links; ${checked.verdict}`,
    row('  recorded', `${seconds.recorded.toFixed(2)} s`),
    row('  archived', `${seconds.archived.toFixed(2)} s`, `${whole(archivedPerSecond)} events/s`),
    row('  and verified', `${seconds.verified.toFixed(2)} s`, `${whole(verifiedPerSecond)} events/s`),
    row('  processor', `${cost.cpuMicros.toFixed(1)} µs/event`),
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

function latencyLines({ offered, rate, checked, recordMicros, attestedMs }: Latency): string[] {
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

function row(label: string, ...cells: readonly string[]): string {
  return `${label.padEnd(18)}${cells.map((cell) => cell.padStart(16)).join('')}`.trimEnd();
}

function whole(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}
