import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { sha256 } from '#crypto';
import { toHex } from '../../../../core/base/bytes.ts';
import { expectAsGit } from '../../../support/as-git.ts';
import { attribute, bytesOfText, GitRepository, GitSink, PEOPLE } from '../../../support/git-repository.ts';

let repository: GitRepository;
let sink: GitSink;
beforeEach(() => {
  repository = new GitRepository();
  sink = new GitSink();
});
afterEach(() => repository.release());

/** A history with merges, deletions, changes of mode and kind, and names that need care. */
function importHistory(): void {
  const lines: (string | Buffer)[] = [];
  const commit = (branch: string, mark: number, rest: string): void => {
    lines.push(
      `commit refs/heads/${branch}\nmark :${mark}\nauthor A <a@x> ${1600000000 + mark} +0545\ncommitter C <c@x> ${1600000100 + mark} -0930\n`,
    );
    lines.push(`data 3\nm${mark}\n${mark < 10 ? '\n' : ''}${rest}\n`);
  };
  const inline = (mode: string, path: string, content: string): string =>
    `M ${mode} inline ${path}\ndata ${Buffer.byteLength(content)}\n${content}\n`;
  commit('main', 1, inline('100644', 'a', 'one') + inline('100644', '"quote\\"\\ttab\\nline"', 'odd') + inline('120000', 'link', 'a'));
  commit('main', 2, inline('100755', 'a', 'one') + inline('100644', '"\\377\\001"', 'bytes') + 'D link\n');
  commit('side', 3, `from :1\n${inline('100644', 'b', 'two')}`);
  commit('main', 4, `from :2\nmerge :3\n${inline('100644', 'b', 'two')}`);
  commit('main', 5, 'R b c\n');
  commit('main', 6, inline('120000', 'a', 'c') + `M 160000 ${'5'.repeat(40)} module\n`);
  commit('other', 7, inline('100644', 'unrelated', 'root'));
  commit('main', 8, `from :6\nmerge :7\nmerge :3\n${inline('100644', 'unrelated', 'root')}${inline('100644', 'd\\x41', '')}`);
  commit('main', 9, '');
  repository.bytes(['fast-import', '--quiet'], Buffer.concat(lines.map((line) => Buffer.from(line))));
}

test.each(['sha1', 'sha256'])(
  'commits, changes, modes, blobs, times and messages of a history with %s ids are as git says',
  async (format) => {
    repository.init(`--object-format=${format}`);
    if (format === 'sha1') importHistory();
    else for (const content of ['1', '2', '3']) repository.commit(`f\n${content}`, content);
    await sink.collect(repository.folder);
    expectAsGit(repository, sink.events);
  },
);

test('an octopus merge names all parents and states that it was compared with the first', async () => {
  repository.init();
  importHistory();
  await sink.collect(repository.folder);
  const merge = sink.events.find(({ parents }) => parents.length === 3);
  expect(attribute(merge, 'git.comparedWith')).toBe(repository.git('rev-parse', 'HEAD^^1').trim());
  expect(merge?.parents.map(({ id }) => id)).toEqual(
    ['HEAD^^1', 'HEAD^^2', 'HEAD^^3'].map(
      (name) => sink.events.find((event) => attribute(event, 'git.commit') === repository.git('rev-parse', name).trim())?.id,
    ),
  );
});

test('a commit that changes more files than one event holds states both sides of each change in one of its parts', async () => {
  repository.init();
  const [one, two] = [repository.object('blob', 'one'), repository.object('blob', 'two')];
  const names = Array.from({ length: 3000 }, (_, i) => `${String(i).padStart(5, '0')}-${'n'.repeat(60)}`);
  const first = repository.rawCommit(repository.tree(...names.map((name) => ['100644', name, one] as const)), PEOPLE);
  repository.rawCommit(repository.tree(...names.map((name) => ['100755', name, two] as const)), `parent ${first}\n${PEOPLE}`);
  await sink.collect(repository.folder);
  expect(sink.events.length).toBeGreaterThan(4);
  expectAsGit(repository, sink.events);
});

