import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterAll, describe, expect, test } from '@jest/globals';
import { policyCommand } from '../../cli/policy-command.ts';
import { rejectedCommand } from '../../cli/rejected-command.ts';
import { type CommandResult, lineproof, MAIN, runProgram, temporaryFolder } from '../support/command.ts';

const folder = temporaryFolder('closed-output');
afterAll(() => folder.release());

/** Runs a command whose reader has gone before it writes anything. */
function unread(...args: string[]): Promise<CommandResult> {
  return lineproof(args, { cwd: folder.path, onStart: (child) => child.stdout?.destroy() });
}

describe('a reader that goes away', () => {
  test.each([['config'], ['config', '--cluster'], ['start', '--help'], ['help', 'verify'], ['-h'], ['--version']])(
    'does not make %s %s fail: a part of a list may be all that was wanted',
    async (...args) => {
      expect(await unread(...args)).toMatchObject({ code: 0, stderr: '' });
    },
  );

  test('makes a verdict fail that nobody read', async () => {
    const archive = join(folder.path, 'archive');
    mkdirSync(archive);
    writeFileSync(join(archive, 'archive.json'), '{}');
    expect(await unread('verify', archive)).toMatchObject({
      code: 74,
      stderr: 'lineproof: cannot write the result: EPIPE [IO_FAILED]\n',
    });
  });

  test('does not end a system that runs on: its messages go to stderr', async () => {
    const data = join(folder.path, 'running');
    const child = spawn(process.execPath, [MAIN, 'start', '--data', data], { stdio: ['ignore', 'pipe', 'pipe'] });
    child.stdout.destroy();
    const ended = once(child, 'close');
    let said = '';
    for await (const chunk of child.stderr) {
      said += String(chunk);
      // It runs, and so it ends by the signal, with the code of a system that was asked to stop.
      if (said.includes('Running')) child.kill('SIGTERM');
    }
    expect([await ended, said]).toEqual([[0, null], expect.stringMatching(/^First start: made keys .*\nRunning; stop with .*\n$/)]);
  });

  test.each([['--until-idle'], ['--json']])('makes a start with %s fail, whose result nobody read', async (option) => {
    const child = spawn(process.execPath, [MAIN, 'start', option, '--data', join(folder.path, `result${option}`)], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    child.stdout.destroy();
    // With --json alone it runs until it is asked to stop, and says nothing before.
    if (option === '--json') while (!existsSync(join(folder.path, `result${option}`, 'keys', 'root.pub'))) await nextTurn();
    if (option === '--json') child.kill('SIGTERM');
    expect(await once(child, 'close')).toEqual([74, null]);
  });

  test('ends what only lists, never what sends or publishes', () => {
    expect(['list', 'show', 'resubmit'].map((action) => rejectedCommand.lists?.([action]))).toEqual([true, true, false]);
    expect(['init', 'show', 'publish'].map((action) => policyCommand.lists?.([action]))).toEqual([false, true, false]);
  });
});

describe('a message about a place', () => {
  test.each([
    [['collect', 'git', 'nowhere'], /^lineproof: cannot collect .*nowhere: there is no such folder \[NOT_FOUND\]\n$/],
    [['start', '--collect', 'git', 'nowhere'], /^lineproof: cannot collect .*nowhere: there is no such folder \[NOT_FOUND\]\n$/],
    [['emit', 'nowhere'], /^lineproof: cannot read nowhere: there is no such file \[NOT_FOUND\]\n$/],
    [['start', '--data', '/dev/null'], /^lineproof: cannot make folder \/dev\/null: what has that name is not a folder \[IO_FAILED\]\n$/],
  ])('%j says once what is wrong with it, and ends with 74', async (args, message) => {
    const { code, stderr } = await lineproof(args, { cwd: folder.path });
    expect([code, stderr]).toEqual([74, expect.stringMatching(message)]);
  });

  test('a working folder that was deleted is not a bug of the program', async () => {
    const gone = join(folder.path, 'gone');
    mkdirSync(gone);
    const script = 'rmdir "$PWD" && exec "$0" "$1" start --until-idle';
    const { code, stderr } = await runProgram('/bin/sh', ['-c', script, process.execPath, MAIN], { cwd: gone });
    expect([code, stderr]).toEqual([74, expect.stringMatching(/^lineproof: cannot use the working folder: it is not there any more/)]);
  });

  test.each([[[]], [['--data', folder.path]]])(
    'a command runs in a working folder that was deleted, and is not recorded (%j)',
    async (options) => {
      const gone = join(folder.path, 'gone-too');
      mkdirSync(gone);
      const script = 'rmdir "$PWD" && exec "$0" "$@"';
      const args = [process.execPath, MAIN, 'run', ...options, '--', process.execPath, '-e', 'console.log(`it ran`); process.exitCode = 7'];
      expect(await runProgram('/bin/sh', ['-c', script, ...args], { cwd: gone })).toMatchObject({
        code: 7,
        stdout: 'it ran\n',
        stderr: 'lineproof: the run was not recorded: cannot use the working folder: it is not there any more; change to another folder\n',
      });
    },
  );
});
