import { headLines, latencyLines, row, verdictLines, wholeLines } from './report.ts';
import { allMicros, type NaiveRun, type Ratios, type StackReport, type StackRun } from './stack-bench.ts';
import type { Throughput } from './throughput.ts';

/** The report for people. */
export function stackReportText(report: StackReport): string {
  const { servers, runs, problems } = report;
  const lines = [
    ...headLines(report),
    `Servers    ${Object.entries(servers)
      .map(([name, version]) => `${name} ${version}`)
      .join(', ')}; one broker; all on this machine`,
    'Processes  this one records and verifies; one lineproof chain; one lineproof archive',
    ...runs.flatMap(runLines),
    ...verdictLines(problems),
  ];
  return `${lines.join('\n')}\n`;
}

function runLines({ shards, throughput, latency, naive }: StackRun): string[] {
  return [
    '',
    `=== ${shards === 1 ? 'one shard' : `${shards} shards`}`,
    ...(throughput === undefined ? [] : [...wholeLines('Whole', throughput), ...processorLines(throughput)]),
    ...(latency === undefined ? [] : latencyLines(latency)),
    ...naive.flatMap(naiveLines),
  ];
}

function processorLines(throughput: Throughput): string[] {
  const { recording, verifying, others } = throughput.cpuMicros;
  const rows = Object.entries({ recording, ...others, verifying }).map(([name, micros]) => row(`  ${name}`, micros.toFixed(1)));
  return [row('', 'CPU µs/event'), ...rows, row('  all', allMicros(throughput).toFixed(1))];
}

function naiveLines({ group, throughput, ratios }: NaiveRun): string[] {
  return [
    ...wholeLines(group === 1 ? 'Naive' : 'Grouped', throughput, group),
    ...processorLines(throughput),
    ...(ratios === undefined ? [] : ratioLines(ratios)),
  ];
}

/** The product's figures divided by the baseline's; for processor time, of which less is better, the other way round. */
function ratioLines({ accepted, archived, verified, processor }: Ratios): string[] {
  const line = (label: string, ratio: number, what: string): string => `${row(label, `${ratio.toFixed(1)}x`)}  ${what}`;
  return [
    line('  product', accepted, 'accepted/s'),
    line('  against it', archived, 'archived/s, which for the baseline is accepted/s'),
    line('', verified, 'verified/s'),
    line('', processor, 'events for the same processor time, servers included'),
  ];
}
