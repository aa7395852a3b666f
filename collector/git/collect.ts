import { stat } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { hmacSha256 } from '#crypto';
import { toHex, utf8 } from '../../core/base/bytes.ts';
import { LineproofError } from '../../core/base/errors.ts';
import type { DataRef, Event } from '../../core/formats/event.ts';
import { idFromKey } from '../../core/formats/identity.ts';
import { eventParts, sortedAttributes } from '../event-parts.ts';
import type { EventSink } from '../event-sink.ts';
import { safeName } from '../files.ts';
import { BlobHasher } from './blobs.ts';
import type { CursorStore, GitCollection, GitOptions } from './collection.ts';
import { collectFiles } from './folder.ts';
import { type Commit, readCommits } from './log.ts';
import { runGit, unreadable } from './process.ts';

const DURABLE_EVERY = 256;
/** Each takes as much as the longest name of a stream, and all of them must leave room in an event. */
const MAX_PARENTS = 500;
/** Tips that a cursor remembers, so that going back and forth between branches adds nothing twice. */
const MAX_TIPS = 64;

const MAX_PERSON_CHARS = 256;

/**
 * Records every commit that is reachable from HEAD and was not recorded before as a TRANSFORM event, a folder without history as a CREATE event
 * over its files. If there are more files than one event holds, further events name the first as their parent. The stream is `git/<folder name>-<8 hex>`, where the hex comes from the first root commit: two repositories of the same
 * name have different streams, and a renamed folder continues under the name the cursor remembers. An event's id is derived from stream and commit hash.
 */
export async function collectGit(dir: string, sink: EventSink, cursors: CursorStore, options: GitOptions): Promise<GitCollection> {
  const folder = resolve(dir);
  if (!(await stat(folder).catch(() => undefined))?.isDirectory()) {
    throw new LineproofError('NOT_FOUND', `cannot collect ${folder}: it is not a folder`, { folder });
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
      /not a git repository/i.test(head.stderr) ? 'the folder is not a git repository' : 'the repository has no commits',
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
        // The error is thrown below, where the promise is awaited. Until then no handler is attached, and that must not end the process.
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

/** A person's name as the settings demand: hashed with the key, or in clear without characters that could disturb a terminal. */
function personName(person: string, { actors, actorKey }: GitOptions): string {
  if (actors === 'plain')
    return Array.from(person.replaceAll(/\p{Cc}/gu, '_'))
      .slice(0, MAX_PERSON_CHARS)
      .join('');
  return `hmac:${toHex(hmacSha256(actorKey, utf8(person))).slice(0, 32)}`;
}
