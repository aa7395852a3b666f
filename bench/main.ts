import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EXIT, exitCodeOf } from '../cli/exit-codes.ts';
import { LineproofError } from '../core/errors.ts';
import { openEmbeddedSystem } from './embedded-system.ts';
import { measureLatency } from './latency.ts';
import { describeMachine } from './machine.ts';
import { type BenchOptions, HELP, type Measurement, parseOptions } from './options.ts';
import { measureParts } from './parts.ts';
import { problemsOf, type Report, reportText } from './report.ts';
import type { BenchSystem, OpenSystem } from './system.ts';
import { measureThroughput } from './throughput.ts';
import { EVENT_BYTES, Workload } from './workload.ts';

async function main(argv: readonly string[]): Promise<number> {
  const options = parseOptions(argv);
  if (options.help) {
    process.stdout.write(HELP);
    return EXIT.ok;
  }
  const folder = mkdtempSync(join(tmpdir(), 'lineproof-bench-'));
  try {
    const report = await measure(folder, options, (path) => openEmbeddedSystem(path, options.shards));
    process.stdout.write(options.json ? `${JSON.stringify(report, undefined, 2)}\n` : reportText(report));
    return report.problems.length === 0 ? EXIT.ok : EXIT.findings;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Every measurement starts on a system of its own. */
async function measure(folder: string, options: BenchOptions, open: OpenSystem): Promise<Report> {
  const { events, streams, shards, repeats, rate, seconds, only } = options;
  const workload = new Workload(streams);
  const wants = (name: Measurement): boolean => only === undefined || only === name;
  let settings: BenchSystem['settings'] = {};
  const on = async <T>(name: Measurement, work: (system: BenchSystem) => Promise<T>): Promise<T | undefined> => {
    if (!wants(name)) return undefined;
    const system = await open(join(folder, name));
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
  const known = error instanceof LineproofError ? error.message : undefined;
  process.stderr.write(`bench: ${known ?? (error instanceof Error ? (error.stack ?? error.message) : String(error))}\n`);
  process.exitCode = exitCodeOf(error);
}
