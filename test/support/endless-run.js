import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { test } from '@jest/globals';

// Not a test of the project: test/unit/scripts/test-runner.test.ts interrupts a run of this file.
test('goes on until it is ended, with a process and a stack of its own', async () => {
  const stack = `${process.env.LINEPROOF_TEST_STACKS}endless`;
  mkdirSync(stack);
  const { pid } = spawn('sleep', ['1000'], { stdio: 'ignore' });
  writeFileSync(process.env.ENDLESS_RUN, JSON.stringify({ pid, stack }));
  await new Promise(() => undefined);
});
