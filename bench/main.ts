import { mkdtempSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { EXIT, exitCodeOf } from '../cli/exit-codes.ts';
import { LineproofError } from '../core/base/errors.ts';
import { endChildren } from './children.ts';
import { openEmbeddedSystem } from './embedded-system.ts';
import { measureLatency } from './latency.ts';
import { describeMachine } from './machine.ts';
import { type BenchOptions, HELP, type Measurement, parseOptions } from './options.ts';
import { measureParts } from './parts.ts';
import { problemsOf, type Report, reportText } from './report.ts';
import { endMeasuredStack, measureStack, type StackReport } from './stack-bench.ts';
import { stackReportText } from './stack-report.ts';
import type { BenchSystem } from './system.ts';
import { measureThroughput } from './throughput.ts';
import { EVENT_BYTES, Workload } from './workload.ts';

/** A signal asked the run to end. */
class Interrupted extends Error {
  readonly exitCode: number;

  constructor(signal: 'SIGINT' | 'SIGTERM') {
    super(`interrupted by ${signal}`);
    this.exitCode = 128 + constants.signals[signal];
  }
}

async function main(argv: readonly string[]): Promise<number> {
  const options = parseOptions(argv);
  if (options.help) {
    process.stdout.write(HELP);
    return EXIT.ok;
  }
  const folder = mkdtempSync(join(tmpdir(), 'lineproof-bench-'));
  try {
    const print = <T extends { readonly problems: readonly string[] }>(report: T, text: (report: T) => string): number => {
      process.stdout.write(options.json ? `${JSON.stringify(report, undefined, 2)}\n` : text(report));
      return report.problems.length === 0 ? EXIT.ok : EXIT.findings;
    };
    if (options.stack) return print(await onOwnStack(folder, options), stackReportText);
    return print(await measure(folder, options), reportText);
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  }
}

/** Measures on a stack. The stack is down when this returns, also after a failure or an interruption. */
async function onOwnStack(folder: string, options: BenchOptions): Promise<StackReport> {
  const begun = performance.now();
  const say = (text: string): void => void process.stderr.write(`bench: [${((performance.now() - begun) / 1000).toFixed(1)} s] ${text}\n`);
  const interrupted = new Promise<never>((_, reject) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => reject(new Interrupted(signal)));
  });
  const report = measureStack(folder, options, say);
  try {
    return await Promise.race([report, interrupted]);
  } finally {
    say('ending the servers');
    report.catch(() => undefined);
    await endChildren();
    await endMeasuredStack(folder);
  }
}

/** Makes a new system for each measurement. */
async function measure(folder: string, options: BenchOptions): Promise<Report> {
  const { events, streams, repeats, rate, seconds, only } = options;
  const shards = options.shards[0] as number;
  const workload = new Workload(streams);
  const wants = (name: Measurement): boolean => only === undefined || only === name;
  let settings: BenchSystem['settings'] = {};
  const on = async <T>(name: Measurement, work: (system: BenchSystem) => Promise<T>): Promise<T | undefined> => {
    if (!wants(name)) return undefined;
    const system = await openEmbeddedSystem(join(folder, name), shards);
    settings = system.settings;
    try {
      return await work(system);
    } finally {
      await system.close();
    }
  };
  const throughput = await on('throughput', (system) => measureThroughput(system, workload, { events, repeats }));
  const parts = wants('parts') ? await measureParts(join(folder, 'parts'), workload, events, shards) : undefined;
  settings = parts?.settings ?? settings;
  const latency = await on('latency', (system) => measureLatency(system, workload, { rate, seconds }));
  const problems = Object.entries({ throughput, parts, latency }).flatMap(([name, done]) =>
    done === undefined ? [] : problemsOf(name, done.offered, done.checked),
  );
  return { machine: describeMachine(folder), eventBytes: EVENT_BYTES, streams, settings, throughput, parts, latency, problems };
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const known = error instanceof LineproofError || error instanceof Interrupted ? error.message : undefined;
  process.stderr.write(`bench: ${known ?? (error instanceof Error ? (error.stack ?? error.message) : String(error))}\n`);
  // The interrupted work still runs, on files that are gone by now.
  if (error instanceof Interrupted) process.exit(error.exitCode);
  process.exitCode = exitCodeOf(error);
}
