import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { createReadStream, type Dirent } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { hmacSha256, sha256, sha256Stream } from '#crypto';
import { toHex, utf8 } from '../core/base/bytes.ts';
import { LineproofError } from '../core/base/errors.ts';
import type { DataRef, Event } from '../core/formats/event.ts';
import { idFromKey } from '../core/formats/identity.ts';
import { eventParts, sortedAttributes } from './event-parts.ts';

/** Where events go: a collector. */
export interface EventSink {
  record(event: Event): Uint8Array;
  recordDurably(event: Event): Promise<Uint8Array>;
}

/** Where a collection left off, kept beside the data. */
export interface CursorStore {
  get(name: string): Promise<string | undefined>;
  /** Durable when it resolves. */
  put(name: string, value: string): Promise<void>;
}

export interface GitOptions {
  readonly actors: 'hashed' | 'plain';
  /** Secret under which names are hashed, 32 bytes, kept beside the data. */
  readonly actorKey: Uint8Array;
  readonly signal?: AbortSignal;
  /** A folder of which no file is collected: where the system that collects keeps its own data. */
  readonly except?: string;
  progress?(events: number): void;
}

export interface GitCollection {
  readonly source: 'git' | 'files';
  /** Why the folder's files were taken instead of history. */
  readonly reason: string | undefined;
  readonly stream: string;
  /** Commits recorded now; of a folder without history, events. */
  readonly commits: number;
}

/** Files of one commit or folder that are listed; how many more there are is said. */
export const MAX_FILES = 100_000;
const IGNORED = new Set(['.git', 'node_modules', '.lineproof']);
const DURABLE_EVERY = 256;
/** Each takes as much as the longest name of a stream, and all of them must leave room in an event. */
const MAX_PARENTS = 500;
/** Tips that a cursor remembers, so that going back and forth between branches adds nothing twice. */
const MAX_TIPS = 64;
const MAX_NAME_BYTES = 16 * 1024;
const MAX_PERSON_CHARS = 256;
const MAX_SECONDS = 9_000_000_000;
const ZEROS = /^0+$/;
/** What a repository's own configuration and files could otherwise run, hide or change. */
const SAFE_CONFIG = [
  'core.fsmonitor=false',
  'core.hooksPath=/dev/null',
  'core.commitGraph=false',
  'core.alternateRefsCommand=',
  'log.showSignature=false',
  'protocol.allow=never',
  'diff.external=',
  'diff.orderFile=/dev/null',
].flatMap((setting) => ['-c', setting]);
/** A caller's own variables would point git somewhere else, or have it write somewhere; these do not. */
const KEPT_VARIABLES = new Set([
  'GIT_EXEC_PATH',
  'GIT_CONFIG_GLOBAL',
  'GIT_CONFIG_SYSTEM',
  'GIT_CONFIG_NOSYSTEM',
  'GIT_CEILING_DIRECTORIES',
  'GIT_DISCOVERY_ACROSS_FILESYSTEM',
]);

interface Change {
  readonly path: string;
  readonly before: string | undefined;
  readonly after: string | undefined;
}

interface Commit {
  readonly hash: string;
  readonly parents: readonly string[];
  readonly time: number;
  readonly author: string;
  readonly committer: string;
  readonly changes: readonly Change[];
  /** Changes beyond {@link MAX_FILES}. */
  readonly notListed: number;
}

/**
 * Records every commit that is reachable from HEAD and was not recorded before as a TRANSFORM event, a folder without history as a CREATE event
 * over its files; what has more files than one event holds goes on in further events that name the first as their parent. The stream is `git/<folder name>-<8 hex>`, where the hex comes from the first root commit: two repositories of the same
 * name keep apart, and a renamed folder continues under the name the cursor remembers. An event's id is derived from stream and commit hash.
 */
