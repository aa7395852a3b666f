import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { sha256 } from '#crypto';
import { openFolderObjectStore } from '../adapters/folder-object-store.ts';
import type { Collector } from '../collector/collector.ts';
import { collectGit } from '../collector/git/collect.ts';
import type { CursorStore, GitCollection } from '../collector/git/collection.ts';
import { toHex, utf8, utf8Text } from '../core/base/bytes.ts';
import { LineproofError } from '../core/base/errors.ts';
import { counted, printable } from '../core/base/terminal-text.ts';
import type { Settings } from '../settings/embedded-settings.ts';
import { actorKey } from './actor-names.ts';
import { type CommandOption, type Invocation, stringOption, type Terminal } from './command.ts';
import { Progress } from './progress.ts';

/** Where stderr is not a terminal, it gets a line this often. */
const LINE_MS = 10_000;

/** What `collect git` and `start --collect git` let the caller choose of the events. */
export const GIT_OPTIONS: readonly CommandOption[] = [
  {
    name: 'stream',
    type: 'string',
    value: 'NAME',
    help: 'stream to collect to; by default git/HASH, by the first commit of the history, which a shallow clone does not have',
  },
  {
    name: 'with-messages',
    type: 'boolean',
    help: 'record commit messages in clear, not only their digests; what is recorded cannot be removed',
  },
];

/** Throws NOT_FOUND if there is no such folder; called before anything is made. */
export function checkThere(folder: string): void {
  if (!existsSync(folder)) throw new LineproofError('NOT_FOUND', `cannot collect ${folder}: there is no such folder`);
}

/** Collects `folder` by `collector`; with a progress line on stderr. */
export async function collectInto(
  collector: Collector,
  settings: Settings,
  folder: string,
  invocation: Invocation,
): Promise<GitCollection> {
  const { terminal, options } = invocation;
  const stream = stringOption(invocation, 'stream');
  const progress = new CollectionProgress(terminal.stderr);
  const cursors = await openCursorStore(settings.data);
  try {
    return await collectGit(folder, collector, cursors, {
      actors: settings.actors,
      actorKey: await actorKey(settings.data),
      messages: options['with-messages'] === true,
      except: settings.data,
      progress: (done, total) => progress.update(done, total),
      signal: terminal.signal,
      ...(stream === undefined ? {} : { stream }),
    });
  } finally {
    progress.clear();
    await cursors.close();
  }
}

/** Throws USAGE if an option of collecting was given where nothing is collected. */
export function refuseGitOptions({ options }: Invocation): void {
  for (const { name } of GIT_OPTIONS)
    if (options[name] !== undefined) throw new LineproofError('USAGE', `--${name} needs --collect git; see lineproof start --help`);
}

/** Commits, with the total and the rate: a line that is drawn again on a terminal, else one line every ten seconds. */
class CollectionProgress {
  readonly #stderr: Terminal['stderr'];
  readonly #line: Progress;
  readonly #startMs = performance.now();
  #saidMs = performance.now();

  constructor(stderr: Terminal['stderr']) {
    this.#stderr = stderr;
    this.#line = new Progress(stderr);
  }

  update(done: number, total: number): void {
    const now = performance.now();
    const text = (): string => `collecting ${done} of ${total}, ${Math.round((done * 1000) / Math.max(1, now - this.#startMs))}/s`;
    if (this.#stderr.isTTY === true) return this.#line.update(text, done, total);
    if (now - this.#saidMs < LINE_MS) return;
    this.#saidMs = now;
    this.#stderr.write(`lineproof: ${text()}\n`);
  }

  clear(): void {
    this.#line.clear();
  }
}

/** What was collected, in sentences: what is not whole is said with the way to have it whole. */
export function describeCollection(collection: GitCollection): string {
  const { source, reason, commits, stream, total, cut, lacking, interrupted } = collection;
  const into = `stream ${printable(stream)}`;
  if (source === 'files') {
    if (interrupted) return `Interrupted before the files of the folder were recorded; the next collection starts again`;
    return `Collected the files of the folder into ${into}, not a git history: ${reason ?? ''}`;
  }
  const lines = [
    interrupted
      ? `Interrupted: collected ${commits} of ${total} commits of the git history into ${into}; the next collection goes on there`
      : `Collected ${counted(commits, 'commit')} of the git history into ${into}${commits === 0 ? ' (nothing new)' : ''}`,
  ];
  if (cut > 0)
    lines.push(
      `${cut} of them without changes: this is a shallow clone that lacks their parents. To record the rest: git fetch --unshallow, then collect again`,
    );
  if (lacking > 0)
    lines.push(
      `${lacking} of them without the digests of all files: the repository lacks the objects. To record them whole: git fetch --refetch --no-filter, then collect again`,
    );
  return lines.join('\n');
}

/** Cursors as files of the data folder, so that a collection beside a running system has them too. */
async function openCursorStore(data: string): Promise<CursorStore & { close(): Promise<void> }> {
  const objects = await openFolderObjectStore(join(data, 'collect'));
  const keyOf = (name: string): string => `${toHex(sha256(utf8(name)))}.json`;
  return {
    get: async (name) => {
      const stored = await objects.get(keyOf(name));
      return stored === undefined ? undefined : utf8Text(stored.bytes);
    },
    put: async (name, value) => {
      // The last one counts: of two collections of one history at a time, each knows less than both, and what they record twice has the same ids.
      for (let done = false; !done; ) {
        const there = await objects.get(keyOf(name));
        done = (await objects.replace(keyOf(name), utf8(value), there?.etag)) !== undefined;
      }
    },
    close: () => objects.close(),
  };
}
