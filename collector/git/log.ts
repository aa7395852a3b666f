import { MAX_FILES, pathText } from '../files.ts';
import { endOf, startGit, unreadable } from './process.ts';

const ZEROS = /^0+$/;
const MAX_SECONDS = 9_000_000_000;

interface Change {
  readonly path: string;
  readonly before: string | undefined;
  readonly after: string | undefined;
}

export interface Commit {
  readonly hash: string;
  readonly parents: readonly string[];
  readonly time: number;
  readonly author: string;
  readonly committer: string;
  readonly changes: readonly Change[];
  /** Changes beyond {@link MAX_FILES}. */
  readonly notListed: number;
}

/** Commits, parents before children. A merge is compared with its first parent. */
export async function* readCommits(folder: string, range: readonly string[]): AsyncGenerator<Commit> {
  const format = '--format=%x01%H%x00%P%x00%ct%x00%an <%ae>%x00%cn <%ce>';
  const args = ['log', '--topo-order', '--reverse', '--raw', '--no-abbrev', '--no-renames', '--no-ext-diff', '--no-textconv', '--no-color'];
  const child = startGit(folder, [
    ...args,
    '--diff-merges=first-parent',
    '--root',
    '--no-mailmap',
    '--no-relative',
    '--ignore-submodules=none',
    '--encoding=UTF-8',
    '-z',
    format,
    ...range,
    '--',
  ]);
  const ended = endOf(child);
  let fields: string[] | undefined;
  let changes: Change[] = [];
  let notListed = 0;
  let raw: string | undefined;
  const finish = (): Commit => {
    const [hash = '', parents = '', time = '0', author = '', committer = ''] = fields as string[];
    return { hash, parents: parents.split(' ').filter(Boolean), time: secondsOf(time), author, committer, changes, notListed };
  };
  try {
    for await (const bytes of zeroTerminated(child.stdout)) {
      const token = pathText(bytes).replace(/^\n/, '');
      if (raw !== undefined) {
        if (changes.length < MAX_FILES) changes.push(changeOf(raw, pathText(bytes)));
        else notListed++;
        raw = undefined;
      } else if (token.startsWith('\u0001')) {
        if (fields !== undefined) yield finish();
        fields = [token.slice(1)];
        changes = [];
        notListed = 0;
      } else if (fields !== undefined && fields.length < 5) fields.push(token);
      else if (token.startsWith(':')) raw = token;
    }
    if (fields !== undefined) yield finish();
    const { code, stderr } = await ended;
    if (code !== 0) throw unreadable(folder, stderr);
  } finally {
    child.kill();
  }
}

/** A commit may state any time; a value that is not a time becomes 0. */
function secondsOf(text: string): number {
  const seconds = Number(text);
  return Number.isInteger(seconds) && Math.abs(seconds) <= MAX_SECONDS ? seconds : 0;
}

/** `:100644 100644 <before> <after> M`; a submodule (mode 160000) has a commit but no content. */
function changeOf(raw: string, path: string): Change {
  const [modeBefore = '', modeAfter = '', before = '', after = ''] = raw.slice(1).split(' ');
  const side = (mode: string, id: string): string | undefined => (ZEROS.test(id) ? undefined : mode === '160000' ? `submodule:${id}` : id);
  return { path, before: side(modeBefore, before), after: side(modeAfter, after) };
}

async function* zeroTerminated(stream: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of stream) {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let from = 0;
    for (let at = bytes.indexOf(0); at !== -1; at = bytes.indexOf(0, from)) {
      yield bytes.subarray(from, at);
      from = at + 1;
    }
    rest = bytes.subarray(from);
  }
  if (rest.length > 0) yield rest;
}
