import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { type FileLock, holderOf, takeFileLock } from '../../../platform/file-lock.ts';
import { isOfOneKernel } from '../../../platform/lock-owner.ts';

let root: string;
let folder: string;
let file: string;
const taken: FileLock[] = [];
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'lineproof-lock-'));
  folder = join(root, 'folder');
  file = join(folder, 'lock');
  mkdirSync(folder);
});
afterEach(async () => {
  for (const lock of taken.splice(0)) await lock.release();
  rmSync(root, { recursive: true, force: true });
});

const options = (path = folder) => ({ folder: path, name: 'lock', subject: `folder ${path}`, otherwise: 'take another one' });

async function take(path = folder): Promise<FileLock> {
  const lock = await takeFileLock(options(path));
  taken.push(lock);
  return lock;
}

async function mustRefuse(message: RegExp, code = 'DATA_IN_USE'): Promise<void> {
  await expect(take()).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
}

const ownerIn = (path = file): Record<string, unknown> => JSON.parse(readFileSync(path, 'utf8'));

/** What a lock of this process would say, with other values. Nobody listens on its socket, for it is not there. */
async function textWith(changes: Record<string, unknown>): Promise<string> {
  const lock = await takeFileLock(options(join(root, 'other')));
  const text = { ...ownerIn(join(root, 'other', 'lock')), ...changes };
  await lock.release();
  return `${JSON.stringify(text)}\n`;
}

const heirOf = (text: string, depth: number): string =>
  `${file}.${createHash('sha256').update(text).digest('hex').slice(0, 32)}-${depth}.heir`;
const OTHER_BOOT = { boot: '00000000-0000-4000-8000-000000000000' };