export async function collectGit(dir: string, sink: EventSink, cursors: CursorStore, options: GitOptions): Promise<GitCollection> {
  const folder = resolve(dir);
  if (!(await stat(folder).catch(() => undefined))?.isDirectory()) {
    throw new LineproofError('NOT_FOUND', `cannot collect ${folder}: it is no folder`, { folder });
  }
  const head = await runGit(folder, ['rev-parse', '--verify', '--quiet', 'HEAD^{commit}']);
  if (head.missing) return collectFiles(folder, sink, options, 'git is not installed');
  if (/dubious ownership/.test(head.stderr)) {
    const hint = `git config --global --add safe.directory ${folder}`;
    throw new LineproofError('IO_FAILED', `cannot read ${folder}: it belongs to another user and git refuses it; allow it with: ${hint}`);
  }
  const hash = head.stdout.toString('latin1').trim();
  if (head.code !== 0 || hash === '')
    return collectFiles(
      folder,
      sink,
      options,
      /not a git repository/i.test(head.stderr) ? 'the folder is no git repository' : 'the repository has no commits',
    );
  return collectHistory(folder, hash, sink, cursors, options);
}

async function collectHistory(
  folder: string,
  head: string,
  sink: EventSink,
  cursors: CursorStore,
  options: GitOptions,
): Promise<GitCollection> {
  const found = await runGit(folder, ['rev-list', '--max-parents=0', head]);
  const root = found.stdout.toString('latin1').trim().split('\n').toSorted()[0] ?? '';
  if (found.code !== 0 || root === '') throw unreadable(folder, found.stderr);
  const cursorName = `git/${root}`;
  const cursor = parseCursor(await cursors.get(cursorName)) ?? {
    stream: `git/${safeName(basename(folder))}-${root.slice(0, 8)}`,
    tips: [],
  };
  const { stream } = cursor;
  const tips: string[] = [];
  for (const tip of cursor.tips) if ((await runGit(folder, ['cat-file', '-e', `${tip}^{commit}`])).code === 0) tips.push(tip);
  const blobs = new BlobHasher(folder);
  let commits = 0;
  try {
    let pending: Promise<unknown>[] = [];
    for await (const commit of readCommits(folder, [head, ...tips.map((tip) => `^${tip}`)])) {
      if (options.signal?.aborted === true) break;
      for (const event of await commitEvents(stream, commit, blobs, options)) {
        const recorded = sink.recordDurably(event);
        // Thrown below, once it is awaited: until then nobody holds it, and the process must not end over that.
        void recorded.catch(() => undefined);
        pending.push(recorded);
      }
      commits++;
      options.progress?.(commits);
      if (pending.length >= DURABLE_EVERY) {
        await Promise.all(pending);
        pending = [];
      }
    }
    await Promise.all(pending);
  } finally {
    blobs.close();
  }
  if (options.signal?.aborted !== true) {
    const [newest] = tips;
    const isOlder = newest !== undefined && (await runGit(folder, ['merge-base', '--is-ancestor', newest, head])).code === 0;
    const others = (isOlder ? tips.slice(1) : tips).filter((tip) => tip !== head);
    // Commit point: only after all events are durable; an interrupted run starts again where it began, and ids make the repeats harmless.
    await cursors.put(cursorName, JSON.stringify({ stream, tips: [head, ...others].slice(0, MAX_TIPS) } satisfies Cursor));
  }
  return { source: 'git', reason: undefined, stream, commits };
}

/** Where a collection left off. */
interface Cursor {
  readonly stream: string;
  /** Commits that were recorded with all that they come from, the newest first. */
  readonly tips: readonly string[];
}

function parseCursor(text: string | undefined): Cursor | undefined {
  const cursor = text === undefined ? undefined : (JSON.parse(text) as Partial<Cursor>);
  return typeof cursor?.stream === 'string' && Array.isArray(cursor.tips) ? (cursor as Cursor) : undefined;
}

