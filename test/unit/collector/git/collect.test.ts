import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { sha256 } from '#crypto';
import { collectGit } from '../../../../collector/git/collect.ts';
import type { CursorStore, GitCollection } from '../../../../collector/git/collection.ts';
import { toHex, utf8 } from '../../../../core/base/bytes.ts';
import type { Event } from '../../../../core/formats/event.ts';
import { EVENT_SCHEMA } from '../../../../core/formats/event-schema.ts';

let folder: string;
let events: Event[];
const cursors = new Map<string, string>();
const store: CursorStore = { get: async (name) => cursors.get(name), put: async (name, value) => void cursors.set(name, value) };
const sink = {
  record: (event: Event): Uint8Array => {
    EVENT_SCHEMA.encode(event);
    events.push(event);
    return event.id;
  },
  recordDurably: async (event: Event): Promise<Uint8Array> => sink.record(event),
};

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lineproof-git-'));
  events = [];
  cursors.clear();
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function git(...args: string[]): string {
  const config = ['-c', 'user.name=Zoë', '-c', 'user.email=z@example.org', '-c', 'commit.gpgsign=false'];
  return execFileSync('git', ['-C', folder, ...config, ...args], { encoding: 'utf8' });
}

function commit(name: string | Buffer, content: string): string {
  writeFileSync(Buffer.concat([Buffer.from(`${folder}/`), Buffer.from(name)]), content);
  git('add', '-A');
  git('commit', '-qm', 'change');
  return git('rev-parse', 'HEAD').trim();
}

const collect = (actors: 'hashed' | 'plain' = 'hashed'): Promise<GitCollection> =>
  collectGit(folder, sink, store, { actors, actorKey: new Uint8Array(32) });

test.each([['sha1'], ['sha256']])(
  'a history with %s objects becomes one event for each commit, and resumes where it stopped',
  async (format) => {
    git('init', '-q', `--object-format=${format}`);
    commit('a.txt', 'one');
    const second = commit('a.txt', 'two');
    expect(await collect()).toMatchObject({ source: 'git', commits: 2 });
    expect(events[1]?.activity?.version).toBe(second);
    expect(events[1]?.parents[0]?.id).toEqual(events[0]?.id);
    expect(toHex(events[1]?.inputs[0]?.digest?.value as Uint8Array)).toBe(toHex(sha256(utf8('one'))));
    expect(toHex(events[1]?.outputs[0]?.digest?.value as Uint8Array)).toBe(toHex(sha256(utf8('two'))));
    expect(events[1]?.outputs[0]?.version).toBe(git('rev-parse', 'HEAD:a.txt').trim());
    expect(JSON.stringify(events)).not.toContain('Zo');
    expect(await collect()).toMatchObject({ commits: 0 });
    commit('b.txt', '');
    expect(await collect('plain')).toMatchObject({ commits: 1 });
    expect(events[2]?.actor.id).toBe('Zoë <z@example.org>');
  },
);

test('a merge lists what it brought against its first parent, a deletion has no output, and a name that is not UTF-8 is escaped', async () => {
  git('init', '-q', '-b', 'main');
  commit('a', 'a');
  git('checkout', '-qb', 'side');
  commit(Buffer.from([0x66, 0xff]), 'odd');
  git('checkout', '-q', 'main');
  commit('c', 'c');
  git('merge', '-q', '--no-ff', '-m', 'merge', 'side');
  git('rm', '-q', 'a');
  git('commit', '-qm', 'remove');
  expect(await collect()).toMatchObject({ commits: 5 });
  const merge = events.find(({ parents }) => parents.length === 2);
  expect(merge?.outputs.map(({ name }) => name)).toEqual(['f\\xff']);
  expect(events.at(-1)).toMatchObject({ inputs: [{ name: 'a' }], outputs: [] });
});

test('a folder without history gives its files, and says why', async () => {
  writeFileSync(join(folder, 'x.csv'), 'x');
  expect(await collect()).toMatchObject({ source: 'files', reason: 'the folder is not a git repository', commits: 1 });
  git('init', '-q');
  expect(await collect()).toMatchObject({ source: 'files', reason: 'the repository has no commits' });
  expect(events[0]?.outputs.map(({ name }) => name)).toEqual(['x.csv']);
  // What the event says of the folder differs, so it is another event.
  expect(events[1]?.id).not.toEqual(events[0]?.id);
  expect(events.map(({ attributes }) => attributes)).toEqual([
    [{ key: 'files.reason', value: 'the folder is not a git repository' }],
    [{ key: 'files.reason', value: 'the repository has no commits' }],
  ]);
});

