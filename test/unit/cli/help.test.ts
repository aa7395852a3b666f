import { describe, expect, test } from '@jest/globals';
import { archiveCommand } from '../../../cli/archive-command.ts';
import { chainCommand } from '../../../cli/chain-command.ts';
import { checkCommand } from '../../../cli/check-command.ts';
import { collectCommand } from '../../../cli/collect-command.ts';
import { type Command, commandHelp, overviewHelp, parseInvocation, type Terminal } from '../../../cli/command.ts';
import { configCommand } from '../../../cli/config-command.ts';
import { doctorCommand } from '../../../cli/doctor-command.ts';
import { emitCommand } from '../../../cli/emit-command.ts';
import { policyCommand } from '../../../cli/policy-command.ts';
import { proveCommand } from '../../../cli/prove-command.ts';
import { queryCommand } from '../../../cli/query-command.ts';
import { rejectedCommand } from '../../../cli/rejected-command.ts';
import { runCommand } from '../../../cli/run-command.ts';
import { startCommand } from '../../../cli/start-command.ts';
import { statusCommand } from '../../../cli/status-command.ts';
import { topicsCommand } from '../../../cli/topics-command.ts';
import { verifyCommand } from '../../../cli/verify-command.ts';
import { witnessCommand } from '../../../cli/witness-command.ts';
import { flagOf } from '../../../settings/setting.ts';

const COMMANDS: readonly Command[] = [
  archiveCommand,
  chainCommand,
  checkCommand,
  collectCommand,
  configCommand,
  doctorCommand,
  emitCommand,
  policyCommand,
  proveCommand,
  queryCommand,
  rejectedCommand,
  runCommand,
  startCommand,
  statusCommand,
  topicsCommand,
  verifyCommand,
  witnessCommand,
];
const TERMINAL = { stdout: process.stdout, stderr: process.stderr, env: {}, signal: new AbortController().signal } satisfies Terminal;

describe.each(COMMANDS.map((command) => [command.name, command] as const))('help of %s', (_, command) => {
  const lines = commandHelp(command).split('\n');

  test('fits 80 columns', () => {
    expect(lines.filter((line) => line.length > 80)).toEqual([]);
  });

  test('names every option and setting that the command uses, each once, with its choices', () => {
    const settings = Object.values(command.settings ?? {});
    for (const name of [...command.options.map((option) => option.name), ...settings.map((each) => flagOf(each.name))])
      expect([name, lines.filter((line) => new RegExp(`^ {2}(?: {4}|-., )--${name}(?: |$)`).test(line)).length]).toEqual([name, 1]);
    for (const { type } of settings) if (type.choices !== undefined) expect(lines.join('\n')).toContain(type.choices.join('|'));
  });

  test('does not list a setting that the command does not use, though it takes its flag', () => {
    for (const { name, fallback } of Object.values(command.unusedSettings ?? {})) {
      expect(lines.some((line) => line.includes(`--${flagOf(name)} `))).toBe(false);
      expect(parseInvocation(command, [`--${flagOf(name)}=${fallback}`], TERMINAL).options[flagOf(name)]).toBe(fallback);
    }
  });
});

test('the overview names every command once, with its whole summary, in 80 columns', () => {
  const lines = overviewHelp(COMMANDS).split('\n');
  expect(lines.filter((line) => line.length > 80)).toEqual([]);
  const text = lines.join(' ').replaceAll(/ +/g, ' ');
  for (const { name, summary } of COMMANDS) {
    expect([name, lines.filter((line) => line.startsWith(`  ${name} `)).length]).toEqual([name, 1]);
    expect(text).toContain(` ${name} ${summary} `);
  }
});

test('archive does not list Redis, topics lists neither Redis nor S3', () => {
  expect(commandHelp(archiveCommand)).not.toContain('redis');
  expect(commandHelp(topicsCommand)).not.toMatch(/redis|s3-/);
  expect(commandHelp(chainCommand)).toMatch(/--redis-url/);
});

describe('an option that takes one value', () => {
  test.each([
    [verifyCommand, ['archive', '--origin', 'a', '--origin', 'b'], '--origin'],
    [startCommand, ['--data=a', '--data=a'], '--data'],
    [queryCommand, ['-s', 'a', '--stream', 'b'], '--stream'],
  ])('is refused when it is given twice: %#', (command, args, option) => {
    expect(() => parseInvocation(command, args, TERMINAL)).toThrow(
      `${option} is given twice and takes one value; see lineproof ${command.name} --help`,
    );
  });

  test('is told apart from options that may be repeated, and from flags', () => {
    const { options } = parseInvocation(verifyCommand, ['-k', 'a', '--key', 'b', '--json', '--json'], TERMINAL);
    expect([options['key'], options['json']]).toEqual([['a', 'b'], true]);
  });
});