async function commitEvents(stream: string, commit: Commit, blobs: BlobHasher, options: GitOptions): Promise<Event[]> {
  const inputs: DataRef[] = [];
  const outputs: DataRef[] = [];
  for (const { path, before, after } of commit.changes) {
    if (before !== undefined) inputs.push(await blobs.ref(stream, path, before));
    if (after !== undefined) outputs.push(await blobs.ref(stream, path, after));
  }
  const parents = commit.parents.slice(0, MAX_PARENTS);
  const attributes = new Map([
    ['git.author', personName(commit.author, options)],
    ['git.commit', commit.hash],
  ]);
  if (commit.notListed > 0) attributes.set('git.filesNotListed', String(commit.notListed));
  if (parents.length < commit.parents.length) attributes.set('git.parentsNotListed', String(commit.parents.length - parents.length));
  return eventParts(
    {
      id: idFromKey(stream, commit.hash),
      stream,
      type: 'TRANSFORM',
      importance: 'ESSENTIAL',
      occurredAt: commit.time * 1_000_000,
      actor: { id: personName(commit.committer, options), kind: 'PERSON', onBehalfOf: null },
      activity: { name: 'git commit', runId: null, version: commit.hash, environment: null },
      parents: parents.map((parent) => ({ stream, id: idFromKey(stream, parent), digest: null, origin: null })),
      trace: null,
      attributes: sortedAttributes(attributes),
      facets: [],
    },
    { inputs, outputs, partId: (part) => idFromKey(stream, `${commit.hash}/${part}`) },
  );
}

/** A person as the settings want it: under the key's hash, or in clear without what could disturb a terminal. */
function personName(person: string, { actors, actorKey }: GitOptions): string {
  if (actors === 'plain')
    return Array.from(person.replaceAll(/\p{Cc}/gu, '_'))
      .slice(0, MAX_PERSON_CHARS)
      .join('');
  return `hmac:${toHex(hmacSha256(actorKey, utf8(person))).slice(0, 32)}`;
}

/** Stream names have no control characters and a bounded length. */
export function safeName(name: string): string {
  return (
    Array.from(name.replaceAll(/\p{Cc}/gu, '_'))
      .slice(0, 60)
      .join('') || 'root'
  );
}

