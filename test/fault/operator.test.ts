import { chmodSync, cpSync, mkdirSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { open } from 'lmdb';
import { type CommandResult, lineproof, MAIN, makeRepository, runProgram, temporaryFolder } from '../support/command.ts';

const TIMEOUT_MS = 120_000;
const COMMITS = 5;
const folder = temporaryFolder('operator');
const repository = join(folder.path, 'repository');
/** A healthy system that each test spoils a copy of. */
const healthy = join(folder.path, 'healthy');
const data = join(folder.path, 'data');
const ROOT_USER = process.getuid?.() === 0;

function start(...args: readonly string[]): Promise<CommandResult> {
  return lineproof(['start', '--until-idle', '--data', data, '--segment-max-age-ms', '1000', ...args]);
}

/** Starts on the repaired folder with what was committed meanwhile, and holds the auditor's verdict: everything is there, once. */
async function mustBeWhole(): Promise<void> {
  const { code, stdout, stderr } = await start('--collect', 'git', repository, '--verify', '--json');
  expect({ code, stderr }).toEqual({ code: 0, stderr: expect.any(String) });
  const { collected, verdict } = JSON.parse(stdout);
  expect(collected.commits).toBe(2);
  expect([verdict.ok, verdict.properties.COMPLETE.result, verdict.properties.UNIQUE.result]).toEqual([true, 'OK', 'OK']);
  const queried = await lineproof(['query', join(data, 'archive'), '--json']);
  expect(queried.stdout.trim().split('\n').length).toBe(COMMITS + 2);
}

/** The command ends with this code and says, in one line, what is wrong and what to do. */
async function mustRefuse(exit: number, code: string, ...says: readonly string[]): Promise<string> {
  const { code: exited, stdout, stderr } = await start();
  expect([exited, stdout]).toEqual([exit, '']);
  const line = stderr.split('\n').find((each) => each.startsWith('lineproof: '));
  expect(line).toMatch(new RegExp(`\\[${code}\\]$`));
  for (const text of says) expect(line).toContain(text);
  expect(stderr).not.toMatch(/ at .*\.js:/);
  return stderr;
}

beforeAll(async () => {
  mkdirSync(repository);
  await makeRepository(repository, COMMITS);
  const made = await lineproof([
    'start',
    '--collect',
    'git',
    repository,
    '--until-idle',
    '--data',
    healthy,
    '--segment-max-age-ms',
    '1000',
  ]);
  expect(made.code).toBe(0);
  await makeRepository(repository, 2, COMMITS);
}, TIMEOUT_MS);
beforeEach(() => {
  rmSync(data, { recursive: true, force: true });
  cpSync(healthy, data, { recursive: true });
});
afterAll(() => folder.release());

describe('keys', () => {
  test.each(['root', 'collector', 'chainer', 'log-0'])(
    'a missing %s key is named, and never replaced by a new one',
    async (name) => {
      const key = join(data, 'keys', `${name}.key`);
      renameSync(key, join(folder.path, 'kept.key'));
      await mustRefuse(78, 'KEY_UNREADABLE', key, 'restore it from its backup');
      renameSync(join(folder.path, 'kept.key'), key);
      await mustBeWhole();
    },
    TIMEOUT_MS,
  );

  test(
    'keys that are all gone are not replaced either',
    async () => {
      const keys = join(data, 'keys');
      rmSync(keys, { recursive: true });
      await mustRefuse(78, 'KEY_UNREADABLE', keys, 'restore it from its backup');
      cpSync(join(healthy, 'keys'), keys, { recursive: true });
      await mustBeWhole();
    },
    TIMEOUT_MS,
  );

  test(
    'a key that others can read is refused with the command that closes it',
    async () => {
      const key = join(data, 'keys', 'chainer.key');
      chmodSync(key, 0o644);
      await mustRefuse(78, 'KEY_UNREADABLE', `chmod 600 ${key}`);
      chmodSync(key, 0o600);
      await mustBeWhole();
    },
    TIMEOUT_MS,
  );

  test(
    'a key that this user may not read is named',
    async () => {
      const key = join(data, 'keys', 'log-0.key');
      chmodSync(key, 0);
      const args = ['start', '--until-idle', '--data', data];
      // The superuser reads everything unless that right is taken away.
      const drop = '--bounding-set=-dac_override,-dac_read_search';
      const { code, stderr } = ROOT_USER
        ? await runProgram('setpriv', [drop, drop.replace('bounding-set', 'inh-caps'), process.execPath, MAIN, ...args])
        : await lineproof(args);
      expect([code, stderr]).toEqual([78, expect.stringMatching(/cannot read key file .*log-0\.key: EACCES.*\[KEY_UNREADABLE\]/)]);
      chmodSync(key, 0o600);
      await mustBeWhole();
    },
    TIMEOUT_MS,
  );

  test(
    'a damaged key is named and its content is not repeated',
    async () => {
      const key = join(data, 'keys', 'collector.key');
      const text = readFileSync(key, 'utf8');
      writeFileSync(key, text.slice(0, -9));
      const said = await mustRefuse(78, 'KEY_UNREADABLE', key, 'restore it from its backup');
      expect(said).not.toContain(text.split('+').at(-1)?.slice(0, 8));
      writeFileSync(key, text);
      await mustBeWhole();
    },
    TIMEOUT_MS,
  );
});

describe('a data folder in use', () => {
  test(
    'is refused to a second process, and taken over from one that was killed',
    async () => {
      let second: CommandResult | undefined;
      let pid: number | undefined;
      const first = await lineproof(['start', '--data', data], {
        onStart: (child) => {
          pid = child.pid;
          const tryToo = async (): Promise<void> => {
            second = await start();
            child.kill('SIGKILL');
          };
          child.stdout?.on('data', (chunk: Buffer) => {
            if (chunk.toString().includes('Running')) void tryToo();
          });
        },
      });
      expect(first.signal).toBe('SIGKILL');
      expect(second).toMatchObject({ code: 74, stdout: '' });
      expect(second?.stderr).toMatch(
        new RegExp(`in use by process ${pid} .*; stop that process, or name another folder.*\\[DATA_IN_USE\\]`),
      );
      await mustBeWhole();
    },
    TIMEOUT_MS,
  );
});

describe('a damaged log', () => {
  const log = join(data, 'log');
  const restore = (): void => {
    rmSync(log, { recursive: true, force: true });
    cpSync(join(healthy, 'log'), log, { recursive: true });
  };

  test.each([
    ['overwritten', () => writeFileSync(join(log, 'data.mdb'), Buffer.alloc(100_000, 0xa5))],
    ['truncated', () => truncateSync(join(log, 'data.mdb'), 12_000)],
  ])(
    'that was %s is named and goes on once it is restored',
    async (_, damage) => {
      damage();
      await mustRefuse(74, 'IO_FAILED', log, 'restore the folder from its backup');
      restore();
      await mustBeWhole();
    },
    TIMEOUT_MS,
  );

  test(
    'that is gone is not started again beside an archive',
    async () => {
      rmSync(log, { recursive: true });
      await mustRefuse(1, 'LOG_BEHIND', log, 'restore the log from its backup');
      restore();
      await mustBeWhole();
    },
    TIMEOUT_MS,
  );
});

describe('a policy that does not verify', () => {
  /** Changes the first record of provenance.control on the disk. */
  async function alterPolicy(change: (record: Buffer) => void): Promise<void> {
    const root = open<Buffer, string>({ path: join(data, 'log'), noSubdir: false, encoding: 'binary', maxDbs: 16, cache: false });
    const records = root.openDB<Buffer, [string, number, number]>('records', { encoding: 'binary' });
    const key: [string, number, number] = ['provenance.control', 0, 0];
    const record = Buffer.from(records.get(key) as Buffer);
    change(record);
    records.putSync(key, record);
    await root.close();
  }

  test(
    'is named with its place and the reason, and nothing is written over it',
    async () => {
      let before = 0;
      const at = (record: Buffer): number => record.indexOf('"sig":"') + 12;
      await alterPolicy((record) => {
        before = record[at(record)] as number;
        record[at(record)] = before === 0x41 ? 0x42 : 0x41;
      });
      await mustRefuse(78, 'POLICY_INVALID', 'provenance.control', 'offset 0', 'restore the log from its backup');
      await alterPolicy((record) => {
        record[at(record)] = before;
      });
      await mustBeWhole();
    },
    TIMEOUT_MS,
  );
});

describe('a full disk', () => {
  /** Runs a script as the superuser of separate mounts, where `$1` is an empty disk of that size. */
  async function onDisk(size: string, script: string, collected: string): Promise<string[]> {
    const mount = join(folder.path, 'disk');
    mkdirSync(mount, { recursive: true });
    const all = `mount -t tmpfs -o size=${size} none "$1" && cd "$1" && ${script}`;
    const { stdout, stderr } = await runProgram('unshare', [
      ROOT_USER ? '-m' : '-Urm',
      'sh',
      '-c',
      all,
      'sh',
      mount,
      process.execPath,
      MAIN,
      collected,
    ]);
    expect(stderr).not.toMatch(/unshare|mount:/);
    return `${stdout}${stderr}`.split('\n');
  }
  const command = '"$2" "$3" start --collect git "$4" --until-idle --verify --segment-max-age-ms 1000 --data data';

  test.each(['16k', '48k', '600k'])(
    'of %s is reported at the first start, which succeeds once there is space',
    async (size) => {
      const said = await onDisk(
        size,
        `{ ${command}; echo "exit $?"; mount -o remount,size=64m "$1"; ${command}; echo "exit $?"; }`,
        repository,
      );
      expect(said.filter((line) => line.startsWith('exit'))).toEqual(['exit 74', 'exit 0']);
      expect(said.find((line) => line.startsWith('lineproof: '))).toMatch(/disk is full.*\[DISK_FULL\]|ENOSPC.*\[DISK_FULL\]/);
      expect(said.find((line) => line.startsWith('VERDICT'))).toBe('VERDICT: OK');
    },
    TIMEOUT_MS,
  );

  test(
    'that fills up under work ends the command; started again with more space, everything is there once',
    async () => {
      const long = join(folder.path, 'long');
      await makeLongHistory(long, 4000);
      const said = await onDisk('3m', `{ ${command}; echo "exit $?"; mount -o remount,size=64m "$1"; ${command}; echo "exit $?"; }`, long);
      expect(said.filter((line) => line.startsWith('exit'))).toEqual(['exit 74', 'exit 0']);
      expect(said.find((line) => line.startsWith('lineproof: '))).toMatch(/disk is full.*\[DISK_FULL\]/);
      expect(said.find((line) => line.includes('STREAMS'))).toMatch(/ OK +1 stream, 4000 links, 4000 events/);
      expect(said.find((line) => line.startsWith('VERDICT'))).toBe('VERDICT: OK');
    },
    TIMEOUT_MS,
  );
});

/** A git history of many commits, made in one go. */
async function makeLongHistory(path: string, commits: number): Promise<void> {
  mkdirSync(path);
  const said = (text: string): string => `data ${text.length}\n${text}\n`;
  const history = Array.from(
    { length: commits },
    (_, i) =>
      `commit refs/heads/main\ncommitter Ada <ada@example.org> ${1_700_000_000 + i} +0000\n${said(`change ${i}`)}M 100644 inline file-${i % 7}\n${said(`content ${i}`)}`,
  );
  for (const [args, input] of [
    [['init', '-q', '-b', 'main'], ''],
    [['fast-import', '--quiet'], history.join('')],
  ] as const)
    expect(await runProgram('git', args, { cwd: path, input })).toMatchObject({ code: 0 });
}
