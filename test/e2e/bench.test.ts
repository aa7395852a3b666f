import type { ChildProcess } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { type CommandOptions, type CommandResult, ROOT, runProgram, temporaryFolder } from '../support/command.ts';
import { describeOnStack, STACK_TIMEOUT_MS } from '../support/stack.ts';

const TIMEOUT_MS = 120_000;
const SMALL = ['--events', '3000', '--streams', '50', '--shards', '2', '--rate', '1000', '--seconds', '1'];

/** Runs the built bench below a new folder, which it must leave empty, with no process in it. */
async function benchWith(options: CommandOptions, args: readonly string[]): Promise<CommandResult> {
  const folder = temporaryFolder('bench-test');
  try {
    const env = { ...options.env, TMPDIR: folder.path };
    const result = await runProgram(process.execPath, [join(ROOT, 'dist/bench/main.js'), ...args], { ...options, env });
    expect(readdirSync(folder.path)).toEqual([]);
    expect(processesIn(folder.path)).toEqual([]);
    return result;
  } finally {
    folder.release();
  }
}

function bench(...args: readonly string[]): Promise<CommandResult> {
  return benchWith({}, args);
}

/** Command lines of running processes that name a folder. */
function processesIn(folder: string): string[] {
  const lines = readdirSync('/proc').flatMap((entry) => {
    try {
      return /^\d+$/.test(entry) ? [readFileSync(`/proc/${entry}/cmdline`, 'utf8').replaceAll('\0', ' ')] : [];
    } catch {
      return []; // ended meanwhile
    }
  });
  return lines.filter((line) => line.includes(folder));
}

describe('npm run bench', () => {
  test(
    'measures from archives that verify and have one link for each event offered',
    async () => {
      const { code, stdout } = await bench(...SMALL, '--json');
      const report = JSON.parse(stdout);
      expect([code, report.problems]).toEqual([0, []]);
      expect(report.eventBytes).toBe(500);
      for (const [name, offered] of Object.entries({ throughput: 3000, parts: 3000, latency: 1000 }))
        expect([name, report[name].offered, report[name].checked]).toMatchObject([name, offered, { ok: true, links: offered }]);
      expect(Object.keys(report.parts.costs).toSorted()).toEqual(['archiver', 'auditor', 'chainer', 'collector', 'log', 'workload']);
      for (const { cpuMicros } of Object.values<{ cpuMicros: number }>(report.parts.costs)) expect(cpuMicros).toBeGreaterThan(0);
      // Every event was covered by a note: one that none covers would be infinite, which JSON has no number for.
      expect(report.latency.attestedMs.max).toEqual(expect.any(Number));
    },
    TIMEOUT_MS,
  );

  test(
    'fails when the archive does not have a link for each event offered',
    async () => {
      const { code, stdout } = await bench('--only', 'throughput', '--events', '2000', '--repeats', '7');
      expect(code).toBe(1);
      expect(stdout).toContain('FAILED     throughput: the archive has 2000 links for 2007 events that were offered');
    },
    TIMEOUT_MS,
  );

  test.each([
    [['--events', 'many'], /--events/],
    [['--only', 'luck'], /--only/],
    [['--frob'], /--frob/],
    [['--shards', '1,2'], /--shards/],
    [['--against', 'naive'], /--against goes with --stack/],
    [['--stack', '--against', 'luck'], /--against takes naive/],
    [['--stack', '--naive-events', '5'], /--naive-events goes with --against/],
    [['--stack', '--only', 'parts'], /--only parts/],
  ])('%j is a usage error', async (args, message) => {
    const { code, stdout, stderr } = await bench(...args);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(message);
  });

  test('says what is missing where the stack cannot be started', async () => {
    const { code, stdout, stderr } = await benchWith({ env: { PATH: '/nowhere' } }, ['--stack']);
    expect([code, stdout]).toEqual([74, '']);
    expect(stderr).toContain("flock is in Debian's util-linux");
    expect(stderr).toContain('bench: cannot measure on the stack: it did not start');
  });
});

describeOnStack('npm run bench -- --stack', () => {
  const SMALL_STACK = ['--stack', '--against', 'naive', '--events', '2000', '--streams', '50', '--naive-events', '500'];

  test(
    'measures product and baseline from as many links as events were offered',
    async () => {
      const { code, stdout } = await bench(...SMALL_STACK, '--shards', '1,2', '--rate', '500', '--seconds', '1', '--json');
      const report = JSON.parse(stdout);
      expect([code, report.problems]).toEqual([0, []]);
      expect(Object.keys(report.servers).toSorted()).toEqual(['kafka', 'redis', 'registry', 's3']);
      expect(report.runs.map(({ shards }: { shards: number }) => shards)).toEqual([1, 2]);
      for (const { throughput, latency, naive } of report.runs) {
        expect(throughput).toMatchObject({ offered: 2000, checked: { ok: true, links: 2000 } });
        expect(latency).toMatchObject({ offered: 500, checked: { ok: true, links: 500 } });
        // Every event was covered by a note: one that none covers would be infinite, which JSON has no number for.
        expect(latency.attestedMs.max).toEqual(expect.any(Number));
        expect(Object.keys(throughput.cpuMicros.others).toSorted()).toEqual(['archiver', 'chainer', 'kafka-1', 'redis', 'registry', 's3']);
        expect(naive.map(({ group }: { group: number }) => group)).toEqual([1, 256]);
        for (const { throughput: baseline, ratios } of naive) {
          expect(baseline).toMatchObject({ offered: 500, checked: { ok: true, links: 500 } });
          for (const ratio of Object.values(ratios)) expect(ratio).toBeGreaterThan(0);
        }
      }
    },
    STACK_TIMEOUT_MS,
  );

  test(
    'fails when archive or baseline do not have a link for each event offered',
    async () => {
      const { code, stdout } = await bench(...SMALL_STACK, '--shards', '1', '--only', 'throughput', '--repeats', '7');
      expect(code).toBe(1);
      expect(stdout).toContain('FAILED     throughput, shards 1: the archive has 2000 links for 2007 events that were offered');
      for (const group of [1, 256])
        expect(stdout).toContain(
          `FAILED     naive, requests of ${group}, shards 1: the archive has 500 links for 507 events that were offered`,
        );
    },
    STACK_TIMEOUT_MS,
  );

  test.each([
    ['redis is ready', 'SIGINT', 130],
    ['one shard: 2000 events as fast', 'SIGTERM', 143],
  ] as const)(
    'takes the stack down when it is interrupted at "%s"',
    async (moment, signal, exitCode) => {
      const onStart = (child: ChildProcess): void => {
        let said = '';
        child.stderr?.on('data', (chunk) => {
          const was = said.includes(moment);
          said += chunk;
          if (!was && said.includes(moment)) child.kill(signal);
        });
      };
      const { code, stdout, stderr } = await benchWith({ onStart }, [...SMALL_STACK, '--shards', '1']);
      expect([code, stdout, stderr]).toEqual([exitCode, '', expect.stringContaining(`bench: interrupted by ${signal}`)]);
    },
    STACK_TIMEOUT_MS,
  );
});
