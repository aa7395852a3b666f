import { createReadStream, type Dirent } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { resolve } from 'node:path';
import { sha256Stream } from '#crypto';
import { utf8 } from '../core/base/bytes.ts';
import type { DataRef } from '../core/formats/event.ts';
import { byteText } from './byte-text.ts';

/** Most files of one commit or folder that are listed; the number of further files is stated. */
export const MAX_FILES = 100_000;

/** Folders that nobody means by "all files". */
export const IGNORED_FOLDERS: ReadonlySet<string> = new Set(['.git', 'node_modules', '.lineproof']);

const MAX_NAME_BYTES = 16 * 1024;
/** Escaped, a name of this length still fits into a stream's name. */
const MAX_STREAM_PART_BYTES = 60;
/** The beginning of a longer name, which leaves room for a digest. */
const CUT_STREAM_PART_BYTES = 30;

/** A regular file that {@link walk} found. */
export interface FoundFile {
  /** Relative to the walk's root, as {@link pathText} writes it. */
  readonly name: string;
  /** Bytes, because a name need not be UTF-8. */
  readonly path: Buffer;
}

const SLASH = Buffer.from('/');

/** Regular files below `root`, sorted, depth first; links are not followed, and the folder `except` is left out. `onUnreadable` is called for each folder that cannot be listed. */
export async function* walk(root: string, except?: string, onUnreadable: () => void = () => undefined): AsyncGenerator<FoundFile> {
  const left = except === undefined ? undefined : Buffer.from(resolve(except));
  yield* walkBelow(Buffer.from(root), Buffer.alloc(0), { except: left, onUnreadable });
}

interface WalkOptions {
  readonly except: Buffer | undefined;
  onUnreadable(): void;
}

async function* walkBelow(folder: Buffer, below: Buffer, options: WalkOptions): AsyncGenerator<FoundFile> {
  let entries: Dirent<Buffer>[];
  try {
    entries = await readdir(folder, { withFileTypes: true, encoding: 'buffer' });
  } catch {
    options.onUnreadable();
    return;
  }
  for (const entry of entries.toSorted((a, b) => Buffer.compare(a.name, b.name))) {
    const path = Buffer.concat([folder, SLASH, entry.name]);
    const relative = below.length === 0 ? entry.name : Buffer.concat([below, SLASH, entry.name]);
    if (entry.isFile()) yield { name: pathText(relative), path };
    else if (entry.isDirectory() && !IGNORED_FOLDERS.has(entry.name.toString()) && options.except?.equals(path) !== true)
      yield* walkBelow(path, relative, options);
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

/** A name as part of a stream's name: control characters and what is not UTF-8 are escaped, a name that is too long is cut and gets its digest ({@link byteText}). */
export function safeName(name: string): string {
  const bytes = utf8(name);
  if (bytes.length === 0) return 'root';
  return byteText(bytes, {
    controls: true,
    maxBytes: bytes.length > MAX_STREAM_PART_BYTES ? CUT_STREAM_PART_BYTES : MAX_STREAM_PART_BYTES,
  });
}

/** A path's bytes as text ({@link byteText}). */
export function pathText(bytes: Uint8Array): string {
  return byteText(bytes, { maxBytes: MAX_NAME_BYTES });
}
