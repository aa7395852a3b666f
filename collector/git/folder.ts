import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { toHex } from '../../core/base/bytes.ts';
import type { DataRef, Event } from '../../core/formats/event.ts';
import { idFromKey } from '../../core/formats/identity.ts';
import { eventParts, sortedAttributes } from '../event-parts.ts';
import type { EventSink } from '../event-sink.ts';
import { hashFile, MAX_FILES, safeName, walk } from '../files.ts';
import type { GitCollection, GitOptions } from './collection.ts';

interface Files {
  readonly refs: DataRef[];
  /** Time of the newest file. */
  newestMs: number;
  /** All files, those beyond {@link MAX_FILES} too. */
  count: number;
  filesNotReadable: number;
  foldersNotReadable: number;
}

/** One event over the files of a folder, in parts where one does not hold them; the same files give the same ids. */
export async function collectFiles(folder: string, sink: EventSink, options: GitOptions, reason: string): Promise<GitCollection> {
  const stream = options.stream ?? `files/${safeName(basename(folder))}`;
  const collection = { source: 'files', reason, stream, cut: 0, lacking: 0 } as const;
  const files = await readFiles(folder, stream, options);
  if (files === undefined) return { ...collection, commits: 0, total: 1, interrupted: true };
  const events = filesEvents(stream, files, reason);
  await Promise.all(events.map((event) => sink.recordDurably(event)));
  options.progress?.(events.length, events.length);
  return { ...collection, reason: reasonText(files, reason), commits: events.length, total: events.length, interrupted: false };
}

/** Undefined if the signal came first. */
async function readFiles(folder: string, stream: string, { except, signal }: GitOptions): Promise<Files | undefined> {
  const files: Files = { refs: [], newestMs: 0, count: 0, filesNotReadable: 0, foldersNotReadable: 0 };
  const onUnreadable = (): void => void files.foldersNotReadable++;
  for await (const { name, path } of walk(folder, except, onUnreadable)) {
    if (signal?.aborted === true) return undefined;
    if (++files.count > MAX_FILES) continue;
    const ref = await hashFile(stream, name, path);
    if (ref === undefined) files.filesNotReadable++;
    files.refs.push(ref ?? { namespace: stream, name, version: null, digest: null, size: null, mediaType: null });
    files.newestMs = Math.max(files.newestMs, Math.floor((await stat(path).catch(() => undefined))?.mtimeMs ?? 0));
  }
  return files;
}

function reasonText({ count, filesNotReadable, foldersNotReadable }: Files, reason: string): string {
  const more = count > MAX_FILES ? `; the first ${MAX_FILES} of ${count} files are listed` : '';
  const unread =
    filesNotReadable + foldersNotReadable > 0 ? `; ${filesNotReadable} files and ${foldersNotReadable} folders cannot be read` : '';
  return `${reason}${more}${unread}`;
}

function filesEvents(stream: string, files: Files, reason: string): Event[] {
  const { refs, newestMs, count, filesNotReadable, foldersNotReadable } = files;
  const attributes = new Map([['files.reason', reason]]);
  if (count > MAX_FILES) attributes.set('files.notListed', String(count - MAX_FILES));
  if (filesNotReadable > 0) attributes.set('files.notReadable', String(filesNotReadable));
  if (foldersNotReadable > 0) attributes.set('files.foldersNotReadable', String(foldersNotReadable));
  const names = refs.map(({ name, digest }) => `${name}\n${digest === null ? '' : toHex(digest.value)}`);
  const key = [String(newestMs), ...[...attributes].map(([name, value]) => `${name}=${value}`), ...names].join('\n');
  return eventParts(
    {
      id: idFromKey(stream, key),
      stream,
      type: 'CREATE',
      importance: 'ESSENTIAL',
      // The same files must give the same bytes, so that a repeat is a duplicate and not a conflict: the newest file's time, not the clock's.
      occurredAt: newestMs * 1000,
      actor: { id: 'lineproof collect git', kind: 'JOB', onBehalfOf: null },
      activity: { name: 'files found', runId: null, version: null, environment: null },
      parents: [],
      trace: null,
      attributes: sortedAttributes(attributes),
      facets: [],
    },
    { inputs: [], outputs: refs, partId: (part) => idFromKey(stream, `${key}\n/${part}`) },
  );
}
