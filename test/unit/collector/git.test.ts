import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { sha256 } from '#crypto';
import { type CursorStore, collectGit, type GitCollection } from '../../../collector/git.ts';
import { runCommand } from '../../../collector/run.ts';
import { toHex, utf8 } from '../../../core/bytes.ts';
import type { Event } from '../../../core/event.ts';
import { EVENT_SCHEMA } from '../../../core/event-schema.ts';

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

test('merges, deletions and names that are not UTF-8 have their place', async () => {
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
  expect(await collect()).toMatchObject({ source: 'files', reason: 'the folder is no git repository', commits: 1 });
  git('init', '-q');
  expect(await collect()).toMatchObject({ source: 'files', reason: 'the repository has no commits' });
  expect(events[0]?.outputs.map(({ name }) => name)).toEqual(['x.csv']);
  expect(events[1]?.id).toEqual(events[0]?.id);
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

test('a command is recorded with what it read and wrote, and its exit code passed on', async () => {
  writeFileSync(join(folder, 'in.csv'), '1');
  const result = await runCommand(async () => sink, {
    command: ['sh', '-c', 'cp in.csv out.csv; exit 3'],
    folder,
    inputs: ['*.csv'],
    outputs: [],
    env: { ...process.env, SECRET_TOKEN: 'hunter2' },
  });
  expect(result).toMatchObject({ exitCode: 3, failure: undefined });
  expect(events[0]?.inputs.map(({ name }) => name)).toEqual(['in.csv']);
  expect(events[0]?.outputs.map(({ name }) => name)).toContain('out.csv');
  const recorded = JSON.stringify(events[0]);
  expect([recorded.includes('SECRET_TOKEN'), recorded.includes('hunter2')]).toEqual([true, false]);
});

test('a command keeps its exit code when nothing can be recorded', async () => {
  const broken = (): Promise<never> => Promise.reject(new Error('no spool'));
  const options = { folder, inputs: [], outputs: [], env: process.env };
  expect(await runCommand(broken, { ...options, command: ['sh', '-c', 'exit 5'] })).toMatchObject({ exitCode: 5, event: undefined });
  expect(await runCommand(async () => sink, { ...options, command: ['/nowhere/at-all'] })).toMatchObject({ exitCode: 127 });
});
