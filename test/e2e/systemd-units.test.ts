import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from '@jest/globals';
import { archiveCommand } from '../../cli/archive-command.ts';
import { chainCommand } from '../../cli/chain-command.ts';
import { type Command, parseInvocation } from '../../cli/command.ts';
import { EXIT } from '../../cli/exit-codes.ts';

const run = promisify(execFile);
const FOLDER = fileURLToPath(new URL('../../infra/systemd/', import.meta.url));
const COMMANDS: Readonly<Record<string, Command>> = {
  'lineproof-chain@.service': chainCommand,
  'lineproof-archive@.service': archiveCommand,
};
/** What systemd calls OK. */
const MOST_EXPOSED = 2;
const TERMINAL = { stdout: process.stdout, stderr: process.stderr, env: {}, signal: new AbortController().signal };

test('there is a unit for each service', () => {
  expect(
    readdirSync(FOLDER)
      .filter((name) => name.endsWith('.service'))
      .toSorted(),
  ).toEqual(Object.keys(COMMANDS).toSorted());
});

test.each(Object.entries(COMMANDS))(
  '%s: starts its command with options that the command takes, and not again after what a person must correct',
  (unit, command) => {
    const text = readFileSync(`${FOLDER}${unit}`, 'utf8');
    const [program, name, ...args] = (/^ExecStart=(.+)$/m.exec(text)?.[1] ?? '').split(' ');
    expect([program, name]).toEqual(['/usr/bin/lineproof', command.name]);
    expect(parseInvocation(command, args, TERMINAL)).toMatchObject({
      operands: [],
      options: { config: '/etc/lineproof/cluster.json', name: `${command.name}-%i` },
    });
    expect(text).toMatch(new RegExp(`^RestartPreventExitStatus=${EXIT.usage} ${EXIT.configuration}$`, 'm'));
  },
);

test.each(Object.keys(COMMANDS))('%s: systemd reads it, and calls its exposure OK', async (unit) => {
  const { stdout, stderr } = await run('systemd-analyze', ['security', '--offline=true', `${FOLDER}${unit}`]);
  const exposure = /exposure level for \S+: ([\d.]+) /.exec(stdout)?.[1];
  expect([Number(exposure) < MOST_EXPOSED, stderr]).toEqual([true, '']);
  const verified = await run('systemd-analyze', ['verify', `${FOLDER}${unit}`]).catch((error: { stderr: string }) => error);
  expect(verified.stderr.split('\n').filter((line) => line !== '' && !line.includes('/usr/bin/lineproof is not executable'))).toEqual([]);
});