test('a commit with the largest parents, names, message and paths that are allowed still fits into events', async () => {
  repository.init();
  const blob = repository.object('blob', 'x');
  const root = repository.rawCommit(repository.tree(), PEOPLE);
  const wide = (length: number): Buffer => Buffer.alloc(length, 0xff);
  const paths = Array.from({ length: 8 }, (_, i) => Buffer.concat([wide(16 * 1024 - 1), Buffer.from([0xf0 + i])]));
  const header = Buffer.concat([
    Buffer.from(`parent ${root}\n`.repeat(2000)),
    Buffer.from('author '),
    wide(1018),
    Buffer.from('<a> 1 +0000\ncommitter '),
    wide(1018),
    Buffer.from('<c> 1 +0000\nencoding '),
    wide(128),
  ]);
  repository.rawCommit(repository.tree(...paths.map((path) => ['100644', path, blob] as const)), header, wide(9000));
  const stream = 's'.repeat(256);
  await sink.collect(repository.folder, { stream, actors: 'plain', messages: true });
  const [, first] = sink.events;
  expect([first?.parents.length, attribute(first, 'git.parentsNotListed')]).toEqual([200, '1800']);
  expect(sink.events.slice(1).flatMap(({ outputs }) => outputs.map(({ name }) => bytesOfText(name)))).toEqual(paths);
  expect(attribute(first, 'git.escaped')).toBe('author committer encoding message paths');
  expect(bytesOfText(attribute(first, 'git.messageStart') ?? '')).toEqual(wide(8192));
  expect(attribute(first, 'git.messageBytes')).toBe('9000');
});

test('names, times and messages that are not UTF-8, and headers that git allows, are stated byte for byte', async () => {
  repository.init();
  const message = Buffer.from('caf\xe9 \\xe9\n\0after', 'latin1');
  const header = Buffer.from(
    [
      'author \x01Jos\xe9\t <j@x>> 1700000000 +0100',
      'committer C <c@x> 1700000001 -0000',
      'encoding ISO-8859-1',
      'gpgsig -----BEGIN PGP SIGNATURE-----',
      ' author Forged <f@x> 1 +0000',
      ' ',
      ' -----END PGP SIGNATURE-----',
      `mergetag object ${'1'.repeat(40)}`,
      ' type commit',
      '\x01\xff anything',
      `parent ${'1'.repeat(40)}`,
      'author Second <s@x> 2 +0000',
    ].join('\n'),
    'latin1',
  );
  const hash = repository.rawCommit(repository.tree(), header, message);
  await sink.collect(repository.folder, { actors: 'plain', messages: true });
  const [event] = sink.events;
  expect(bytesOfText(attribute(event, 'git.author') ?? '').toString('latin1')).toBe('\x01Jos\xe9\t <j@x>>');
  expect(attribute(event, 'git.author')).toBe('\\x01Jos\\xe9\\x09 <j@x>>');
  expect(event).toMatchObject({ actor: { id: 'C <c@x>', kind: 'PERSON' }, occurredAt: 1_700_000_001_000_000, parents: [] });
  expect(bytesOfText(attribute(event, 'git.message') ?? '')).toEqual(message);
  expect(Object.fromEntries(event?.attributes.map(({ key, value }) => [key, value]) ?? [])).toMatchObject({
    'git.authorTime': '1700000000 +0100',
    'git.committerTime': '1700000001 -0000',
    'git.encoding': 'ISO-8859-1',
    'git.escaped': 'author message',
    'git.commitSha256': toHex(sha256(repository.bytes(['cat-file', 'commit', hash]))),
    'git.messageSha256': toHex(sha256(message)),
  });
  expect(attribute(event, 'git.unreadable')).toBeUndefined();
});

test('messages stay out of events unless the caller wants them, and names are hashed over their bytes', async () => {
  repository.init();
  repository.rawCommit(repository.tree(), Buffer.from('author \xe9 <a> 1 +0000\ncommitter \xe8 <a> 1 +0000', 'latin1'), 'secret words');
  await sink.collect(repository.folder);
  const [event] = sink.events;
  expect(JSON.stringify(event?.attributes)).not.toContain('secret');
  expect(event?.actor.id).toMatch(/^hmac:[0-9a-f]{32}$/);
  expect(attribute(event, 'git.author')).toMatch(/^hmac:[0-9a-f]{32}$/);
  expect(attribute(event, 'git.author')).not.toBe(event?.actor.id);
});

const NONE = 'the commit has no committer line';
const UNREADABLE = 'the committer line has no readable time';
const OUTSIDE = 'the committer time is after the year 2255';

