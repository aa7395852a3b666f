import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { attribute, GitRepository, GitSink, PEOPLE } from '../support/git-repository.ts';

let repository: GitRepository;
let sink: GitSink;
const kept = { ...process.env };
beforeEach(() => {
  repository = new GitRepository();
  sink = new GitSink();
});
afterEach(() => {
  process.env = { ...kept };
  repository.release();
});

const inGit = (...names: string[]): string => join(repository.folder, '.git', ...names);

function overwrite(path: string, content: string | Buffer): void {
  chmodSync(path, 0o644);
  writeFileSync(path, content);
}

/** A program `git` that comes first in PATH. */
function fakeGit(script: string): void {
  const folder = repository.beside('bin');
  mkdirSync(folder);
  writeFileSync(join(folder, 'git'), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  process.env['PATH'] = `${folder}:${process.env['PATH']}`;
}

describe('a repository that git does not give is refused with what git says and a way out, and never taken for files:', () => {
  let firstCommit: string;
  beforeEach(() => {
    repository.init();
    firstCommit = repository.commit('a', '1');
    repository.commit('a', '2');
  });

  const head = (): string => repository.git('rev-parse', 'HEAD').trim();
  const flip = (path: string): void => {
    const bytes = readFileSync(path);
    bytes[bytes.length - 3] = (bytes[bytes.length - 3] as number) ^ 0xff;
    overwrite(path, bytes);
  };

  test.each<[string, () => string | undefined, RegExp]>([
    [
      'HEAD names a branch that is not there',
      () => void repository.git('symbolic-ref', 'HEAD', 'refs/heads/none'),
      /"refs\/heads\/none".*check one of them out/,
    ],
    [
      'no branch leads to its commits',
      () => {
        repository.git('update-ref', '-d', 'refs/heads/main');
        return undefined;
      },
      /lost-found/,
    ],
    ['HEAD is empty', () => overwrite(inGit('HEAD'), '') as undefined, /git says.*clone it again/],
    ['the branch is empty', () => overwrite(inGit('refs', 'heads', 'main'), '') as undefined, /git fsck/],
    ['the branch names no object', () => overwrite(inGit('refs', 'heads', 'main'), `${'3'.repeat(40)}\n`) as undefined, /git fsck/],
    ['HEAD names no object', () => overwrite(inGit('HEAD'), `${'3'.repeat(40)}\n`) as undefined, /git fsck/],
    ['the newest commit is an empty file', () => overwrite(repository.loose(head()), '') as undefined, /empty/],
    ['the first commit is missing', () => rmSync(repository.loose(repository.git('rev-parse', 'HEAD^').trim())) as undefined, /git fsck/],
    ['a tree is missing', () => rmSync(repository.loose(repository.git('rev-parse', 'HEAD^{tree}').trim())) as undefined, /--refetch/],
    ['a blob is damaged', () => flip(repository.loose(repository.git('rev-parse', 'HEAD:a').trim())) as undefined, /git fsck/],
    [
      'a blob is an empty file',
      () => overwrite(repository.loose(repository.git('rev-parse', 'HEAD:a').trim()), '') as undefined,
      /git fsck/,
    ],
    [
      'a blob has the content of another',
      () => overwrite(repository.loose(repository.git('rev-parse', 'HEAD:a').trim()), deflateSync('blob 1\0x')) as undefined,
      /its content does not fit its name/,
    ],
    ['the objects folder is gone', () => rmSync(inGit('objects'), { recursive: true }) as undefined, /not a git repository/],
    ['its version is unknown', () => void repository.git('config', 'core.repositoryFormatVersion', '9'), /version/],
    ['its configuration cannot be read', () => writeFileSync(inGit('config'), '[core\n') as undefined, /bad config/],
    [
      'the .git file points to nowhere',
      () => {
        const folder = repository.beside('file');
        mkdirSync(folder);
        writeFileSync(join(folder, '.git'), 'gitdir: /nowhere\n');
        return folder;
      },
      /nowhere/,
    ],
    [
      'the .git is a link to nowhere',
      () => {
        const folder = repository.beside('link');
        mkdirSync(folder);
        symlinkSync('/nowhere', join(folder, '.git'));
        return folder;
      },
      /not a git repository/,
    ],
    [
      'a clone has lost the objects that it borrowed',
      () => {
        const folder = repository.beside('shared');
        repository.git('clone', '-q', '--shared', '.', folder);
        rmSync(inGit('objects'), { recursive: true });
        return folder;
      },
      /git fsck/,
    ],
    [
      'a folder inside of it that is damaged',
      () => {
        mkdirSync(join(repository.folder, 'sub'));
        overwrite(inGit('HEAD'), 'ref: nonsense\n');
        return join(repository.folder, 'sub');
      },
      /git says/,
    ],
  ])('%s', async (_, damage, message) => {
    const folder = damage() ?? repository.folder;
    writeFileSync(join(folder, 'file'), 'content');
    await expect(sink.collect(folder)).rejects.toMatchObject({ code: 'REPOSITORY_UNREADABLE', message: expect.stringMatching(message) });
    // What is recorded by then is what came before the damage.
    expect(sink.events.filter((event) => attribute(event, 'git.commit') !== firstCommit)).toEqual([]);
  });

  test('it is bare and git may not use bare ones', async () => {
    const folder = repository.beside('bare');
    repository.git('clone', '-q', '--bare', '.', folder);
    writeFileSync(repository.beside('config'), '[safe]\n\tbareRepository = explicit\n');
    process.env['GIT_CONFIG_GLOBAL'] = repository.beside('config');
    await expect(sink.collect(folder)).rejects.toMatchObject({
      code: 'REPOSITORY_UNREADABLE',
      message: expect.stringContaining('safe.bareRepository'),
    });
    delete process.env['GIT_CONFIG_GLOBAL'];
    expect(await sink.collect(folder)).toMatchObject({ source: 'git', commits: 2 });
  });

  const isRoot = process.getuid?.() === 0;
  (isRoot ? test : test.skip)('it belongs to another user (needs root)', async () => {
    execFileSync('chown', ['-R', '12345', repository.folder]);
    await expect(sink.collect(repository.folder)).rejects.toMatchObject({
      code: 'REPOSITORY_UNREADABLE',
      message: expect.stringMatching(/another user.*git config --global --add safe\.directory \S*work$/),
    });
  });

  test('git is not installed, or is too old', async () => {
    const before = process.env['PATH'];
    process.env['PATH'] = '/nowhere';
    await expect(sink.collect(repository.folder)).rejects.toMatchObject({
      code: 'REPOSITORY_UNREADABLE',
      message: expect.stringContaining('install git'),
    });
    process.env['PATH'] = before;
    fakeGit('echo "git version 2.30.9"');
    await expect(sink.collect(repository.folder)).rejects.toMatchObject({
      code: 'REPOSITORY_UNREADABLE',
      message: expect.stringMatching(/needs git 2\.31.*"git version 2\.30\.9"/),
    });
  });

  test('git ends in the middle of its answers', async () => {
    for (const [part, answer] of [
      ['diff-tree', 'true'],
      ['cat-file --batch', 'true'],
      ['diff-tree', 'head -c 30'],
      ['cat-file --batch', 'echo no answer'],
    ] as const) {
      const real = execFileSync('sh', ['-c', 'command -v git'], { env: kept, encoding: 'utf8' }).trim();
      rmSync(repository.beside('bin'), { recursive: true, force: true });
      process.env = { ...kept };
      fakeGit(
        `case "$*" in *"${part}"*) ${answer.startsWith('head') ? `${real} "$@" | ${answer}` : answer}; exit 0;; esac\nexec ${real} "$@"`,
      );
      const before = sink.events.length;
      await expect(sink.collect(repository.folder)).rejects.toMatchObject({ code: 'REPOSITORY_UNREADABLE' });
      expect(sink.events.length - before).toBeLessThan(2);
      sink.state.clear();
    }
  });
});

test('what git says cannot disturb a terminal', async () => {
  repository.init();
  repository.commit('a', '1');
  overwrite(inGit('HEAD'), 'ref: refs/heads/\u001b[2J\u0007\u009b\n');
  const error = await sink.collect(repository.folder).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toMatchObject({ code: 'REPOSITORY_UNREADABLE' });
  expect((error as Error).message).not.toMatch(/\p{Cc}/u);
});

test('nothing in a repository runs, whatever its configuration, attributes and hooks say', async () => {
  repository.init();
  const mark = repository.beside('ran');
  const script = repository.beside('evil.sh');
  writeFileSync(script, `#!/bin/sh\ntouch ${mark}\nexit 0\n`, { mode: 0o755 });
  repository.commit('.gitattributes', '* diff=evil filter=evil merge=evil\n*.bin -text\n');
  repository.commit('f.bin', 'x');
  mkdirSync(inGit('evil-hooks'));
  for (const hook of ['post-index-change', 'reference-transaction', 'pre-auto-gc', 'post-checkout', 'fsmonitor-watchman', 'query-watchman'])
    writeFileSync(inGit('evil-hooks', hook), readFileSync(script), { mode: 0o755 });
  writeFileSync(inGit('attributes'), '* diff=evil filter=evil\n');
  const settings: Readonly<Record<string, string>> = {
    'core.fsmonitor': script,
    'core.hooksPath': inGit('evil-hooks'),
    'core.pager': script,
    'pager.diff-tree': script,
    'pager.cat-file': script,
    'core.editor': script,
    'core.askPass': script,
    'core.sshCommand': script,
    'core.gitProxy': script,
    'core.alternateRefsCommand': script,
    'core.attributesFile': inGit('attributes'),
    'diff.external': script,
    'diff.evil.textconv': script,
    'diff.evil.command': script,
    'filter.evil.clean': script,
    'filter.evil.smudge': script,
    'filter.evil.process': script,
    'filter.evil.required': 'true',
    'merge.evil.driver': script,
    'gpg.program': script,
    'gpg.ssh.program': script,
    'log.showSignature': 'true',
    'credential.helper': `!${script}`,
    'remote.origin.url': `ext::${script}`,
    'remote.origin.promisor': 'true',
    'remote.origin.uploadpack': script,
    'remote.origin.vcs': 'evil',
    'extensions.partialClone': 'origin',
    'core.repositoryFormatVersion': '1',
    'protocol.ext.allow': 'always',
    'uploadpack.packObjectsHook': script,
    'alias.cat-file': `!${script}`,
    'alias.rev-list': `!${script}`,
    'trace2.normalTarget': mark,
    'trace2.eventTarget': mark,
  };
  for (const [key, value] of Object.entries(settings)) repository.git('config', key, value);
  rmSync(repository.loose(repository.git('rev-parse', 'HEAD:f.bin').trim()));
  rmSync(mark, { force: true });
  // The plant works: git itself runs it.
  execFileSync('sh', ['-c', 'git status >&2 || true'], { cwd: repository.folder, stdio: 'ignore' });
  expect(existsSync(mark)).toBe(true);
  rmSync(mark);
  expect(await sink.collect(repository.folder)).toMatchObject({ source: 'git', commits: 2, lacking: 1 });
  expect(existsSync(mark)).toBe(false);
});

test('collecting changes nothing in a repository', async () => {
  repository.init();
  repository.commit('a', '1');
  writeFileSync(join(repository.folder, 'a'), 'changed');
  const state = (): string =>
    execFileSync('sh', ['-c', 'find . -type f -exec sha256sum {} + | sort; find . -exec stat -c "%n %Y %Z" {} + | sort'], {
      cwd: repository.folder,
      encoding: 'utf8',
    });
  const before = state();
  await sink.collect(repository.folder);
  expect(state()).toBe(before);
});

test('a repository without commits is recorded as files that say so, also with objects that wait for the first commit', async () => {
  repository.init();
  writeFileSync(join(repository.folder, 'a'), '1');
  repository.git('add', '-A');
  expect(await sink.collect(repository.folder)).toMatchObject({ source: 'files', reason: 'the repository has no commits' });
  expect(attribute(sink.events[0], 'files.reason')).toBe('the repository has no commits');
});

test('a detached HEAD and a HEAD at a tag are collected as the commit that they lead to', async () => {
  repository.init();
  const first = repository.commit('a', '1');
  repository.commit('a', '2');
  repository.git('checkout', '-q', first);
  expect(await sink.collect(repository.folder)).toMatchObject({ commits: 1 });
  repository.git('tag', '-a', '-m', 't', 'v1', 'main');
  overwrite(inGit('HEAD'), `${repository.git('rev-parse', 'v1').trim()}\n`);
  expect(await sink.collect(repository.folder)).toMatchObject({ commits: 1 });
});

test('a commit graph that contradicts the commits is not believed', async () => {
  repository.init();
  for (const i of [1, 2, 3]) repository.commit('a', String(i));
  repository.git('commit-graph', 'write', '--reachable');
  const path = inGit('objects', 'info', 'commit-graph');
  const graph = readFileSync(path);
  // The graph keeps a commit as the id of its tree and the place of its parent; this place is none.
  const tree = graph.indexOf(Buffer.from(repository.git('rev-parse', 'HEAD^{tree}').trim(), 'hex'));
  graph.writeUInt32BE(0x70000000, tree + 20);
  overwrite(path, graph);
  expect(repository.git('rev-list', '--count', 'HEAD')).toBe('1\n');
  expect(await sink.collect(repository.folder)).toMatchObject({ commits: 3 });
});

test('files and folders that cannot be read are counted in the event, and a file is named', async () => {
  for (const name of ['open', 'closed']) writeFileSync(join(repository.folder, name), name);
  mkdirSync(join(repository.folder, 'locked'));
  writeFileSync(join(repository.folder, 'locked', 'x'), 'x');
  chmodSync(join(repository.folder, 'closed'), 0);
  chmodSync(join(repository.folder, 'locked'), 0);
  const readable = process.getuid?.() === 0;
  await sink.collect(repository.folder);
  const [event] = sink.events;
  if (readable) expect(event?.outputs.map(({ name }) => name)).toEqual(['closed', 'locked/x', 'open']);
  else {
    expect(event?.outputs.map(({ name, digest }) => [name, digest === null])).toEqual([
      ['closed', true],
      ['open', false],
    ]);
    expect([attribute(event, 'files.notReadable'), attribute(event, 'files.foldersNotReadable')]).toEqual(['1', '1']);
  }
});

test('a folder below no repository that is above a ceiling is files', async () => {
  repository.init();
  repository.rawCommit(repository.tree(), PEOPLE);
  const sub = join(repository.folder, 'sub');
  mkdirSync(sub);
  writeFileSync(join(sub, 'f'), '1');
  process.env['GIT_CEILING_DIRECTORIES'] = repository.folder;
  expect(await sink.collect(sub)).toMatchObject({ source: 'files', reason: 'the folder is not a git repository' });
  expect(readdirSync(sub)).toEqual(['f']);
});
