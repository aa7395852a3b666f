import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { type CommandResult, runProgram } from '../support/command.ts';

const SCRIPT: { readonly scripts: Readonly<Record<string, string>> } = JSON.parse(readFileSync('package.json', 'utf8'));

/** Runs `npm run test:faults` without its build. */
function faults(...args: string[]): Promise<CommandResult> {
  const command = (SCRIPT.scripts['test:faults'] as string).split(' && ').at(-1) as string;
  const [program, ...own] = command.split(' ') as [string, ...string[]];
  return runProgram(program, [...own, ...args]);
}

test('the fault table lists its faults, each once and with what is done', async () => {
  const { code, stdout, stderr } = await faults('--list');
  expect([code, stderr]).toEqual([0, '']);
  const names = stdout
    .trim()
    .split('\n')
    .map((line) => /^([a-z0-9-]+) +\S.{20,}$/.exec(line)?.[1]);
  expect(names).not.toContain(undefined);
  expect(new Set(names).size).toBe(names.length);
  expect(names).toContain('leader-killed');
});

test.each([
  ['a fault that it does not know', ['leader-killed', 'flood'], /^test:faults: there is no fault "flood"; /],
  ['a number that is none', ['--seed', 'x'], /^test:faults: --seed must be a whole number/],
])('it refuses %s before it starts anything', async (_, args, says) => {
  expect(await faults(...args)).toMatchObject({ code: 2, stdout: '', stderr: expect.stringMatching(says) });
});

test('its help says how it is called', async () => {
  expect(await faults('--help')).toMatchObject({ code: 0, stdout: expect.stringContaining('Usage: npm run test:faults') });
});
