import { createReadStream, type Dirent } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { resolve } from 'node:path';
import { sha256, sha256Stream } from '#crypto';
import { toHex } from '../core/base/bytes.ts';
import type { DataRef } from '../core/formats/event.ts';

/** Most files of one commit or folder that are listed; the number of further files is stated. */
export const MAX_FILES = 100_000;

/** Folders that nobody means by "all files". */
export const IGNORED_FOLDERS: ReadonlySet<string> = new Set(['.git', 'node_modules', '.lineproof']);

const MAX_NAME_BYTES = 16 * 1024;

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
    else if (entry.isDirectory() && !IGNORED_FOLDERS.has(entry.name.toString()) && except?.equals(path) !== true)
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

/** A name as a part of a stream's name: without control characters, and of a bounded length. */
export function safeName(name: string): string {
  return (
    Array.from(name.replaceAll(/\p{Cc}/gu, '_'))
      .slice(0, 60)
      .join('') || 'root'
  );
}

/** A path's bytes as text. Bytes that are not UTF-8 become `\\xNN`, and so does a backslash in such a name. A path that is too long is cut, and its digest is added. */
export function pathText(bytes: Buffer): string {
  const text = bytes.toString('utf8');
  const isText = !text.includes('\ufffd') || Buffer.from(text).equals(bytes);
  const name = isText
    ? text
    : bytes.toString('latin1').replaceAll(/[\u0080-\u00ff\\]/g, (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`);
  return bytes.length <= MAX_NAME_BYTES ? name : `${name.slice(0, 1024).replace(/[\ud800-\udbff]$/, '')}… (sha256 ${toHex(sha256(bytes))})`;
}
