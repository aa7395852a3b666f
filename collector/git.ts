import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { opendir, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { hmacSha256, sha256Stream } from '#crypto';
import { toHex, utf8 } from '../core/bytes.ts';
import { LineproofError } from '../core/errors.ts';
import type { DataRef, Event } from '../core/event.ts';
import { idFromKey } from '../core/identity.ts';

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
  progress?(events: number): void;
}

export interface GitCollection {
  readonly source: 'git' | 'files';
  /** Why the folder's files were taken instead of history. */
  readonly reason: string | undefined;
  readonly stream: string;
  /** Events recorded now: commits, or one for a folder. */
  readonly commits: number;
}

const MAX_FILES = 100_000;
const IGNORED = new Set(['.git', 'node_modules', '.lineproof']);
const DURABLE_EVERY = 256;
const MAX_REFS_PER_EVENT = 1000;
const ZEROS = /^0+$/;
const SAFE_CONFIG = [
  '--no-pager',
  '--no-replace-objects',
  '-c',
  'core.fsmonitor=false',
  '-c',
  'core.hooksPath=/dev/null',
  '-c',
  'log.showSignature=false',
  '-c',
  'protocol.allow=never',
  '-c',
  'diff.external=',
];

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
}

/**
 * Records every commit that is reachable from HEAD and was not recorded before as one TRANSFORM event; a folder without history as one CREATE
 * event over its files. The stream is `git/<folder name>-<8 hex>`, where the hex comes from the first root commit: two repositories of the same
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
  const roots = (await runGit(folder, ['rev-list', '--max-parents=0', head])).stdout.toString('latin1').trim().split('\n').toSorted();
  const root = roots[0] as string;
  const cursorName = `git/${root}`;
  const stored = await cursors.get(cursorName);
  const { stream, commit: last } =
    stored === undefined ? { stream: `git/${safeName(basename(folder))}-${root.slice(0, 8)}`, commit: undefined } : parseCursor(stored);
  const known = last !== undefined && (await runGit(folder, ['cat-file', '-e', `${last}^{commit}`])).code === 0;
  const blobs = new BlobHasher(folder);
  let commits = 0;
  try {
    let pending: Promise<unknown>[] = [];
    for await (const commit of readCommits(folder, known ? [`${last}..${head}`] : [head])) {
      if (options.signal?.aborted === true) break;
      const event = await commitEvent(stream, commit, blobs, options);
      const recorded = sink.recordDurably(event);
      // Thrown below, once it is awaited: until then nobody holds it, and the process must not end over that.
      void recorded.catch(() => undefined);
      pending.push(recorded);
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
  // Commit point: only after all events are durable; an interrupted run starts again where it began, and ids make the repeats harmless.
  if (options.signal?.aborted !== true) await cursors.put(cursorName, JSON.stringify({ stream, commit: head }));
  return { source: 'git', reason: undefined, stream, commits };
}

function parseCursor(text: string): { readonly stream: string; readonly commit: string } {
  return JSON.parse(text) as { stream: string; commit: string };
}

async function commitEvent(stream: string, commit: Commit, blobs: BlobHasher, options: GitOptions): Promise<Event> {
  const inputs: DataRef[] = [];
  const outputs: DataRef[] = [];
  const changes = commit.changes.slice(0, MAX_REFS_PER_EVENT);
  for (const { path, before, after } of changes) {
    if (before !== undefined) inputs.push(await blobs.ref(stream, path, before));
    if (after !== undefined) outputs.push(await blobs.ref(stream, path, after));
  }
  const name = (person: string): string =>
    options.actors === 'plain' ? person : `hmac:${toHex(hmacSha256(options.actorKey, utf8(person))).slice(0, 32)}`;
  const attributes = [
    { key: 'git.author', value: name(commit.author) },
    { key: 'git.commit', value: commit.hash },
    ...(commit.changes.length > changes.length
      ? [{ key: 'git.filesNotListed', value: String(commit.changes.length - changes.length) }]
      : []),
  ];
  return {
    id: idFromKey(stream, commit.hash),
    stream,
    type: 'TRANSFORM',
    importance: 'ESSENTIAL',
    occurredAt: commit.time * 1_000_000,
    actor: { id: name(commit.committer), kind: 'PERSON', onBehalfOf: null },
    activity: { name: 'git commit', runId: null, version: commit.hash, environment: null },
    inputs,
    outputs,
    parents: commit.parents.map((parent) => ({ stream, id: idFromKey(stream, parent), digest: null, origin: null })),
    trace: null,
    attributes,
    facets: [],
  };
}

/** Stream names have no control characters and a bounded length. */
function safeName(name: string): string {
  return name.replaceAll(/\p{Cc}/gu, '_').slice(0, 60) || 'root';
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
    '--encoding=UTF-8',
    '-z',
    format,
    ...range,
    '--',
  ]);
  const ended = endOf(child);
  let fields: string[] | undefined;
  let changes: Change[] = [];
  let raw: string | undefined;
  const finish = (): Commit => {
    const [hash = '', parents = '', time = '0', author = '', committer = ''] = fields as string[];
    return { hash, parents: parents.split(' ').filter(Boolean), time: Number(time), author, committer, changes };
  };
  try {
    for await (const bytes of zeroTerminated(child.stdout)) {
      const token = pathText(bytes).replace(/^\n/, '');
      if (raw !== undefined) {
        changes.push(changeOf(raw, pathText(bytes)));
        raw = undefined;
      } else if (token.startsWith('\u0001')) {
        if (fields !== undefined) yield finish();
        fields = [token.slice(1)];
        changes = [];
      } else if (fields !== undefined && fields.length < 5) fields.push(token);
      else if (token.startsWith(':')) raw = token;
    }
    if (fields !== undefined) yield finish();
    const { code, stderr } = await ended;
    if (code !== 0) throw new LineproofError('IO_FAILED', `cannot read the history of ${folder}: ${stderr.trim()}`);
  } finally {
    child.kill();
  }
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

