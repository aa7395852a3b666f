import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { LineproofError } from '../../core/base/errors.ts';
import { streamFault } from '../../core/base/format-checks.ts';
import type { EventSink } from '../event-sink.ts';
import { BlobHasher } from './blobs.ts';
import { ChangeReader } from './changes.ts';
import type { CursorStore, GitCollection, GitOptions } from './collection.ts';
import { type CommitFacts, commitEvents, missingObjects } from './commit-event.ts';
import { CommitParser } from './commit-object.ts';
import { GitCursor, type History } from './cursor.ts';
import { collectFiles } from './folder.ts';
import { ObjectReader } from './objects.ts';
import { openPresence } from './presence.ts';
import { unreadable } from './process.ts';
import { findHistory } from './repository.ts';
import { nameStream, rememberStream } from './stream-name.ts';
import { cutCommits, firstCommit, type Walked } from './walk.ts';

const DURABLE_EVERY = 256;
const SAVE_EVERY = 2_048;

/**
 * Records every commit that is reachable from HEAD and was not recorded before, as docs/git.md defines; of a folder without history, its files. What git
 * cannot give whole is named in the event, or refused with REPOSITORY_UNREADABLE; it is never recorded as if it were whole.
 */
export async function collectGit(dir: string, sink: EventSink, cursors: CursorStore, options: GitOptions): Promise<GitCollection> {
  const folder = resolve(dir);
  if (!(await stat(folder).catch(() => undefined))?.isDirectory()) {
    throw new LineproofError('NOT_FOUND', `cannot collect ${folder}: it is not a folder`, { folder });
  }
  const fault = options.stream === undefined ? undefined : streamFault(options.stream);
  if (fault !== undefined) throw new LineproofError('USAGE', `cannot collect to stream ${JSON.stringify(options.stream)}: ${fault}`);
  const found = await findHistory(folder);
  if ('reason' in found) return collectFiles(folder, sink, options, found.reason);
  const history: History = { folder, head: found.head, presence: await openPresence(folder) };
  const stream = await streamOf(history, cursors, options);
  await rememberStream(cursors, stream, found.head);
  const { cursor, commits } = await GitCursor.open(history, stream, cursors);
  const counts = await recordCommits({ history, stream, commits, cursor, sink, options });
  const interrupted = counts.commits < commits.length;
  if (interrupted) await cursor.save();
  else await cursor.finish(history);
  return { source: 'git', reason: undefined, stream, ...counts, total: commits.length, interrupted };
}

/** A name that stays the same however often and however deep the history is cloned, and whatever is merged into it. */
async function streamOf(history: History, cursors: CursorStore, { stream: wanted }: GitOptions): Promise<string> {
  const { folder, head } = history;
  const first = await firstCommit(folder, head);
  const isCut = (await cutCommits(folder, [{ hash: first, parents: [] }])).size > 0;
  const stream = await nameStream(history, cursors, { wanted, first: isCut ? undefined : first });
  if (stream !== undefined) return stream;
  throw new LineproofError(
    'USAGE',
    `cannot collect ${folder}: it is a shallow clone, and its first commit, after which its stream is named, is not in it; fetch the rest (git fetch --unshallow), or name the stream with --stream`,
    { folder },
  );
}

interface Work {
  readonly history: History;
  readonly stream: string;
  readonly commits: readonly Walked[];
  readonly cursor: GitCursor;
  readonly sink: EventSink;
  readonly options: GitOptions;
}

type Counts = Pick<GitCollection, 'commits' | 'cut' | 'lacking'>;

async function recordCommits({ history, stream, commits, cursor, sink, options }: Work): Promise<Counts> {
  const cut = await cutCommits(history.folder, commits);
  const facts = new FactReader(history, commits, cut);
  const counts = { commits: 0, cut: 0, lacking: 0 };
  let pending: Promise<unknown>[] = [];
  const stop = (): void => facts.close();
  options.signal?.addEventListener('abort', stop);
  try {
    for (const commit of commits) {
      const fact = await facts.read(commit.hash, options.signal);
      if (fact === undefined) break;
      for (const event of commitEvents(stream, fact, options)) {
        const recorded = sink.recordDurably(event);
        // The error is thrown below, where the promise is awaited. Until then no handler is attached, and that must not end the process.
        void recorded.catch(() => undefined);
        pending.push(recorded);
      }
      const lacks = missingObjects(fact);
      cursor.done(commit, { isCut: cut.has(commit.hash), lacks });
      counts.commits++;
      if (cut.has(commit.hash)) counts.cut++;
      if (lacks.length > 0) counts.lacking++;
      options.progress?.(counts.commits, commits.length);
      if (pending.length < DURABLE_EVERY) continue;
      await Promise.all(pending);
      pending = [];
      if (counts.commits % SAVE_EVERY < DURABLE_EVERY) await cursor.save();
    }
    await Promise.all(pending);
  } finally {
    options.signal?.removeEventListener('abort', stop);
    facts.close();
  }
  return counts;
}

/** Reads what is to be recorded of each commit, in order, through three git processes that read ahead. */
class FactReader {
  readonly #folder: string;
  readonly #cut: ReadonlySet<string>;
  readonly #objects: ObjectReader;
  readonly #changes: ChangeReader;
  readonly #blobs: BlobHasher;

  constructor({ folder, presence }: History, commits: readonly Walked[], cut: ReadonlySet<string>) {
    this.#folder = folder;
    this.#cut = cut;
    this.#objects = new ObjectReader(folder);
    this.#objects.askAll(hashesOf(commits));
    this.#changes = new ChangeReader(folder, pairsOf(commits, cut));
    this.#blobs = new BlobHasher(folder, presence);
  }

  /** Undefined if the signal came first. */
  async read(hash: string, signal: AbortSignal | undefined): Promise<CommitFacts | undefined> {
    const isStopped = (): boolean => signal?.aborted === true;
    try {
      return isStopped() ? undefined : await this.#read(hash);
    } catch (error) {
      // At the signal git is ended, in whatever it was doing.
      if (isStopped()) return undefined;
      throw error;
    }
  }

  async #read(hash: string): Promise<CommitFacts> {
    const parser = new CommitParser();
    const head = await this.#objects.read(hash, (part) => parser.take(part));
    if (head?.type !== 'commit') throw unreadable(this.#folder, `missing commit ${hash}`);
    const changes = this.#cut.has(hash) ? undefined : await this.#changes.read(hash);
    return { hash, object: parser.end(), changes, blobs: await this.#blobs.digests(changes?.listed ?? []) };
  }

  close(): void {
    this.#objects.close();
    this.#changes.close();
    this.#blobs.close();
  }
}

function* hashesOf(commits: readonly Walked[]): Generator<string> {
  for (const { hash } of commits) yield hash;
}

/** A commit is compared with its first parent, a root with the empty tree; one that is cut has nothing to be compared with. */
function* pairsOf(commits: readonly Walked[], cut: ReadonlySet<string>): Generator<readonly [string, string | undefined]> {
  for (const { hash, parents } of commits) if (!cut.has(hash)) yield [hash, parents[0]];
}
