import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { enterNamespaceOf, mounted, PLACES, type Place, type Told, tell } from '../support/places.ts';

const CHILD = ['test/fault/lock-child.js'];
const root = mkdtempSync(join(tmpdir(), 'lineproof-lock-'));
const started: Told[] = [];

afterAll(() => rmSync(root, { recursive: true, force: true }));

function child(place: Place, env: NodeJS.ProcessEnv = {}): Told {
  const told = tell(place, [process.execPath, ...CHILD], env);
  started.push(told);
  return told;
}

async function killAll(): Promise<void> {
  for (const each of started.splice(0)) await each.kill();
}

const take = (who: Told, folder: string): Promise<string> => who.ask(JSON.stringify(['take', folder]));
const free = (who: Told, folder: string): Promise<string> => who.ask(JSON.stringify(['free', folder]));
const lockIn = (folder: string): Record<string, unknown> => JSON.parse(readFileSync(join(folder, 'lock'), 'utf8'));

/** Changes what a lock says, as a reboot or another machine would. */
function rewrite(folder: string, changes: Record<string, unknown>): void {
  writeFileSync(join(folder, 'lock'), `${JSON.stringify({ ...lockIn(folder), ...changes })}\n`);
}

/** A lock is gone, and nothing that belonged to it is left. */
function mustBeEmpty(folder: string): void {
  expect(readdirSync(folder)).toEqual([]);
}

describe.each(PLACES)('the owner of a folder, who lives at the place "%s",', (ownerPlace) => {
  let owner: Told;
  const contenders = new Map<Place, Told>();
  const folderFor = (place: Place): string => join(root, `${ownerPlace}-${place}`.replaceAll(/\W/g, '-'));

  beforeAll(async () => {
    owner = child(ownerPlace);
    for (const place of PLACES) {
      contenders.set(place, child(place));
      expect(await take(owner, folderFor(place))).toBe('taken');
    }
  });
  afterAll(killAll);

  test('keeps it from a starter at every place, also while it is stopped, and loses it with its death', async () => {
    const asEach = async (what: string, says: RegExp): Promise<void> => {
      for (const [place, contender] of contenders)
        expect([what, place, await take(contender, folderFor(place))]).toEqual([what, place, expect.stringMatching(says)]);
    };
    const inUse = /^refused cannot open folder \S+: it is in use by process \d+ .*; stop that process, or take another folder$/;
    await asEach('living', inUse);
    owner.signal('SIGSTOP');
    await asEach('stopped', inUse);
    owner.signal('SIGCONT');
    await owner.kill();
    await asEach('killed', /^taken$/);
    for (const [place, contender] of contenders) {
      expect(await free(contender, folderFor(place))).toBe('free');
      mustBeEmpty(folderFor(place));
    }
  });
});