test.each<[string, string, number, string | undefined, string | undefined]>([
  ['1700000000 +0000', '1700000000 +0000', 1_700_000_000, undefined, undefined],
  ['9007199254 +0000', '9007199254 +0000', 9_007_199_254, undefined, undefined],
  ['9007199255 +0000', '9007199255 +0000', 0, OUTSIDE, undefined],
  ['31556889864403199 +0000', '31556889864403199 +0000', 0, OUTSIDE, undefined],
  ['99999999999999999999 +0000', '99999999999999999999 +0000', 0, OUTSIDE, undefined],
  ['9'.repeat(300), `${'9'.repeat(128)}… (sha256`, 0, UNREADABLE, 'committerTime committerZone'],
  ['-5 +0000', '-5 +0000', 0, UNREADABLE, 'committerTime committerZone'],
  ['', '', 0, UNREADABLE, 'committerTime committerZone'],
  ['yesterday', 'yesterday', 0, UNREADABLE, 'committerTime committerZone'],
  ['1700000000', '1700000000', 1_700_000_000, undefined, 'committerZone'],
  ['1700000000 +518000', '1700000000 +518000', 1_700_000_000, undefined, 'committerZone'],
  ['1700000000 \x07', '1700000000 \\x07', 1_700_000_000, undefined, 'committerZone'],
])(
  'a committer time of %j is stated as it is, and the event has a time only if it can be read',
  async (time, stated, seconds, unknown, unreadable) => {
    repository.init();
    repository.rawCommit(repository.tree(), `author A <a> 1 +0000\ncommitter C <c> ${time}`.trimEnd());
    await sink.collect(repository.folder);
    const [event] = sink.events;
    expect(event?.occurredAt).toBe(seconds * 1_000_000);
    expect(attribute(event, 'git.committerTime')?.slice(0, stated.length)).toBe(stated);
    expect([attribute(event, 'git.timeUnknown'), attribute(event, 'git.unreadable')]).toEqual([unknown, unreadable]);
  },
);

test('a commit without author and committer says so', async () => {
  repository.init();
  repository.rawCommit(repository.tree(), 'x y');
  await sink.collect(repository.folder);
  expect(sink.events[0]).toMatchObject({ occurredAt: 0, actor: { id: 'unknown', kind: 'UNKNOWN' } });
  expect(attribute(sink.events[0], 'git.timeUnknown')).toBe(NONE);
  expect(attribute(sink.events[0], 'git.unreadable')).toBe('author committer');
});

test('a header and a message of megabytes are kept in part, and their digests are of all bytes', async () => {
  repository.init();
  const header = Buffer.from(`${PEOPLE}\ngpgsig ${'x'.repeat(2_000_000)}`);
  const message = Buffer.alloc(3_000_000, 'words ');
  const hash = repository.rawCommit(repository.tree(), header, message);
  await sink.collect(repository.folder, { messages: true });
  const [event] = sink.events;
  expect(attribute(event, 'git.commitSha256')).toBe(toHex(sha256(repository.bytes(['cat-file', 'commit', hash]))));
  expect([attribute(event, 'git.messageSha256'), attribute(event, 'git.messageBytes')]).toEqual([toHex(sha256(message)), '3000000']);
  expect([attribute(event, 'git.unreadable'), attribute(event, 'git.messageStart')?.length]).toEqual(['header', 8192]);
});

test('files that are not blobs, and submodules, are told from files that are missing', async () => {
  repository.init();
  const tree = repository.tree();
  repository.rawCommit(
    repository.tree(
      ['100644', 'gone', '2'.repeat(40)],
      ['100644', 'liar', tree],
      ['160000', 'module', '1'.repeat(40)],
      ['100644', 'zero', '0'.repeat(40)],
    ),
    PEOPLE,
  );
  await sink.collect(repository.folder);
  const [event] = sink.events;
  expect(event?.outputs.map(({ name, version, digest }) => [name, version, digest])).toEqual([
    ['gone', '2'.repeat(40), null],
    ['liar', tree, null],
    ['module', `submodule:${'1'.repeat(40)}`, null],
    ['zero', '0'.repeat(40), null],
  ]);
  expect([attribute(event, 'git.objectsMissing'), attribute(event, 'git.objectsNotBlobs')]).toEqual(['2', '1']);
  expect(attribute(event, 'git.changes')).toBe('A 100644\nA 100644\nA 160000\nA 100644');
});
