import { CommitParser } from './commit-object.ts';
import { ObjectReader } from './objects.ts';
import { runGit, unreadable } from './process.ts';

/** A commit and its parents as git walks them: it takes away the parents of a commit where a shallow clone was cut. */
export interface Walked {
  readonly hash: string;
  readonly parents: readonly string[];
}

/** Commits that are reachable from one of `from` and from none of `without`, parents before children. */
export async function listCommits(folder: string, from: readonly string[], without: readonly string[]): Promise<Walked[]> {
  const input = [...from, ...without.map((hash) => `^${hash}`)].map((line) => `${line}\n`).join('');
  const { code, stdout, stderr } = await runGit(folder, ['rev-list', '--topo-order', '--reverse', '--parents', '--stdin'], input);
  if (code !== 0) throw unreadable(folder, stderr);
  return stdout
    .toString('latin1')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [hash = '', ...parents] = line.split(' ');
      return { hash, parents };
    });
}

/** Which of `commits` have parents that git took away. */
export async function cutCommits(folder: string, commits: readonly Walked[]): Promise<Set<string>> {
  const first = commits.filter(({ parents }) => parents.length === 0).map(({ hash }) => hash);
  const cut = new Set<string>();
  if (first.length === 0) return cut;
  const objects = new ObjectReader(folder);
  try {
    objects.askAll(first);
    for (const hash of first) {
      const parser = new CommitParser();
      const found = await objects.read(hash, (part) => parser.take(part));
      if (found?.type !== 'commit') throw unreadable(folder, `missing commit ${hash}`);
      if (parser.end().parents.length > 0) cut.add(hash);
    }
  } finally {
    objects.close();
  }
  return cut;
}

/** The last commit on the way from `head` along first parents: it stays the same when other histories are merged in. */
export async function firstCommit(folder: string, head: string): Promise<string> {
  const { code, stdout, stderr } = await runGit(folder, ['rev-list', '--first-parent', '--max-parents=0', head, '--']);
  const hash = stdout.toString('latin1').trim();
  if (code !== 0 || !/^[0-9a-f]+$/.test(hash)) throw unreadable(folder, stderr);
  return hash;
}

/** Whether `head` comes from `commit`, which must be there. */
export async function isAncestor(folder: string, commit: string, head: string): Promise<boolean> {
  return (await runGit(folder, ['merge-base', '--is-ancestor', commit, head])).code === 0;
}
