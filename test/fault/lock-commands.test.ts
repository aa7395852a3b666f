import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, watch } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import { type CommandResult, lineproof, MAIN, runProgram, temporaryFolder } from '../support/command.ts';
import { at, type Place, tell } from '../support/places.ts';

const folder = temporaryFolder('lock-commands');
const EVENTS = `${JSON.stringify({ stream: 'orders', type: 'CREATE', actor: 'shop' })}\n`;
const running: { kill(): Promise<unknown> }[] = [];

afterEach(async () => {
  for (const each of running.splice(0)) await each.kill();
});
afterAll(() => folder.release());

function lineproofAt(place: Place, args: readonly string[], input = ''): Promise<CommandResult> {
  const [program, ...rest] = at(place, [process.execPath, MAIN, ...args]);
  return runProgram(program, rest, { input });
}

/** `lineproof start` as a service; resolves when it runs. Its end by −9 takes what it was started through with it. */
async function service(place: Place, data: string): Promise<{ readonly child: ChildProcess; kill(): Promise<void> }> {
  const [program, ...args] = at(place, [process.execPath, MAIN, 'start', '--segment-max-age-ms', '1000', '--data', data]);
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const closed = once(child, 'close');
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL');
    await closed;
  };
  running.push({ kill });
  let said = '';
  await new Promise<void>((resolve, reject) => {
    child.stdout.on('data', (chunk: Buffer) => {
      said += chunk.toString();
      if (said.includes('Running')) resolve();
    });
    child.once('close', () => reject(new Error(`lineproof start ended: ${said}`)));
  });
  return { child, kill };
}

/** Ids of all events that the archive links, each as often as it is linked. */
async function linkedIn(data: string): Promise<string[]> {
  const { stdout } = await lineproof(['query', join(data, 'archive'), '--json']);
  return stdout
    .trim()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => (JSON.parse(line) as { readonly event: { readonly id: string } }).event.id);
}

describe.each<[Place, Place]>([
  ['here', 'here'],
  ['here', 'another PID namespace'],
  ['another PID namespace', 'here'],
  ['hidden /proc', 'both'],
])('a data folder on which `start` works at the place "%s"', (owner, other) => {
  test(`is refused to \`start\` at "${other}", is open to \`run\` and \`emit\` by a spool, and is free after kill −9`, async () => {
    const data = join(folder.path, `${owner}-${other}`.replaceAll(/\W/g, '-'));
    const { kill } = await service(owner, data);
    const refused = {
      code: 74,
      stdout: '',
      stderr: expect.stringMatching(/it is in use by process \d+ .*; stop that process.*\[DATA_IN_USE\]/),
    };
    expect(await lineproofAt(other, ['start', '--until-idle', '--data', data])).toMatchObject(refused);
    // Both are recorded nevertheless: the owner of the folder takes up their spools.
    const beside = await lineproofAt(other, ['emit', '--data', data], EVENTS);
    expect(beside).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^[0-9a-f-]{36}\n$/),
      stderr: expect.stringContaining('is in use'),
    });
    expect(await lineproofAt(other, ['run', '--data', data, '--', 'true'])).toMatchObject({ code: 0 });
    await kill();
    const emitted = await lineproofAt(other, ['emit', '--data', data], EVENTS);
    expect(emitted).toMatchObject({ code: 0, stdout: expect.stringMatching(/^[0-9a-f-]{36}\n$/) });
    const { code, stdout } = await lineproofAt(other, ['start', '--until-idle', '--verify', '--json', '--data', data]);
    expect([code, JSON.parse(stdout).verdict.ok]).toEqual([0, true]);
    expect(await linkedIn(data)).toHaveLength(3);
    expect(readdirSync(data).filter((name) => name.startsWith('lock'))).toEqual([]);
  }, 60_000);
});

describe('a job in another PID namespace', () => {
  /** Resolves once a folder is not there any more. */
  async function gone(path: string, parent: string): Promise<void> {
    const watcher = watch(parent);
    try {
      while (existsSync(path)) await once(watcher, 'change');
    } finally {
      watcher.close();
    }
  }

  test('loses none of 40 acknowledged events to the system that takes up what other jobs have left', async () => {
    const data = join(folder.path, 'job');
    await service('here', data);
    const spools = join(data, 'spool');
    const argv = (name: string): [string, ...string[]] => [process.execPath, 'test/fault/job-child.js', data, name];
    const job = tell('another PID namespace', argv('job'));
    running.push(job);
    const acknowledged = (await job.ask('["record",1]')).split(' ');
    // The system has looked at all spools, the job's included, when it has taken up two others one after the other.
    for (const name of ['first', 'second']) {
      const other = tell('here', argv(name));
      running.push(other);
      acknowledged.push(await other.ask('["record",1]'));
      expect(await other.ask('["close"]')).toBe('false');
      await gone(join(spools, name), spools);
    }
    acknowledged.push(...(await job.ask('["record",39]')).split(' '));
    expect(await job.ask('["close"]')).toBe('false');
    await gone(join(spools, 'job'), spools);
    for (const each of running.splice(0)) await each.kill();
    const { code, stdout } = await lineproof(['start', '--until-idle', '--verify', '--json', '--data', data]);
    expect([code, JSON.parse(stdout).verdict.ok]).toEqual([0, true]);
    expect((await linkedIn(data)).toSorted()).toEqual(acknowledged.toSorted());
    expect(acknowledged).toHaveLength(42);
  }, 60_000);

  test('that was killed leaves a spool that the system takes up at once', async () => {
    const data = join(folder.path, 'killed-job');
    await service('here', data);
    const spools = join(data, 'spool');
    const job = tell('both', [process.execPath, 'test/fault/job-child.js', data, 'job']);
    running.push(job);
    const acknowledged = (await job.ask('["record",20]')).split(' ');
    await job.kill();
    await gone(join(spools, 'job'), spools);
    for (const each of running.splice(0)) await each.kill();
    await lineproof(['start', '--until-idle', '--data', data]);
    expect((await linkedIn(data)).toSorted()).toEqual(acknowledged.toSorted());
  }, 60_000);
});