/** Commits, parents before children. A merge is compared with its first parent. */
async function* readCommits(folder: string, range: readonly string[]): AsyncGenerator<Commit> {
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

/** A commit may state any time; what is no time at all is 0. */
function secondsOf(text: string): number {
  const seconds = Number(text);
  return Number.isInteger(seconds) && Math.abs(seconds) <= MAX_SECONDS ? seconds : 0;
}

function unreadable(folder: string, stderr: string): LineproofError {
  return new LineproofError('IO_FAILED', `cannot read the history of ${folder}: ${stderr.trim() || 'git gave none'}; git fsck tells more`, {
    folder,
  });
}

/** `:100644 100644 <before> <after> M`; a submodule (mode 160000) has a commit, no content. */
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

/** A path's bytes as text: what is not UTF-8 stands as `\\xNN`, and so does a backslash that would look like it; what is endless is cut, with its digest. */
export function pathText(bytes: Buffer): string {
  const text = bytes.toString('utf8');
  const isText = !text.includes('\ufffd') || Buffer.from(text).equals(bytes);
  const name = isText
    ? text
    : bytes.toString('latin1').replaceAll(/[\u0080-\u00ff\\]/g, (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`);
  return bytes.length <= MAX_NAME_BYTES ? name : `${name.slice(0, 1024).replace(/[\ud800-\udbff]$/, '')}… (sha256 ${toHex(sha256(bytes))})`;
}

/** SHA-256 of blobs through one `git cat-file --batch`, streaming; the last few thousand are remembered. */
class BlobHasher {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #chunks: AsyncIterator<Buffer>;
  readonly #known = new Map<string, { readonly digest: Uint8Array; readonly size: number } | undefined>();
  readonly #ended: Promise<Ended>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(folder: string) {
    this.#child = startGit(folder, ['cat-file', '--batch']);
    this.#child.stdin.on('error', () => undefined);
    this.#ended = endOf(this.#child);
    this.#chunks = this.#child.stdout[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  }

  async ref(namespace: string, name: string, id: string): Promise<DataRef> {
    const blob = id.startsWith('submodule:') ? undefined : await this.#hash(id);
    return {
      namespace,
      name,
      version: id,
      digest: blob === undefined ? null : { algorithm: 'sha256', value: blob.digest },
      size: blob?.size ?? null,
      mediaType: null,
    };
  }

  async #hash(id: string): Promise<{ readonly digest: Uint8Array; readonly size: number } | undefined> {
    if (this.#known.has(id)) return this.#known.get(id);
    this.#child.stdin.write(`${id}\n`);
    const line = await this.#line();
    const [, type, size] = /^[0-9a-f]+ ([a-z]+) (\d+)$/.exec(line) ?? [];
    if (size === undefined && !line.endsWith(' missing'))
      throw new LineproofError('IO_FAILED', `cannot read object ${id}: git says ${JSON.stringify(line.slice(0, 200))}`);
    const content = size === undefined ? undefined : await this.#content(Number(size));
    // A tree may call anything a file; only a blob has content that somebody could check.
    const blob = type === 'blob' ? content : undefined;
    if (this.#known.size > 4096) this.#known.clear();
    this.#known.set(id, blob);
    return blob;
  }

  async #content(size: number): Promise<{ readonly digest: Uint8Array; readonly size: number }> {
    const hash = sha256Stream();
    for (let left = size; left > 0; ) {
      if (this.#rest.length === 0) await this.#more();
      const part = this.#rest.subarray(0, left);
      hash.update(part);
      left -= part.length;
      this.#rest = this.#rest.subarray(part.length);
    }
    if (this.#rest.length === 0) await this.#more();
    this.#rest = this.#rest.subarray(1);
    return { digest: hash.digest(), size };
  }

  async #line(): Promise<string> {
    for (;;) {
      const end = this.#rest.indexOf(10);
      if (end !== -1) {
        const line = this.#rest.toString('latin1', 0, end);
        this.#rest = this.#rest.subarray(end + 1);
        return line;
      }
      await this.#more();
    }
  }

  async #more(): Promise<void> {
    const { value, done } = await this.#chunks.next();
    if (done === true) {
      const { stderr } = await this.#ended;
      throw new LineproofError('IO_FAILED', `cannot read git objects: ${stderr.trim() || 'git cat-file ended'}; git fsck tells more`);
    }
    this.#rest = this.#rest.length === 0 ? value : Buffer.concat([this.#rest, value]);
  }

  close(): void {
    this.#child.kill();
  }
}

/** Nothing that a repository holds may run: no hooks, pager, external diff, text conversion, file system monitor, lazy fetch. */
function startGit(folder: string, args: readonly string[]): ChildProcessWithoutNullStreams {
  const own = Object.entries(process.env).filter(([name]) => !name.startsWith('GIT_') || KEPT_VARIABLES.has(name));
  return spawn('git', ['-C', folder, '--no-pager', '--no-replace-objects', ...SAFE_CONFIG, ...args], {
    env: {
      ...Object.fromEntries(own),
      LC_ALL: 'C',
      GIT_PAGER: 'cat',
      GIT_TERMINAL_PROMPT: '0',
      // What a repository lacks is not fetched: the addresses in its configuration could be commands.
      GIT_NO_LAZY_FETCH: '1',
      GIT_ALLOW_PROTOCOL: 'none',
      GIT_GRAFT_FILE: '/dev/null',
      GIT_OPTIONAL_LOCKS: '0',
    },
  });
}

interface Ended {
  readonly code: number | null;
  readonly stderr: string;
  readonly missing: boolean;
}

function endOf(child: ChildProcessWithoutNullStreams): Promise<Ended> {
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => {
    if (stderr.length < 4096) stderr += chunk.toString('utf8');
  });
  return new Promise((done) => {
    child.on('error', (error: NodeJS.ErrnoException) => done({ code: null, stderr: error.message, missing: error.code === 'ENOENT' }));
    child.on('close', (code) => done({ code, stderr, missing: false }));
  });
}

/** For answers of a few lines. */
async function runGit(folder: string, args: readonly string[]): Promise<Ended & { readonly stdout: Buffer }> {
  const child = startGit(folder, args);
  child.stdin.on('error', () => undefined);
  child.stdin.end();
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  return { ...(await endOf(child)), stdout: Buffer.concat(chunks) };
}

/** One event over the files of a folder, in parts where one does not hold them; the same files give the same ids. */
async function collectFiles(folder: string, sink: EventSink, options: GitOptions, reason: string): Promise<GitCollection> {
  const stream = `files/${safeName(basename(folder))}`;
  const outputs: DataRef[] = [];
  let newestMs = 0;
  let files = 0;
  for await (const { name, path } of walk(folder, options.except)) {
    if (options.signal?.aborted === true) return { source: 'files', reason, stream, commits: 0 };
    if (++files > MAX_FILES) continue;
    const ref = await hashFile(stream, name, path);
    if (ref === undefined) continue;
    outputs.push(ref);
    newestMs = Math.max(newestMs, Math.floor((await stat(path).catch(() => undefined))?.mtimeMs ?? 0));
  }
  const key = [String(newestMs), ...outputs.map(({ name, digest }) => `${name}\n${toHex(digest?.value ?? new Uint8Array(0))}`)].join('\n');
  const notListed = files - MAX_FILES;
  const events = filesEvents(stream, key, newestMs, { outputs, notListed });
  await Promise.all(events.map((event) => sink.recordDurably(event)));
  options.progress?.(events.length);
  const more = notListed > 0 ? `; the first ${MAX_FILES} of ${files} files are listed` : '';
  return { source: 'files', reason: `${reason}${more}`, stream, commits: events.length };
}

function filesEvents(
  stream: string,
  key: string,
  newestMs: number,
  { outputs, notListed }: { readonly outputs: readonly DataRef[]; readonly notListed: number },
): Event[] {
  return eventParts(
    {
      id: idFromKey(stream, key),
      stream,
      type: 'CREATE',
      importance: 'ESSENTIAL',
      // The same files must give the same bytes, so that a repeat is a duplicate and no conflict: the newest file's time, not the clock's.
      occurredAt: newestMs * 1000,
      actor: { id: 'lineproof collect git', kind: 'JOB', onBehalfOf: null },
      activity: { name: 'files found', runId: null, version: null, environment: null },
      parents: [],
      trace: null,
      attributes: notListed > 0 ? [{ key: 'files.notListed', value: String(notListed) }] : [],
      facets: [],
    },
    { inputs: [], outputs, partId: (part) => idFromKey(stream, `${key}\n/${part}`) },
  );
}

/** A regular file that {@link walk} found. */
export interface FoundFile {
  /** Relative to the walk's root, as {@link pathText} writes it. */
  readonly name: string;
  /** Bytes, because a name need not be UTF-8. */
  readonly path: Buffer;
}

const SLASH = Buffer.from('/');

/** Regular files below `root`, sorted, depth first; links are not followed, and the folder `except` is left out. */
export async function* walk(root: string, except?: string): AsyncGenerator<FoundFile> {
  yield* walkBelow(Buffer.from(root), Buffer.alloc(0), except === undefined ? undefined : Buffer.from(resolve(except)));
}

async function* walkBelow(folder: Buffer, below: Buffer, except: Buffer | undefined): AsyncGenerator<FoundFile> {
  let entries: Dirent<Buffer>[];
  try {
    entries = await readdir(folder, { withFileTypes: true, encoding: 'buffer' });
  } catch {
    return;
  }
  for (const entry of entries.toSorted((a, b) => Buffer.compare(a.name, b.name))) {
    const path = Buffer.concat([folder, SLASH, entry.name]);
    const relative = below.length === 0 ? entry.name : Buffer.concat([below, SLASH, entry.name]);
    if (entry.isFile()) yield { name: pathText(relative), path };
    else if (entry.isDirectory() && !IGNORED.has(entry.name.toString()) && except?.equals(path) !== true)
      yield* walkBelow(path, relative, except);
  }
}

/** A file as data: its SHA-256 and size; undefined when it cannot be read. */
export async function hashFile(namespace: string, name: string, path: Buffer): Promise<DataRef | undefined> {
  const hash = sha256Stream();
  let size = 0;
  try {
    for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
      hash.update(chunk);
      size += chunk.length;
    }
  } catch {
    return undefined;
  }
  return { namespace, name, version: null, digest: { algorithm: 'sha256', value: hash.digest() }, size, mediaType: null };
}
