import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { type CommandResult, ROOT, runProgram, temporaryFolder } from '../support/command.ts';

const TIMEOUT_MS = 120_000;
const SMALL = ['--events', '3000', '--streams', '50', '--shards', '2', '--rate', '1000', '--seconds', '1'];

/** Runs the built bench below a folder of its own, which it must leave empty. */
async function bench(...args: readonly string[]): Promise<CommandResult> {
  const folder = temporaryFolder('bench-test');
  try {
    const result = await runProgram(process.execPath, [join(ROOT, 'dist/bench/main.js'), ...args], { env: { TMPDIR: folder.path } });
    const left = await runProgram('ls', ['-A', folder.path]);
    expect(left.stdout).toBe('');
    return result;
  } finally {
    folder.release();
  }
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
  ])('%j is a usage error', async (args, message) => {
    const { code, stdout, stderr } = await bench(...args);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(message);
  });
});
