import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { ROOT, runProgram, temporaryFolder } from '../../support/command.ts';

const MAIN = join(ROOT, 'infra', 'stack', 'main.js');
const folder = temporaryFolder('stack-command');
afterAll(() => folder.release());

test.each([
  [[], 'which command?'],
  [['start'], 'there is no command "start"'],
  [['constructor'], 'there is no command "constructor"'],
  [['up', 'now'], 'takes no argument "now"'],
  [['up', '--brokers', '2'], '--brokers is 1 or 3'],
  [['up', '--with', 'zookeeper'], '--with knows toxiproxy'],
  [['up', '--force'], '--force'],
])('%j is refused with what is wrong and exit code 2', async (args, reason) => {
  const { code, stdout, stderr } = await runProgram(process.execPath, [MAIN, ...args]);
  expect({ code, stdout, stderr }).toEqual({ code: 2, stdout: '', stderr: expect.stringContaining(reason) });
});

test.each([
  ['--name', '../other'],
  ['--data', `${folder.path}/a,b`],
  ['--data', `${folder.path}/a;b`],
  ['--data', `${folder.path}/a"b`],
])('%s %s, which server settings cannot hold, is refused', async (...option) => {
  const { code, stderr } = await runProgram(process.execPath, [MAIN, 'up', ...option]);
  expect({ code, stderr }).toEqual({ code: 75, stderr: expect.stringContaining('cannot use the') });
});

test('a folder with other files is neither used nor reset', async () => {
  const mine = join(folder.path, 'mine');
  mkdirSync(mine);
  mkdirSync(join(mine, 'data'));
  writeFileSync(join(mine, 'data', 'thesis.txt'), 'years of work');
  for (const command of ['up', 'reset']) {
    const { code, stderr } = await runProgram(process.execPath, [MAIN, command, '--data', mine]);
    expect({ code, stderr }).toEqual({ code: 75, stderr: expect.stringContaining('it is not empty') });
  }
  expect(readdirSync(join(mine, 'data'))).toEqual(['thesis.txt']);
});

test('of a stack that was never started, status says so and down has nothing to do', async () => {
  const data = join(folder.path, 'never');
  const status = await runProgram(process.execPath, [MAIN, 'status', '--json', '--data', data]);
  expect([status.code, JSON.parse(status.stdout)]).toEqual([1, { folder: data, ok: false, servers: [] }]);
  expect(await runProgram(process.execPath, [MAIN, 'down', '--data', data])).toMatchObject({ code: 0, stdout: 'Nothing ran.\n' });
});

test('check names each tool that is missing, how to get it, and for what', async () => {
  const bin = join(folder.path, 'bin');
  mkdirSync(bin);
  symlinkSync(process.execPath, join(bin, 'node'));
  const env = { PATH: bin, JAVA_HOME: '', XDG_CACHE_HOME: join(folder.path, 'cache') };
  const { code, stdout } = await runProgram(process.execPath, [MAIN, 'check', '--secure', '--with', 'toxiproxy'], { env });
  expect(code).toBe(1);
  for (const text of [
    'Maven (apt-get install maven), for kafka and registry',
    'Go 1.25, or to fetch it Python 3 (apt-get install python3 python3-pip), for versitygw and toxiproxy',
    'Python 3 (apt-get install python3 python3-pip), for jre',
    'OpenSSL (apt-get install openssl)',
    'flock (apt-get install util-linux)',
    'install Redis 7',
  ])
    expect(stdout).toContain(text);
});