test('a repository cannot run anything by its configuration', async () => {
  git('init', '-q');
  const mark = join(folder, '.git', 'ran');
  const script = join(folder, '.git', 'evil.sh');
  writeFileSync(script, `#!/bin/sh\ntouch ${mark}\ncat "$1"\n`, { mode: 0o755 });
  commit('.gitattributes', '* diff=evil filter=evil\n');
  for (const key of [
    'core.fsmonitor',
    'core.pager',
    'diff.external',
    'diff.evil.textconv',
    'diff.evil.command',
    'filter.evil.smudge',
    'gpg.program',
  ])
    git('config', key, script);
  git('config', 'log.showSignature', 'true');
  rmSync(mark, { force: true });
  await collect();
  expect(() => execFileSync('test', ['-e', mark])).toThrow();
});

/** Writes an object without git looking at what it says. */
function hashObject(type: string, content: string | Buffer): string {
  return execFileSync('git', ['-C', folder, 'hash-object', '-w', '--literally', '-t', type, '--stdin'], {
    input: content,
    encoding: 'utf8',
  }).trim();
}

/** A tree entry as it stands in a tree object. */
function entry(mode: string, name: string | Buffer, id: string): Buffer {
  return Buffer.concat([Buffer.from(`${mode} `), Buffer.from(name), Buffer.from([0]), Buffer.from(id, 'hex')]);
}

/** A commit object with any header lines, made HEAD. */
function rawCommit(tree: string, people: string, message: string): string {
  const id = hashObject('commit', `tree ${tree}\n${people}\n\n${message}`);
  git('update-ref', 'HEAD', id);
  return id;
}

const PEOPLE = 'author A <a@example.org> 1700000000 +0000\ncommitter C <c@example.org> 1700000000 +0000';

test('a commit that changes more files than one event holds goes on in further events, and each file is listed once', async () => {
  git('init', '-q');
  const blob = hashObject('blob', 'same');
  const names = Array.from({ length: 5000 }, (_, i) => `folder-file-with-a-name-of-some-length-${String(i).padStart(5, '0')}`);
  rawCommit(hashObject('tree', Buffer.concat(names.map((name) => entry('100644', name, blob)))), PEOPLE, 'many');
  expect(await collect()).toMatchObject({ commits: 1 });
  expect(events.length).toBeGreaterThan(1);
  expect(events.flatMap(({ outputs }) => outputs.map(({ name }) => name))).toEqual(names);
  for (const part of events.slice(1)) expect(part.parents.map(({ id }) => id)).toEqual([events[0]?.id]);
  expect(new Set(events.map(({ id }) => toHex(id))).size).toBe(events.length);
  expect(events[0]?.attributes).toContainEqual({ key: 'part', value: `1/${events.length}` });
  const before = events;
  events = [];
  cursors.clear();
  await collect();
  expect(events).toEqual(before);
});

test('names, times and files that an author made up to do harm are recorded, and cannot disturb a terminal', async () => {
  git('init', '-q');
  const blob = hashObject('blob', 'x');
  const long = 'n'.repeat(10_000);
  const endless = Buffer.concat([Buffer.from([0xff]), Buffer.alloc(200_000, 0x61)]);
  const tree = hashObject(
    'tree',
    Buffer.concat([
      entry('100644', 'a\nb\t\u0001c', blob),
      entry('100644', endless, blob),
      entry('100644', long, blob),
      entry('100644', '\u0001looks like a commit', blob),
      // A file that is a tree, a submodule, and a file that is not there.
      entry('100644', 'liar', hashObject('tree', '')),
      entry('160000', 'module', '1'.repeat(40)),
      entry('100644', 'gone', '2'.repeat(40)),
    ]),
  );
  rawCommit(
    tree,
    `author ${'E'.repeat(300_000)}\u001b[2J <e@x> 99999999999999999999 +0000\ncommitter \u0007bell\u009b <> -5 +0000`,
    'msg\u0000\u001b]0;title\u0007',
  );
  expect(await collect('plain')).toMatchObject({ commits: 1 });
  const outputs = new Map(events.flatMap((event) => event.outputs).map((ref) => [ref.name, ref]));
  expect(
    [...outputs.keys()].filter((name) => name.startsWith('\\xffaaa')).map((name) => name.length < 2000 && name.includes('sha256')),
  ).toEqual([true]);
  expect(toHex(outputs.get('a\nb\t\u0001c')?.digest?.value as Uint8Array)).toBe(toHex(sha256(utf8('x'))));
  expect(outputs.has(long)).toBe(true);
  expect(outputs.get('\u0001looks like a commit')?.version).toBe(blob);
  for (const name of ['liar', 'module', 'gone']) expect([name, outputs.get(name)?.digest]).toEqual([name, null]);
  expect(JSON.stringify([events[0]?.actor, events[0]?.attributes])).not.toMatch(/[\u0080-\u009f]|\\u00[01]/);
});

