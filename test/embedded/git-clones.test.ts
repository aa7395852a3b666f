import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { toHex } from '../../core/base/bytes.ts';
import type { Event } from '../../core/formats/event.ts';
import { expectAsGit } from '../support/as-git.ts';
import { attribute, GitRepository, GitSink, PEOPLE } from '../support/git-repository.ts';

let repository: GitRepository;
let sink: GitSink;
beforeEach(() => {
  repository = new GitRepository();
  repository.init();
  sink = new GitSink();
});
afterEach(() => repository.release());

function git(folder: string, ...args: string[]): string {
  const config = ['-c', 'protocol.file.allow=always', '-c', 'user.name=A', '-c', 'user.email=a@x'];
  return execFileSync('git', ['-C', folder, ...config, ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
}

function clone(name: string, ...options: string[]): string {
  const folder = repository.beside(name);
  repository.git('config', 'uploadpack.allowFilter', 'true');
  git(repository.folder, 'clone', '-q', ...options, `file://${repository.folder}`, folder);
  return folder;
}

/** Commits `count` files, one after the other; gives the commits' hashes, the oldest first. */
function history(count: number, from = 0): string[] {
  return Array.from({ length: count }, (_, i) => repository.commit(`file-${from + i}`, `content ${from + i}`));
}

const hashesOf = (events: readonly Event[]): string[] => events.map((event) => attribute(event, 'git.commit') ?? 'none');
const idsOf = (events: readonly Event[]): string[] => events.map(({ id }) => toHex(id));

/** What a sink gets of a whole clone under the same stream. */
async function wholeOf(stream: string): Promise<Event[]> {
  const other = new GitSink();
  await other.collect(repository.folder, { stream });
  return other.take();
}

test('a shallow clone is refused without a name for its stream, and nothing is recorded', async () => {
  history(3);
  await expect(sink.collect(clone('shallow', '--depth', '2'))).rejects.toMatchObject({
    code: 'USAGE',
    message: expect.stringMatching(/shallow clone.*git fetch --unshallow.*--stream/),
  });
  expect([sink.events, [...sink.state.keys()]]).toEqual([[], []]);
});

test('where a shallow clone was cut, the event states the parents and that the changes are unknown', async () => {
  const [, second, third] = history(3);
  const result = await sink.collect(clone('shallow', '--depth', '2'), { stream: 'ci' });
  expect(result).toMatchObject({ commits: 2, cut: 1, interrupted: false });
  expect(hashesOf(sink.events)).toEqual([second, third]);
  const [boundary, whole] = sink.events;
  expect(boundary).toMatchObject({ type: 'OTHER', inputs: [], outputs: [], parents: [{ stream: 'ci' }] });
  expect(attribute(boundary, 'git.comparedWith')).toBe('nothing: a shallow clone was cut here');
  expect(boundary?.attributes.map(({ key }) => key).filter((key) => key.startsWith('git.changes'))).toEqual([]);
  const events = await wholeOf('ci');
  expect(whole).toEqual(events[2]);
  expect(boundary?.parents).toEqual(events[1]?.parents);
  expect(boundary?.id).not.toEqual(events[1]?.id);
});

test('a clone that is deepened goes on in its stream without the name, and ends with each commit whole and none twice', async () => {
  const all = history(6);
  const folder = clone('shallow', '--depth', '2');
  await sink.collect(folder, { stream: 'ci' });
  git(folder, 'fetch', '-q', '--depth', '4');
  expect(await sink.collect(folder)).toMatchObject({ stream: 'ci', commits: 3, cut: 1 });
  expect(await sink.collect(folder)).toMatchObject({ stream: 'ci', commits: 0 });
  git(folder, 'fetch', '-q', '--unshallow');
  expect(await sink.collect(folder)).toMatchObject({ stream: 'ci', commits: 3, cut: 0 });
  expect(await sink.collect(folder)).toMatchObject({ stream: 'ci', commits: 0 });
  const whole = sink.events.filter(({ type }) => type === 'TRANSFORM');
  expect(hashesOf(whole).toSorted()).toEqual(all.toSorted());
  expect(new Set(idsOf(sink.events)).size).toBe(sink.events.length);
  expectAsGit(repository, whole);
});

test('new shallow clones of a history that grows record each commit once', async () => {
  const first = history(4);
  await sink.collect(clone('one', '--depth', '3'), { stream: 'ci' });
  history(2, 4);
  await sink.collect(clone('two', '--depth', '3'), { stream: 'ci' });
  const whole = sink.events.filter(({ type }) => type === 'TRANSFORM');
  expect(new Set(hashesOf(whole)).size).toBe(whole.length);
  expect(new Set(idsOf(sink.events)).size).toBe(sink.events.length);
  expect(hashesOf(whole)).toContain(first.at(-1));
});

test('a shallow clone with a merge is collected up to each place where it was cut', async () => {
  history(2);
  repository.git('checkout', '-qb', 'side');
  repository.commit('side', 's');
  repository.git('checkout', '-q', 'main');
  repository.commit('main', 'm');
  repository.git('merge', '-q', '--no-ff', '-m', 'merge', 'side');
  const folder = clone('shallow', '--depth', '2');
  expect(await sink.collect(folder, { stream: 'ci' })).toMatchObject({ commits: 3, cut: 2 });
  git(folder, 'fetch', '-q', '--unshallow');
  await sink.collect(folder);
  expectAsGit(
    repository,
    sink.events.filter(({ type }) => type === 'TRANSFORM'),
  );
});

test('a partial clone records what it has and names what it lacks; nothing is fetched; once the objects are there, the whole is recorded', async () => {
  history(3);
  const folder = clone('partial', '--filter=blob:none', '--no-checkout');
  git(folder, 'config', 'remote.origin.uploadpack', `touch ${repository.beside('fetched')}; false`);
  expect(await sink.collect(folder)).toMatchObject({ commits: 3, lacking: 3 });
  expect(execFileSync('ls', [repository.root], { encoding: 'utf8' })).not.toContain('fetched');
  for (const event of sink.events) {
    expect(attribute(event, 'git.objectsMissing')).toBe('1');
    expect(event.outputs.map(({ digest, size }) => [digest, size])).toEqual([[null, null]]);
  }
  const lacking = sink.take();
  expect(await sink.collect(folder)).toMatchObject({ commits: 0 });
  git(folder, 'config', '--unset', 'remote.origin.uploadpack');
  git(folder, 'fetch', '-q', '--refetch', '--no-filter');
  expect(await sink.collect(folder)).toMatchObject({ commits: 3, lacking: 0 });
  expectAsGit(repository, sink.events);
  expect(idsOf(sink.events).filter((id) => idsOf(lacking).includes(id))).toEqual([]);
});

test('a partial clone without trees is refused, because its commits would seem to change nothing', async () => {
  history(2);
  const folder = clone('treeless', '--filter=tree:0', '--no-checkout');
  await expect(sink.collect(folder)).rejects.toMatchObject({
    code: 'REPOSITORY_UNREADABLE',
    message: expect.stringContaining('--refetch'),
  });
  expect(sink.events).toEqual([]);
});

test('the stream is named after the first commit, however the folder is called and wherever it was cloned', async () => {
  const [first] = history(2);
  expect(await sink.collect(repository.folder)).toMatchObject({ stream: `git/${first}` });
  expect(await new GitSink().collect(clone('another name'))).toMatchObject({ stream: `git/${first}` });
});

test('a history that was merged in does not change the stream, with or without what was remembered', async () => {
  const [first] = history(2);
  await sink.collect(repository.folder);
  // Older, and more than one, so that at least one of the roots has the smaller hash.
  for (const name of ['x', 'y', 'z', 'w']) {
    repository.git('checkout', '-q', '--orphan', name);
    repository.bytes(['-c', 'user.name=O', 'commit', '-qm', name, '--date', '1990-01-01T00:00:00Z', '--allow-empty']);
    repository.git('checkout', '-q', 'main');
    repository.git('merge', '-q', '--no-edit', '--allow-unrelated-histories', name);
  }
  expect(await sink.collect(repository.folder)).toMatchObject({ stream: `git/${first}`, commits: 8 });
  expectAsGit(repository, sink.events);
  expect(await new GitSink().collect(repository.folder)).toMatchObject({ stream: `git/${first}`, commits: 10 });
});

test('a history goes on in its stream when it was merged into another, and two that were collected apart need a choice', async () => {
  const [first] = history(2);
  await sink.collect(repository.folder);
  repository.git('checkout', '-q', '--orphan', 'other');
  repository.commit('other', 'o');
  const root = repository.git('rev-list', '--max-parents=0', 'HEAD').trim();
  const apart = new GitSink();
  expect(await apart.collect(repository.folder)).toMatchObject({ stream: `git/${root}` });
  repository.git('merge', '-q', '--no-edit', '--allow-unrelated-histories', 'main');
  // The first commit along first parents is another one now.
  expect(await sink.collect(repository.folder)).toMatchObject({ stream: `git/${first}` });
  const both = new GitSink();
  await both.collect(repository.folder, { stream: 'one' });
  await both.collect(repository.folder, { stream: 'two' });
  await expect(both.collect(repository.folder)).rejects.toMatchObject({
    code: 'USAGE',
    message: expect.stringMatching(/"two", "one".*--stream/),
  });
});

test.each([
  ['', 'no name'],
  ['a\u0007', 'control character'],
  ['x'.repeat(257), 'longer than 256 bytes'],
])('a stream cannot be called %j', async (stream, fault) => {
  history(1);
  await expect(sink.collect(repository.folder, { stream })).rejects.toMatchObject({
    code: 'USAGE',
    message: expect.stringContaining(fault),
  });
});

test('a collection that is interrupted says how far it came, and the next goes on at exactly that commit', async () => {
  const all = history(5);
  const stop = new AbortController();
  const first = await sink.collect(repository.folder, { signal: stop.signal, progress: (done) => void (done === 2 && stop.abort()) });
  expect(first).toMatchObject({ commits: 2, total: 5, interrupted: true });
  expect(await sink.collect(repository.folder)).toMatchObject({ commits: 3, total: 3, interrupted: false });
  expect(hashesOf(sink.events)).toEqual(all);
  expect(await sink.collect(repository.folder)).toMatchObject({ commits: 0, total: 0 });
});

test('a collection that is interrupted among branches goes on with what is left of each', async () => {
  history(2);
  for (const name of ['a', 'b', 'c']) {
    repository.git('checkout', '-q', '-b', name, 'main~1');
    for (const i of [1, 2, 3]) repository.commit(`${name}${i}`, name);
  }
  repository.git('checkout', '-q', 'main');
  for (const name of ['a', 'b', 'c']) repository.git('merge', '-q', '--no-edit', '--no-ff', name);
  const total = Number(repository.git('rev-list', '--count', 'HEAD'));
  for (let runs = 0; ; runs++) {
    const stop = new AbortController();
    const { interrupted } = await sink.collect(repository.folder, { signal: stop.signal, progress: () => stop.abort() });
    if (!interrupted) break;
    expect(runs).toBeLessThan(total);
  }
  expect(sink.events).toHaveLength(total);
  expectAsGit(repository, sink.events);
});

test('an interrupted collection of a deepened clone goes on too', async () => {
  history(6);
  const folder = clone('shallow', '--depth', '2');
  await sink.collect(folder, { stream: 'ci' });
  git(folder, 'fetch', '-q', '--unshallow');
  for (let i = 0; i < 5; i++) {
    const stop = new AbortController();
    await sink.collect(folder, { signal: stop.signal, progress: () => stop.abort() });
  }
  expect(await sink.collect(folder)).toMatchObject({ commits: 0 });
  expect(new Set(idsOf(sink.events)).size).toBe(sink.events.length);
  expectAsGit(
    repository,
    sink.events.filter(({ type }) => type === 'TRANSFORM'),
  );
});

test('without what was remembered, a second collection gives the same bytes for the same ids', async () => {
  history(3);
  await sink.collect(repository.folder);
  const before = sink.take();
  sink.state.clear();
  await sink.collect(repository.folder);
  expect(sink.events).toEqual(before);
});

test('a remembered place that cannot be read is as none', async () => {
  const [first] = history(2);
  for (const text of ['{', 'null', '[]', '{"tips":["HEAD","--all",7]}', '"x"']) {
    sink.state.set(`git/git/${first}`, text);
    sink.state.set('git-streams', text);
    expect([text, await sink.collect(repository.folder)]).toMatchObject([text, { stream: `git/${first}`, commits: 2 }]);
  }
});

test('a branch that was rewritten adds its new commits only', async () => {
  history(3);
  await sink.collect(repository.folder);
  sink.take();
  repository.git('reset', '-q', '--hard', 'HEAD~1');
  const other = repository.commit('other', 'o');
  await sink.collect(repository.folder);
  expect(hashesOf(sink.events)).toEqual([other]);
});

test('replacements and grafts do not change what is recorded', async () => {
  const [first, second, third] = history(3);
  const forged = repository.object('commit', `tree ${repository.tree()}\n${PEOPLE}\n\nforged`);
  const whole = await wholeOf(`git/${first}`);
  repository.git('replace', '-f', third as string, forged);
  repository.git('replace', '-f', second as string, forged);
  execFileSync('sh', ['-c', `mkdir -p .git/info && echo ${third} > .git/info/grafts`], { cwd: repository.folder });
  await sink.collect(repository.folder);
  expect(sink.events).toEqual(whole);
  rmSync(`${repository.folder}/.git/info/grafts`);
});

test('a worktree, a bare clone, a subfolder and a clone with borrowed objects give the same events', async () => {
  history(2);
  execFileSync('mkdir', [`${repository.folder}/sub`]);
  const third = repository.commit('sub/f', 'deep');
  await sink.collect(repository.folder);
  const whole = sink.take();
  expect(whole).toHaveLength(3);
  repository.git('worktree', 'add', '-q', '--detach', repository.beside('tree'), third);
  const folders = [repository.beside('tree'), clone('bare', '--bare'), `${repository.folder}/sub`, clone('shared', '--shared')];
  for (const folder of folders) {
    const other = new GitSink();
    await other.collect(folder);
    expect([folder, other.events]).toEqual([folder, whole]);
  }
});
