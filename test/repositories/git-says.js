// What git itself says of a history, read with `git log` and `git cat-file` and nothing of the product.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';

const ZEROS = /^0+$/;

/** Runs git on a repository; gives its output in chunks. Throws with what it said if it fails. */
async function* git(folder, args, input = '') {
  const env = { ...process.env, LC_ALL: 'C', GIT_ALLOW_PROTOCOL: 'none' };
  const child = spawn('git', ['-C', folder, '-c', 'protocol.allow=never', '--no-replace-objects', ...args], { env });
  let said = '';
  child.stderr.on('data', (chunk) => (said += chunk));
  const ended = new Promise((done) => child.once('close', done));
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  yield* child.stdout;
  const code = await ended;
  if (code !== 0) throw new Error(`git ${args[0]} in ${folder}: ${said}`);
}

async function textOf(folder, ...args) {
  const chunks = [];
  for await (const chunk of git(folder, args)) chunks.push(chunk);
  return Buffer.concat(chunks).toString('latin1');
}

async function* zeroTerminated(stream) {
  let rest = Buffer.alloc(0);
  for await (const chunk of stream) {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let from = 0;
    for (let at = bytes.indexOf(0); at !== -1; at = bytes.indexOf(0, from)) {
      yield bytes.subarray(from, at);
      from = at + 1;
    }
    rest = bytes.subarray(from);
  }
  if (rest.length > 0) throw new Error('git ended in the middle of an entry');
}

/** Hashes of the commits that HEAD leads to. */
export async function commitsOf(folder) {
  return (await textOf(folder, 'rev-list', 'HEAD')).split('\n').filter((line) => line !== '');
}

/** Commits whose parents a shallow clone lacks. */
export async function cutCommitsOf(folder) {
  const path = (await textOf(folder, 'rev-parse', '--git-path', 'shallow')).trim();
  const { readFile } = await import('node:fs/promises');
  const { resolve } = await import('node:path');
  const text = await readFile(resolve(folder, path), 'latin1').catch(() => '');
  return new Set(text.split('\n').filter((line) => line !== ''));
}

/** Ids of all objects that the repository holds. */
export async function objectsOf(folder) {
  const text = await textOf(folder, 'cat-file', '--batch-all-objects', '--unordered', '--batch-check=%(objectname)');
  return new Set(text.split('\n'));
}

/**
 * The changes of each commit against its first parent, as `git log -z --raw` lists them: lists of {status, path, before, after, from} by commit.
 * With `renames`, git looks for them (`-M100%`: files that moved unchanged), and `from` is the old path.
 */
export async function changesOf(folder, { renames }) {
  const how = renames ? ['-M100%', '--diff-filter=R', '-l0'] : ['--no-renames'];
  const args = [
    'log',
    '-z',
    '--raw',
    '--no-abbrev',
    '--diff-merges=first-parent',
    '--root',
    // Of a bare repository git log reads the .mailmap of HEAD, which a clone without blobs does not have.
    '--no-mailmap',
    '--ignore-submodules=none',
    '--format=%H',
    ...how,
  ];
  const found = new Map();
  const tokens = zeroTerminated(git(folder, [...args, 'HEAD', '--']));
  let changes = [];
  for await (const token of tokens) {
    const text = token.toString('latin1').replace(/^\n/, '');
    if (!text.startsWith(':')) {
      changes = [];
      found.set(text, changes);
      continue;
    }
    const [modeBefore, modeAfter, before, after, status] = text.slice(1).split(' ');
    const from = status.startsWith('R') ? (await tokens.next()).value : undefined;
    const { value: path } = await tokens.next();
    changes.push({ status, path, from, before: sideOf(modeBefore, before), after: sideOf(modeAfter, after), raw: text });
  }
  return found;
}

function sideOf(mode, id) {
  return ZEROS.test(mode) ? undefined : { mode, id };
}

/** Calls `take(id, type, content)` for each object, in any number: the content of one at a time is in memory. */
export async function eachObject(folder, ids, take) {
  let rest = Buffer.alloc(0);
  let head;
  let pieces = [];
  let left = 0;
  for await (const chunk of git(folder, ['cat-file', '--batch'], `${ids.join('\n')}\n`)) {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    for (;;) {
      if (head === undefined) {
        const end = rest.indexOf(10);
        if (end === -1) break;
        head = rest.toString('latin1', 0, end).split(' ');
        rest = rest.subarray(end + 1);
        if (head.length !== 3) throw new Error(`git cat-file says ${head.join(' ')}`);
        left = Number(head[2]) + 1;
      }
      const part = rest.subarray(0, left);
      pieces.push(part);
      left -= part.length;
      rest = rest.subarray(part.length);
      if (left > 0) break;
      take(head[0], head[1], Buffer.concat(pieces).subarray(0, -1));
      head = undefined;
      pieces = [];
    }
  }
}

export function sha256(bytes) {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Type, SHA-256 and size of each object's content. */
export async function digestsOf(folder, ids) {
  const found = new Map();
  if (ids.length > 0)
    await eachObject(folder, ids, (id, type, content) => found.set(id, { type, sha256: sha256(content), size: content.length }));
  return found;
}
