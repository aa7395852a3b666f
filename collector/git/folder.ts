import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { toHex } from '../../core/base/bytes.ts';
import type { DataRef, Event } from '../../core/formats/event.ts';
import { idFromKey } from '../../core/formats/identity.ts';
import { eventParts } from '../event-parts.ts';
import type { EventSink } from '../event-sink.ts';
import { hashFile, MAX_FILES, safeName, walk } from '../files.ts';
import type { GitCollection, GitOptions } from './collection.ts';

/** One event over the files of a folder, in parts where one does not hold them; the same files give the same ids. */
export async function collectFiles(folder: string, sink: EventSink, options: GitOptions, reason: string): Promise<GitCollection> {
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
      // The same files must give the same bytes, so that a repeat is a duplicate and not a conflict: the newest file's time, not the clock's.
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