describe('a lock', () => {
  afterEach(killAll);

  test('does not keep anybody out after a reboot, also where its number has another process and the clock was set back', async () => {
    const [folder, clock] = [join(root, 'reboot'), join(root, 'clock')];
    writeFileSync(clock, String(-365 * 86_400_000));
    const owner = child('here');
    expect(await take(owner, folder)).toBe('taken');
    await owner.kill();
    // Its socket is there as at the reboot. The number belongs to this process now.
    rewrite(folder, { boot: '00000000-0000-4000-8000-000000000000', pid: process.pid, since: '2099-01-01T00:00:00.000Z' });
    const late = tell('another PID namespace', [process.execPath, '--import', './test/support/moved-clock.js', ...CHILD], {
      MOVED_CLOCK_FILE: clock,
    });
    started.push(late);
    expect(await take(late, folder)).toBe('taken');
    // And one whose clock is right meets a living owner whose clock is a year behind.
    expect(await take(child('here'), folder)).toMatch(/^refused .*it is in use by process/);
    await free(late, folder);
    mustBeEmpty(folder);
  });

  test('of a stopped owner is kept however often somebody asks, also when the queue of its socket is full', async () => {
    const folder = join(root, 'asked-often');
    const owner = child('here');
    expect(await take(owner, folder)).toBe('taken');
    owner.signal('SIGSTOP');
    const contender = child('both');
    expect(await contender.ask(JSON.stringify(['takeOften', folder, 700]))).toBe('refused 700');
    await owner.kill();
    expect(await take(contender, folder)).toBe('taken');
  });

  test('works where the path of the folder is too long for a socket', async () => {
    const folder = join(root, 'long'.repeat(30), 'path'.repeat(20));
    const links = join(root, 'links');
    mkdirSync(links);
    const owner = child('here', { TMPDIR: links });
    expect(await take(owner, folder)).toBe('taken');
    expect(lockIn(folder)['socket']).toMatch(/^lock-/);
    expect(await take(child('both', { TMPDIR: links }), folder)).toMatch(/^refused .*it is in use by process/);
    await owner.kill();
    const next = child('both', { TMPDIR: links });
    expect(await take(next, folder)).toBe('taken');
    await free(next, folder);
    mustBeEmpty(folder);
    mustBeEmpty(links);
  });

  describe('without a socket', () => {
    const env = { TMPDIR: join(root, 'nowhere') };
    const folderOf = (name: string): string => join(root, name.padEnd(200, '-'));

    test('is judged by the process table in one PID namespace', async () => {
      const folder = folderOf('same');
      const owner = child('here', env);
      expect(await take(owner, folder)).toBe('taken');
      expect(lockIn(folder)).toMatchObject({ socket: '', noSocket: 'ENOENT' });
      expect(await take(child('here', env), folder)).toMatch(/^refused .*it is in use by process \d+ \(since/);
      await owner.kill();
      const next = child('here', env);
      expect(await take(next, folder)).toBe('taken');
      await free(next, folder);
      mustBeEmpty(folder);
    });

    test.each(PLACES.slice(1))('is kept at the place "%s", dead or alive, by a message that says what to do', async (place) => {
      const folder = folderOf(place.replaceAll('/', ''));
      const owner = child('here', env);
      const other = child(place, env);
      expect(await take(owner, folder)).toBe('taken');
      const unsure =
        /^refused .*may be in use by process \d+.*cannot be seen from here; make sure that no process works on it, then delete (.*)$/;
      expect(await take(other, folder)).toMatch(unsure);
      await owner.kill();
      const said = unsure.exec(await take(other, folder)) as RegExpExecArray;
      rmSync(said[1] as string);
      expect(await take(other, folder)).toBe('taken');
    });

    test('is not judged by a /proc that shows other processes', async () => {
      const folder = folderOf('foreign');
      const owner = child('a PID namespace with the /proc of another', env);
      expect(await take(owner, folder)).toBe('taken');
      const beside = enterNamespaceOf(owner, [process.execPath, ...CHILD], env);
      started.unshift(beside);
      expect(await take(beside, folder)).toMatch(/^refused .*it may be in use by process 1 /);
    });

    test('is not judged by a boot number that a container has made up', async () => {
      const folder = folderOf('masked');
      const owner = child('here', env);
      expect(await take(owner, folder)).toBe('taken');
      const made = join(root, 'boot_id');
      writeFileSync(made, '00000000-0000-4000-8000-000000000000\n');
      const mask = `mount --bind ${made} /proc/sys/kernel/random/boot_id && exec "$0" "$@"`;
      const masked = inMounts(mask, env);
      expect(await take(masked, folder)).toMatch(/^refused .*it may be in use by process/);
    });

    test('does not keep anybody out after a reboot', async () => {
      const folder = folderOf('reboot');
      const owner = child('here', env);
      expect(await take(owner, folder)).toBe('taken');
      rewrite(folder, { boot: '00000000-0000-4000-8000-000000000000' });
      expect(await take(child('another PID namespace', env), folder)).toBe('taken');
    });
  });

  test('of another machine is kept where the file system can be shared, whatever the socket and the boot say', async () => {
    const folder = join(root, 'shared');
    const owner = child('here');
    expect(await take(owner, folder)).toBe('taken');
    await owner.kill();
    rewrite(folder, { fileSystem: 'linux:6969', boot: '00000000-0000-4000-8000-000000000000', host: 'elsewhere' });
    const said = await take(child('here'), folder);
    expect(said).toMatch(/^refused .*may be in use by process \d+ on host elsewhere .*other machines may share its file system; .*delete /);
  });
});

test('threads of one process keep each other out, and the end of a thread is the end of its lock', async () => {
  const folder = join(root, 'threads');
  const threads = [thread(), thread()] as const;
  expect(await threads[0].ask(['take', folder])).toBe('taken');
  expect(await threads[1].ask(['take', folder])).toMatch(/^refused .*it is in use by process/);
  await threads[0].worker.terminate();
  expect(await threads[1].ask(['take', folder])).toBe('taken');
  await threads[1].worker.terminate();
});

test('a folder that cannot be written is an error, and no lock', async () => {
  const folder = join(root, 'read-only');
  mkdirSync(folder);
  const reader = inMounts(`mount -t tmpfs -o ro none ${folder} && exec "$0" "$@"`);
  expect(await take(reader, folder)).toMatch(/^failed LineproofError: cannot open folder .*: EROFS/);
  await killAll();
});

/** Runs a child in separate mounts, which the shell's `script` makes. */
function inMounts(script: string, env: NodeJS.ProcessEnv = {}): Told {
  const told = tell('here', [...mounted(script), process.execPath, ...CHILD], env);
  started.push(told);
  return told;
}

function thread(): { readonly worker: Worker; ask(act: readonly string[]): Promise<string> } {
  const worker = new Worker(`./${CHILD[0]}`, { stdin: true, stdout: true });
  return {
    worker,
    ask: async (act) => {
      worker.stdin?.write(`${JSON.stringify(act)}\n`);
      const [answer] = (await once(worker.stdout, 'data')) as [Buffer];
      return answer.toString().trim();
    },
  };
}

describe('many starters at once', () => {
  afterEach(killAll);

  test('over dead and living owners are never two, and none of them waits for ever', async () => {
    const folder = join(root, 'storm');
    mkdirSync(folder);
    const starters = Array.from({ length: 6 }, () => child('here'));
    const said = await Promise.all(starters.map((each) => each.ask(JSON.stringify(['storm', folder, 60]))));
    expect(said).toEqual(starters.map(() => 'together 0'));
    const last = child('both');
    expect(await take(last, folder)).toBe('taken');
    await free(last, folder);
    mustBeEmpty(folder);
  });

  test('of which some are killed at any instant leave a folder that the next one takes', async () => {
    const folder = join(root, 'killed-storm');
    mkdirSync(folder);
    const steady = [child('here'), child('here')];
    const work = Promise.all(steady.map((each) => each.ask(JSON.stringify(['storm', folder, 150]))));
    for (let i = 0; i < 12; i++) {
      const doomed = child('here');
      await doomed.ask(JSON.stringify(['storm', folder, 1]));
      doomed.ask(JSON.stringify(['storm', folder, 1_000_000])).catch(() => undefined);
      await doomed.kill();
    }
    expect(await work).toEqual(steady.map(() => 'together 0'));
    const last = child('here');
    expect(await take(last, folder)).toBe('taken');
    await free(last, folder);
    expect(readdirSync(folder).filter((name) => name !== 'inside' && !/\.(kept|aside)$/.test(name))).toEqual([]);
  });
});

test('two PID namespaces that replace one object of a store lose nothing of each other', async () => {
  const folder = join(root, 'store');
  const writers = [child('here'), child('another PID namespace'), child('both')];
  const said = await Promise.all(writers.map((each) => each.ask(JSON.stringify(['count', folder, 40]))));
  await killAll();
  expect(said).toEqual(writers.map(() => 'counted'));
  expect(readFileSync(join(folder, 'number'), 'utf8')).toBe('120');
  expect(existsSync(join(folder, '.store'))).toBe(true);
  mustBeEmpty(join(folder, '.store'));
});
