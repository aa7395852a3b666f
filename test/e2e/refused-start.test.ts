import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type CommandResult, lineproof, temporaryFolder } from '../support/command.ts';

const EVENT = '{"stream":"s","type":"CREATE","actor":"a"}\n';
const folder = temporaryFolder('refused-start');
afterAll(() => folder.release());

test.each([
  ['a file that is not there', join(folder.path, 'nosuch.jsonl'), 'there is no such file [NOT_FOUND]'],
  ['a folder', folder.path, 'it is a folder [IO_FAILED]'],
])('emit of %s is one coded line, and nothing is made', async (_, path, fact) => {
  const data = join(folder.path, 'none');
  const { code, stdout, stderr } = await lineproof(['emit', path, '--data', data]);
  expect({ code, stdout, stderr }).toEqual({ code: 74, stdout: '', stderr: `lineproof: cannot read ${path}: ${fact}\n` });
});

test('a start that is interrupted before everything is archived says so, and prints no verdict', async () => {
  const data = join(folder.path, 'data');
  expect(await lineproof(['emit', '--data', data], { input: EVENT })).toMatchObject({ code: 0 });
  const { code, stdout, stderr } = await lineproof(
    ['start', '--until-idle', '--verify', '--data', data, '--segment-max-age-ms', '3600000'],
    {
      onStart: (child) => child.stdout?.once('data', () => child.kill('SIGTERM')),
    },
  );
  expect([code, stdout.includes('VERDICT'), stdout.includes('Archived')]).toEqual([74, false, false]);
  expect(stderr).toContain('interrupted: not everything is archived, and nothing was verified');
}, 60_000);

describe('a data folder that cannot be', () => {
  test.each(['/proc/x', '/proc/x/y', '/dev/null/x'])(
    'made at %s is one coded line of start and emit, and no hindrance to run',
    async (data) => {
      const line = expect.stringMatching(new RegExp(`^lineproof: cannot make folder ${data}: .*\\[IO_FAILED\\]\n(?:  cause: .*\n)?$`));
      expect(await lineproof(['start', '--until-idle', '--data', data])).toEqual({ code: 74, signal: null, stdout: '', stderr: line });
      expect(await lineproof(['emit', '--data', data], { input: EVENT })).toEqual({ code: 74, signal: null, stdout: '', stderr: line });
      const run = await lineproof(['run', '--data', data, '--', 'sh', '-c', 'exit 3']);
      expect([run.code, run.stderr]).toEqual([3, expect.stringContaining('the run was not recorded: cannot make folder')]);
    },
  );
});

describe('a data folder that was started', () => {
  const data = join(folder.path, 'started');
  const at = (command: string, ...options: string[]): Promise<CommandResult> =>
    lineproof([command, '--data', data, ...options], { input: EVENT });
  beforeAll(async () => {
    const { code, stdout } = await at('start', '--until-idle', '--shards', '2', '--origin', 'example', '--segment-max-age-ms', '1000');
    expect([code, stdout]).toEqual([0, expect.stringContaining('for the log example')]);
  }, 60_000);

  test('is started again without the settings that its first start fixed', async () => {
    expect(await at('emit', '--quiet')).toMatchObject({ code: 0, stderr: '' });
    expect(await at('start', '--until-idle')).toMatchObject({ code: 0, stdout: expect.stringContaining('in 2 shards'), stderr: '' });
  }, 60_000);

  test.each([
    [['--shards', '3'], /with 3 shards: it has keys for 2, and its first start fixed the number/],
    [['--shards', '1'], /with 1 shards: it has keys for 2/],
    [['--origin', 'other'], /as log other: it is the log example, and its first start fixed the name/],
  ])('refuses %j with what it has', async (options, message) => {
    for (const command of ['start', 'emit'])
      expect(await at(command, ...options)).toEqual({ code: 78, signal: null, stdout: '', stderr: expect.stringMatching(message) });
  });

  test('says which setting is not in force, and config shows the value that is', async () => {
    const { code, stderr } = await at('start', '--until-idle', '--segment-max-age-ms', '5000');
    expect([code, stderr]).toEqual([0, expect.stringMatching(/"setting":"segmentMaxAgeMs","given":5000,"inForce":1000/)]);
    const text = await at('config', '--segment-max-age-ms', '5000');
    expect(text.stdout).toMatch(/segmentMaxAgeMs {2}5000 +flag\n[^\n]*\n(?: {4}[^\n]*\n)*? {4}in force: 1000,/);
    const rows: { name: string; inForce?: unknown }[] = JSON.parse((await at('config', '--json')).stdout);
    expect(rows.filter(({ inForce }) => inForce !== undefined).map(({ name, inForce }) => [name, inForce])).toEqual([
      ['origin', 'example'],
      ['shards', 2],
      ['segmentMaxAgeMs', 1000],
    ]);
  }, 60_000);
});
