import { lstatSync, realpathSync, type Stats } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { LineproofError } from '../../core/base/errors.ts';
import { endOf, outputOf, runGit, saidBy, startGit, unreadable } from './process.ts';

/** Older versions do not know all that the collector asks for. */
const MIN_GIT = { major: 2, minor: 31 };

/** Why the files of a folder are recorded instead of a history. Each holds only if there is no history that git could give. */
export const NO_HISTORY = {
  noGit: 'git is not installed',
  noRepository: 'the folder is not a git repository',
  noCommits: 'the repository has no commits',
} as const;
/** One of {@link NO_HISTORY}. */
export type NoHistory = (typeof NO_HISTORY)[keyof typeof NO_HISTORY];

/** A folder as git sees it: the commit that HEAD leads to, or why there is no history. */
export type Found = { readonly head: string } | { readonly reason: NoHistory };

/** Looks at `folder` with git. Throws REPOSITORY_UNREADABLE where there is a repository that git does not give, so that it is never taken for a folder without history. */
export async function findHistory(folder: string): Promise<Found> {
  const version = await runGit(folder, ['version']);
  const place = repositoryPlace(folder);
  if (version.missing) {
    if (place === undefined) return { reason: NO_HISTORY.noGit };
    throw refused(folder, `there is a repository at ${place}, but git is not installed; install git`);
  }
  checkVersion(folder, version.stdout.toString('latin1'));
  const opened = await runGit(folder, ['rev-parse', '--git-dir']);
  if (opened.code !== 0) {
    if (place === undefined && /not a git repository/i.test(opened.stderr)) return { reason: NO_HISTORY.noRepository };
    throw notOpened(folder, opened.stderr);
  }
  const head = await runGit(folder, ['rev-parse', '--verify', 'HEAD']);
  if (head.code !== 0) return withoutHead(folder, head.stderr);
  const commit = await runGit(folder, ['rev-parse', '--verify', `${lineOf(head.stdout)}^{commit}`]);
  if (commit.code !== 0) throw unreadable(folder, commit.stderr);
  return { head: lineOf(commit.stdout) };
}

function lineOf(stdout: Buffer): string {
  return stdout.toString('latin1').trim();
}

function refused(folder: string, fact: string): LineproofError {
  return new LineproofError('REPOSITORY_UNREADABLE', `cannot collect ${folder}: ${fact}`, { folder });
}

function checkVersion(folder: string, text: string): void {
  const [, major = '0', minor = '0'] = /^git version (\d+)\.(\d+)/.exec(text) ?? [];
  if (Number(major) > MIN_GIT.major || (Number(major) === MIN_GIT.major && Number(minor) >= MIN_GIT.minor)) return;
  const found = saidBy(text) || 'no version';
  throw refused(
    folder,
    `it needs git ${MIN_GIT.major}.${MIN_GIT.minor} or later, and git says ${JSON.stringify(found)}; install a later git`,
  );
}

function notOpened(folder: string, stderr: string): LineproofError {
  const said = `git says ${JSON.stringify(saidBy(stderr))}`;
  if (/dubious ownership/.test(stderr)) {
    const [, allow] = /(git config --global --add safe\.directory .+)/.exec(stderr) ?? [];
    const hint = saidBy(allow ?? `git config --global --add safe.directory ${folder}`);
    return refused(folder, `the repository belongs to another user and git refuses it; if you trust it, allow it with: ${hint}`);
  }
  if (/cannot use bare repository/.test(stderr)) {
    return refused(folder, `${said}; clone it, or set safe.bareRepository to all if you trust it`);
  }
  return refused(folder, `${said}; repair it (git fsck tells more), or clone it again`);
}

/** Judges a HEAD that leads to no commit: right after `git init` there is nothing to collect; in all other cases a history is hidden. */
async function withoutHead(folder: string, stderr: string): Promise<Found> {
  const branch = await runGit(folder, ['symbolic-ref', '-q', 'HEAD']);
  const refs = await runGit(folder, ['for-each-ref', '--count=1']);
  const name = branch.code === 0 ? JSON.stringify(saidBy(lineOf(branch.stdout))) : 'no branch';
  if (branch.code !== 0 || refs.code !== 0 || refs.stderr !== '')
    throw refused(folder, `HEAD leads to no commit: git says ${JSON.stringify(saidBy(`${refs.stderr}\n${stderr}`))}; git fsck tells more`);
  if (refs.stdout.length > 0)
    throw refused(folder, `HEAD names ${name}, which has no commit, but the repository has other branches or tags; check one of them out`);
  if (await hasCommits(folder))
    throw refused(folder, `HEAD names ${name}, which does not exist, but the repository has commits; git fsck --lost-found lists them`);
  return { reason: NO_HISTORY.noCommits };
}

async function hasCommits(folder: string): Promise<boolean> {
  const child = startGit(folder, ['cat-file', '--batch-all-objects', '--unordered', '--batch-check=%(objecttype)']);
  child.stdin.end();
  const ended = endOf(child);
  let rest = '';
  for await (const chunk of outputOf(child)) {
    rest = (rest + chunk.toString('latin1')).slice(-65_536);
    if (/^commit$/m.test(rest)) {
      child.kill();
      return true;
    }
  }
  const { code, stderr } = await ended;
  if (code !== 0 || stderr !== '') throw unreadable(folder, stderr);
  return false;
}

/** The place of the repository that `folder` belongs to, judged by names alone: if a repository is damaged, git says "not a git repository". */
function repositoryPlace(folder: string): string | undefined {
  const ceilings = (process.env['GIT_CEILING_DIRECTORIES'] ?? '')
    .split(':')
    .filter(Boolean)
    .map((path) => resolve(path));
  const start = realpathSync(folder);
  const device = statOf(start)?.dev;
  for (let at = start; ; at = dirname(at)) {
    if (statOf(at)?.dev !== device && process.env['GIT_DISCOVERY_ACROSS_FILESYSTEM'] === undefined) return undefined;
    if (statOf(join(at, '.git')) !== undefined) return join(at, '.git');
    if (['HEAD', 'objects', 'refs'].every((name) => statOf(join(at, name)) !== undefined)) return at;
    const above = dirname(at);
    if (above === at || ceilings.includes(above)) return undefined;
  }
}

function statOf(path: string): Stats | undefined {
  try {
    return lstatSync(path);
  } catch {
    return undefined;
  }
}