test('renames are a deletion and a creation, and binary and large files have the digest of their bytes', async () => {
  git('init', '-q');
  const binary = Buffer.alloc(5_000_000, 'binary\0\r\n');
  writeFileSync(join(folder, 'old.bin'), binary);
  git('add', '-A');
  git('commit', '-qm', 'add');
  git('mv', 'old.bin', 'new.bin');
  git('commit', '-qm', 'rename');
  await collect();
  const [, renamed] = events;
  expect([renamed?.inputs.map(({ name }) => name), renamed?.outputs.map(({ name }) => name)]).toEqual([['old.bin'], ['new.bin']]);
  expect(renamed?.outputs[0]).toMatchObject({ size: binary.length, digest: { algorithm: 'sha256', value: sha256(binary) } });
});

test('a change of a submodule is recorded, although the repository asks to ignore it', async () => {
  git('init', '-q');
  const tree = (commitId: string): string => hashObject('tree', Buffer.concat([entry('160000', 'module', commitId)]));
  rawCommit(tree('1'.repeat(40)), PEOPLE, 'one');
  const first = git('rev-parse', 'HEAD').trim();
  rawCommit(tree('2'.repeat(40)), `parent ${first}\n${PEOPLE}`, 'two');
  writeFileSync(join(folder, '.gitmodules'), '[submodule "module"]\n\tpath = module\n\turl = x\n\tignore = all\n');
  git('config', 'diff.ignoreSubmodules', 'all');
  await collect();
  expect(events.at(-1)?.outputs.map(({ name, version }) => [name, version])).toEqual([['module', `submodule:${'2'.repeat(40)}`]]);
});

test('going back and forth between branches adds nothing twice', async () => {
  git('init', '-q', '-b', 'main');
  commit('a', '1');
  git('checkout', '-qb', 'side');
  commit('b', '2');
  expect(await collect()).toMatchObject({ commits: 2 });
  git('checkout', '-q', 'main');
  commit('c', '3');
  expect(await collect()).toMatchObject({ commits: 1 });
  git('checkout', '-q', 'side');
  commit('b', '4');
  expect(await collect()).toMatchObject({ commits: 1 });
  git('checkout', '-q', 'main');
  git('merge', '-q', '--no-ff', '-m', 'merge', 'side');
  expect(await collect()).toMatchObject({ commits: 1 });
  expect(new Set(events.map(({ id }) => toHex(id))).size).toBe(events.length);
});

test('objects that a repository lacks are not fetched, because its address may be a command', async () => {
  git('init', '-q');
  const mark = join(folder, '.git', 'fetched');
  const gone = commit('a', 'content that gets lost');
  const id = git('rev-parse', `${gone}:a`).trim();
  rmSync(join(folder, '.git', 'objects', id.slice(0, 2), id.slice(2)));
  for (const [key, value] of [
    ['core.repositoryFormatVersion', '1'],
    ['extensions.partialClone', 'origin'],
    ['remote.origin.promisor', 'true'],
    ['remote.origin.url', `ext::sh -c touch% ${mark}`],
    ['protocol.ext.allow', 'always'],
  ] as const)
    git('config', key, value);
  expect(await collect()).toMatchObject({ commits: 1 });
  expect(existsSync(mark)).toBe(false);
  expect(events[0]?.outputs[0]).toMatchObject({ name: 'a', digest: null });
});

test('GIT_DIR, which git sets for its hooks, does not lead to another repository', async () => {
  git('init', '-q');
  commit('right', '1');
  const other = mkdtempSync(join(tmpdir(), 'lineproof-git-other-'));
  execFileSync('git', ['init', '-q', other]);
  process.env['GIT_DIR'] = join(other, '.git');
  try {
    expect(await collect()).toMatchObject({ source: 'git', commits: 1 });
  } finally {
    delete process.env['GIT_DIR'];
    rmSync(other, { recursive: true, force: true });
  }
});

test('a history that cannot be read is an error that names the folder', async () => {
  git('init', '-q');
  commit('a', '1');
  const head = commit('a', '2');
  const parent = git('rev-parse', `${head}^`).trim();
  rmSync(join(folder, '.git', 'objects', parent.slice(0, 2), parent.slice(2)));
  await expect(collect()).rejects.toMatchObject({ code: 'REPOSITORY_UNREADABLE', message: expect.stringContaining(folder) });
});

test('a folder without history lists each file once, in as many events as it takes, those with names that are not UTF-8 too', async () => {
  const name = (i: number): string => `${String(i).padStart(4, '0')}-${'long'.repeat(50)}`;
  for (let i = 0; i < 700; i++) writeFileSync(join(folder, name(i)), String(i));
  writeFileSync(Buffer.concat([Buffer.from(`${folder}/`), Buffer.from([0x7a, 0xff])]), 'odd');
  expect(await collect()).toMatchObject({ source: 'files' });
  expect(events.length).toBeGreaterThan(1);
  expect(events.flatMap(({ outputs }) => outputs.map((ref) => ref.name))).toEqual([
    ...Array.from({ length: 700 }, (_, i) => name(i)),
    'z\\xff',
  ]);
});
