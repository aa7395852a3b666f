import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterAll, expect, test } from '@jest/globals';
import { temporaryFolder } from '../../support/command.ts';

const folder = temporaryFolder('test-runner');
afterAll(() => folder.release());

/** Whether a process runs. One that has ended may stay in the list until its parent looks. */
function runs(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`).length > 0;
  } catch {
    return false;
  }
}

test.each(['SIGTERM', 'SIGINT'] as const)(
  'a run that %s interrupts ends the processes and the stacks of its tests',
  async (signal) => {
    const ready = join(folder.path, signal);
    const args = ['scripts/test.js', '--testMatch', '**/support/endless-run.js', '--cacheDirectory', join(folder.path, 'cache')];
    const runner = spawn(process.execPath, args, { env: { ...process.env, ENDLESS_RUN: ready }, stdio: ['ignore', 'pipe', 'ignore'] });
    let said = '';
    runner.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
    const ended = once(runner, 'close');
    let found = '';
    while (!found.endsWith('}') && runner.exitCode === null) {
      found = existsSync(ready) ? readFileSync(ready, 'utf8') : '';
      await nextTurn();
    }
    const { pid, stack } = JSON.parse(found) as { readonly pid: number; readonly stack: string };
    expect([runs(pid), existsSync(stack)]).toEqual([true, true]);
    runner.kill(signal);
    expect([await ended, said]).toEqual([[signal === 'SIGTERM' ? 143 : 130, null], `test: interrupted by ${signal}\n`]);
    expect([runs(pid), existsSync(stack)]).toEqual([false, false]);
  },
  120_000,
);