/** Text of bytes that need not be UTF-8: what is not stands as `\xNN`, and so does a backslash that would look like it. */
function pathText(bytes: Buffer): string {
  const text = bytes.toString('utf8');
  if (!text.includes('\ufffd') || Buffer.from(text).equals(bytes)) return text;
  return bytes.toString('latin1').replaceAll(/[\u0080-\u00ff\\]/g, (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`);
}

/** SHA-256 of blobs through one `git cat-file --batch`, streaming; the last few thousand are remembered. */
class BlobHasher {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #chunks: AsyncIterator<Buffer>;
  readonly #known = new Map<string, { readonly digest: Uint8Array; readonly size: number } | undefined>();
  #rest: Buffer = Buffer.alloc(0);

  constructor(folder: string) {
    this.#child = startGit(folder, ['cat-file', '--batch']);
    this.#child.stdin.on('error', () => undefined);
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
    const size = /^[0-9a-f]+ blob (\d+)$/.exec(line)?.[1];
    if (size === undefined && !line.endsWith(' missing'))
      throw new LineproofError('IO_FAILED', `cannot read object ${id}: git says ${line}`);
    const blob = size === undefined ? undefined : await this.#content(Number(size));
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
    if (done === true) throw new LineproofError('IO_FAILED', 'cannot read git objects: git cat-file ended');
    this.#rest = this.#rest.length === 0 ? value : Buffer.concat([this.#rest, value]);
  }

  close(): void {
    this.#child.kill();
  }
}

/** Nothing that a repository holds may run: no hooks, pager, external diff, text conversion, file system monitor, lazy fetch. */
function startGit(folder: string, args: readonly string[]): ChildProcessWithoutNullStreams {
  return spawn('git', ['-C', folder, ...SAFE_CONFIG, ...args], {
    env: {
      ...process.env,
      LC_ALL: 'C',
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_PAGER: 'cat',
      GIT_TERMINAL_PROMPT: '0',
      GIT_NO_LAZY_FETCH: '1',
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

/** One event over the files of a folder, in parts of {@link MAX_REFS_PER_EVENT}; the same files give the same ids. */
async function collectFiles(folder: string, sink: EventSink, options: GitOptions, reason: string): Promise<GitCollection> {
  const stream = `files/${safeName(basename(folder))}`;
  let outputs: DataRef[] = [];
  let commits = 0;
  const emit = async (): Promise<void> => {
    const key = outputs.map(({ name, digest }) => `${name}\n${toHex(digest?.value ?? new Uint8Array(0))}`).join('\n');
    await sink.recordDurably(filesEvent(stream, `${newestMs}\n${key}`, newestMs, outputs));
    outputs = [];
    newestMs = 0;
    commits++;
    options.progress?.(commits);
  };
  let files = 0;
  let newestMs = 0;
  for await (const path of walk(folder, '')) {
    if (++files > MAX_FILES || options.signal?.aborted === true) break;
    const ref = await hashFile(stream, path, join(folder, path));
    if (ref !== undefined) {
      outputs.push(ref);
      newestMs = Math.max(newestMs, Math.floor((await stat(join(folder, path)).catch(() => undefined))?.mtimeMs ?? 0));
    }
    if (outputs.length === MAX_REFS_PER_EVENT) await emit();
  }
  if (outputs.length > 0 || commits === 0) await emit();
  return { source: 'files', reason, stream, commits };
}

function filesEvent(stream: string, key: string, newestMs: number, outputs: readonly DataRef[]): Event {
  return {
    id: idFromKey(stream, key),
    stream,
    type: 'CREATE',
    importance: 'ESSENTIAL',
    // The same files must give the same bytes, so that a repeat is a duplicate and no conflict: the newest file's time, not the clock's.
    occurredAt: newestMs * 1000,
    actor: { id: 'lineproof collect git', kind: 'JOB', onBehalfOf: null },
    activity: { name: 'files found', runId: null, version: null, environment: null },
    inputs: [],
    outputs,
    parents: [],
    trace: null,
    attributes: [],
    facets: [],
  };
}

/** Paths of regular files, sorted, depth first; links are not followed. */
export async function* walk(root: string, below: string): AsyncGenerator<string> {
  const entries: { readonly name: string; readonly folder: boolean; readonly file: boolean }[] = [];
  try {
    for await (const entry of await opendir(join(root, below)))
      entries.push({ name: entry.name, folder: entry.isDirectory(), file: entry.isFile() });
  } catch {
    return;
  }
  for (const { name, folder, file } of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = below === '' ? name : `${below}/${name}`;
    if (folder && !IGNORED.has(name)) yield* walk(root, path);
    else if (file) yield path;
  }
}

/** A file as data: its SHA-256 and size; undefined when it cannot be read. */
export async function hashFile(namespace: string, name: string, path: string): Promise<DataRef | undefined> {
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