describe('a lock of this process', () => {
  test('keeps the folder from every other taker until it is released, once and for all', async () => {
    const lock = await take();
    await mustRefuse(
      new RegExp(
        `^cannot open folder ${folder}: it is in use by process ${process.pid} \\(since .*\\); stop that process, or take another one$`,
      ),
    );
    await Promise.all([lock.release(), lock.release()]);
    expect(readdirSync(folder)).toEqual([]);
    const next = await take();
    await lock.release();
    await mustRefuse(/it is in use/);
    await next.release();
  });

  test('goes to one of many takers that start in the same moment', async () => {
    const results = await Promise.allSettled(Array.from({ length: 20 }, () => take()));
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  test('goes to one of many takers that find the same dead lock', async () => {
    writeFileSync(file, await textWith(OTHER_BOOT));
    const results = await Promise.allSettled(Array.from({ length: 20 }, () => take()));
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  test('is waited for by a taker that has patience', async () => {
    const lock = await take();
    const waiting = takeFileLock({ ...options(), patienceMs: 60_000 });
    await lock.release();
    taken.push(await waiting);
  });

  test('does not hold a copy of its folder', async () => {
    await take();
    execFileSync('cp', ['-R', folder, join(root, 'copy')]);
    await take(join(root, 'copy'));
    expect(readdirSync(join(root, 'copy'))).toHaveLength(2);
  });

  test('that comes back with a restored folder, after it was given up, holds nothing', async () => {
    const lock = await take();
    const text = readFileSync(file, 'utf8');
    await lock.release();
    writeFileSync(file, text);
    await take();
  });

  test('is there in whole or not at all, and nothing but it and its socket is left beside it', async () => {
    await take();
    const { socket } = ownerIn();
    expect(readdirSync(folder).toSorted()).toEqual(['lock', socket]);
  });

  test('is not taken away from somebody who has it after it was deleted by hand', async () => {
    const lock = await take();
    rmSync(file);
    await take();
    await lock.release();
    await mustRefuse(/it is in use/);
  });

  test('names its holder, and nobody where it is free', async () => {
    expect(await holderOf(options())).toBeUndefined();
    const lock = await take();
    expect(await holderOf(options())).toMatchObject({ lives: true, error: { code: 'DATA_IN_USE' } });
    await lock.release();
    expect(await holderOf(options())).toBeUndefined();
    writeFileSync(file, 'not ours');
    expect(await holderOf(options())).toMatchObject({ lives: false, error: { code: 'DATA_IN_USE' } });
  });
});

describe('a lock file that no owner of this version wrote', () => {
  test.each<[string, string]>([
    ['other words', 'in use by me'],
    ['JSON of another kind', '[]'],
    ['an owner without a namespace', JSON.stringify({ pid: process.pid, started: '', since: '' })],
    ['null', 'null'],
    ['ten million bytes', 'x'.repeat(10_000_000)],
  ])('of %s is left alone, and the message says what to do', async (_, text) => {
    writeFileSync(file, text);
    await mustRefuse(new RegExp(`may be in use by another process.*not one that this version writes; make sure .* then delete ${file}$`));
    expect(readFileSync(file, 'utf8')).toBe(text);
    rmSync(file);
    await take();
  });

  test.each([
    ['leads out of the folder', { socket: '../socket' }],
    ['has a name that is not ours', { socket: 'socket' }],
    ['belongs to a process that cannot be', { pid: 0 }],
    ['would colour a terminal', { host: '\u001b[31mred' }],
  ])('and that %s is not believed', async (_, changes) => {
    writeFileSync(file, await textWith({ ...OTHER_BOOT, ...changes }));
    await mustRefuse(/not one that this version writes/);
  });

  test.each([
    ['empty', ''],
    ['full of zeros', '\0'.repeat(500)],
  ])('but is %s, as a power cut leaves it, is taken over', async (_, text) => {
    writeFileSync(file, text);
    await take();
  });

  test.each([
    ['a link', () => symlinkSync(join(root, 'elsewhere'), file)],
    ['a link to a file', () => symlinkSync('/etc/hostname', file)],
    ['a pipe', () => void execFileSync('mkfifo', [file])],
    ['a folder', () => mkdirSync(file)],
  ])('but is %s is an error at once', async (_, plant) => {
    plant();
    await mustRefuse(/lock is not a plain file; remove it|it is not a plain file; remove it/, 'IO_FAILED');
  });

  test('but is a socket is an error at once', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(file, resolve));
    await mustRefuse(/it is not a plain file; remove it/, 'IO_FAILED');
    await new Promise((resolve) => server.close(resolve));
  });
});

describe('a dead lock', () => {
  test.each([
    ['of another boot', OTHER_BOOT],
    ['of a process that is not there', { pid: 2 ** 22 + 1 }],
    ['of an earlier process with the number of one that lives', { pid: process.ppid, started: '1' }],
    ['of a folder that was copied', { folder: '1:1' }],
  ])('%s is taken over', async (_, changes) => {
    const { folder: here } = await placeHere();
    writeFileSync(file, await textWith({ folder: here, ...changes }));
    await take();
  });

  test.each([
    ['whose process cannot be seen', { boot: '' }],
    ['of another boot on a file system that may be shared', { ...OTHER_BOOT, fileSystem: 'linux:6969' }],
    ['of a copied folder on a file system that may be shared', { folder: '1:1', boot: '', fileSystem: 'linux:65735546' }],
    ['of another PID namespace whose socket is gone', { processes: 'pid:[1] time:[1]', pid: 2 ** 22 + 1 }],
  ])('is not one %s', async (_, changes) => {
    const { folder: here } = await placeHere();
    writeFileSync(file, await textWith({ folder: here, ...changes }));
    await mustRefuse(/may be in use by process/);
  });

  test('is not one whose socket is another file now, for the kernel refuses what is not a socket', async () => {
    await take();
    const { socket } = ownerIn();
    writeFileSync(file, `${JSON.stringify({ ...ownerIn(), boot: '' })}\n`);
    rmSync(join(folder, String(socket)));
    writeFileSync(join(folder, String(socket)), '');
    await mustRefuse(/may be in use by process .* does not answer \(ECONNREFUSED\)/);
  });

  test('belongs to the heir who is taking it over, and to nobody where all heirs have died', async () => {
    const { folder: here } = await placeHere();
    const [dead, heir] = [await textWith(OTHER_BOOT), await textWith(OTHER_BOOT)];
    writeFileSync(file, dead);
    writeFileSync(heirOf(dead, 1), heir);
    const lock = await take(join(root, 'living'));
    const living = readFileSync(join(root, 'living', 'lock'), 'utf8');
    writeFileSync(heirOf(heir, 2), `${JSON.stringify({ ...JSON.parse(living), folder: here })}\n`);
    await mustRefuse(/it is in use by process/);
    await lock.release();
    await take();
    expect(readdirSync(folder)).toHaveLength(2);
  });

  /** What a lock in `folder` says of the folder. */
  async function placeHere(): Promise<{ readonly folder: unknown }> {
    const lock = await takeFileLock(options());
    const { folder: here } = ownerIn();
    await lock.release();
    return { folder: here };
  }
});

test('what dead starters left beside a lock goes with the next owner, and what living ones have there stays', async () => {
  const other = await takeFileLock({ ...options(), name: 'other' });
  taken.push(other);
  const living = readdirSync(folder);
  const dead = createServer();
  const socket = 'lock-00112233445566aa.socket';
  await new Promise<void>((resolve) => dead.listen(join(root, 'dead'), resolve));
  execFileSync('cp', ['-R', join(root, 'dead'), join(folder, socket)]);
  execFileSync('cp', ['-R', join(root, 'dead'), join(folder, 'lock-00112233445566aa.bind')]);
  await new Promise((resolve) => dead.close(resolve));
  // A dead lock of another name still needs its socket: it is the proof.
  const proof = 'lock-00112233445566cc.socket';
  execFileSync('cp', ['-R', join(folder, socket), join(folder, proof)]);
  writeFileSync(join(folder, 'third.lock'), await textWith({ socket: proof }));
  writeFileSync(join(folder, 'lock-00112233445566aa.draft'), await textWith(OTHER_BOOT));
  writeFileSync(join(folder, 'lock-00112233445566bb.draft'), '');
  writeFileSync(`${file}.${'0'.repeat(32)}-1.heir`, '');
  writeFileSync(join(folder, 'other.0-1.heir'), '');
  writeFileSync(join(folder, 'lock-of-somebody.socket'), '');
  const lock = await take();
  await lock.release();
  expect(readdirSync(folder).toSorted()).toEqual([...living, 'lock-of-somebody.socket', 'other.0-1.heir', proof, 'third.lock'].toSorted());
  expect(existsSync(join(folder, 'other'))).toBe(true);
});

test.each([
  ['ext4', 'ef53', true],
  ['tmpfs', '1021994', true],
  ['overlay', '794c7630', true],
  ['NFS', '6969', false],
  ['SMB', 'fe534d42', false],
  ['CIFS', 'ff534d42', false],
  ['9P', '1021997', false],
  ['FUSE', '65735546', false],
  ['Ceph', 'c36400', false],
  ['Lustre', 'bd00bd0', false],
  ['GFS2', '1161970', false],
  ['OCFS2', '7461636f', false],
  ['one that nobody knows', '1', false],
])('of the file systems, %s (%s) has one kernel: %s', (_, type, expected) => {
  expect(isOfOneKernel({ folder: '', fileSystem: `linux:${type}` })).toBe(expected);
});

test.each([
  ['another', { processes: 'pid:[1] time:[1]' }],
  ['perhaps another', { processes: '' }],
])('a living owner of %s PID namespace is named so, because its number means nothing here', async (which, changes) => {
  await take();
  writeFileSync(file, `${JSON.stringify({ ...ownerIn(), ...changes, pid: 4_194_305 })}\n`);
  await mustRefuse(new RegExp(`it is in use by process 4194305 of ${which} PID namespace, such as a container's,.*stop that process`));
});
