import { randomBytes } from 'node:crypto';
import { constants, type Dirent } from 'node:fs';
import { link, lstat, mkdir, open, readdir, rename, rm, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { sha256 } from '#crypto';
import { toHex } from '../core/base/bytes.ts';
import { LineproofError } from '../core/base/errors.ts';
import { checkObjectKey } from '../core/base/object-key.ts';
import type { ByteRange, ListedObject, ObjectStore, StoredObject } from '../core/ports/object-store.ts';

/** Drafts and locks live here; no key can name it, for a part of a key never starts with a dot. */
const PRIVATE = '.store';
/** Follows no link, and does not wait for whoever might write to a pipe. */
const PLAIN_FILE = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
/** Nothing is there, or something that is no file: a link, a socket. */
const ABSENT: readonly string[] = ['ENOENT', 'ENOTDIR', 'EISDIR', 'ELOOP', 'ENXIO'];
const LOCK_TRIES = 2000;
const LOCK_WAIT_MS = 5;
const LOCK_STALE_MS = 30_000;

/** Opens the {@link ObjectStore} on a folder; made if it is missing and `create` is not false. */
export async function openFolderObjectStore(folder: string): Promise<ObjectStore> {
  return new FolderObjectStore(folder);
}

/**
 * One file per object: a link, a pipe or a device is none, and is listed with size 0 so that whoever checks the folder can name it.
 * A new object is a complete file linked into place, a replaced one a complete file renamed over it under a lock.
 */
class FolderObjectStore implements ObjectStore {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async get(key: string, range?: ByteRange): Promise<StoredObject | undefined> {
    const path = this.#path(key);
    return io(`read ${key}`, async () => {
      const file = await unlessMissing(() => open(path, PLAIN_FILE));
      if (file === undefined) return undefined;
      try {
        const status = await file.stat({ bigint: true });
        if (!status.isFile()) return undefined;
        const { size, mtimeNs, ino } = status;
        const start = Math.min(range?.start ?? 0, Number(size));
        const end = Math.min(range?.end ?? Number(size), Number(size));
        const bytes = new Uint8Array(Math.max(0, end - start));
        let read = 0;
        while (read < bytes.length) {
          const { bytesRead } = await file.read(bytes, read, bytes.length - read, start + read);
          if (bytesRead === 0) break;
          read += bytesRead;
        }
        // A tag of the content would cost reading the whole; what was read in part is never replaced by it.
        const etag = range === undefined ? tagOf(bytes) : `${ino}-${mtimeNs}-${size}`;
        return { bytes: bytes.subarray(0, read), etag };
      } finally {
        await file.close();
      }
    });
  }

  async create(key: string, bytes: Uint8Array): Promise<boolean> {
    const path = this.#path(key);
    return io(`write ${key}`, async () => {
      const draft = await this.#draft(bytes);
      try {
        await this.#makeFolder(dirname(path));
        if (!(await linkNew(draft, path))) return false;
        await syncFolder(dirname(path));
        return true;
      } finally {
        await rm(draft, { force: true });
      }
    });
  }

  async replace(key: string, bytes: Uint8Array, etag: string | undefined): Promise<string | undefined> {
    const path = this.#path(key);
    return io(`replace ${key}`, async () => {
      if (etag === undefined) return (await this.create(key, bytes)) ? tagOf(bytes) : undefined;
      const draft = await this.#draft(bytes);
      const unlock = await this.#lock(key);
      try {
        if ((await this.get(key))?.etag !== etag) return undefined;
        await rename(draft, path);
        await syncFolder(dirname(path));
        return tagOf(bytes);
      } finally {
        await unlock();
        await rm(draft, { force: true });
      }
    });
  }

  async *list(prefix: string): AsyncGenerator<ListedObject> {
    const folder = prefix.includes('/') ? prefix.slice(0, prefix.lastIndexOf('/')) : '';
    if (folder !== '') this.#path(folder);
    yield* this.#walk(folder, prefix);
  }

  /** Size of a file, 0 for what is none, undefined where it was removed meanwhile. */
  async #sizeOf(key: string, entry: Dirent): Promise<number | undefined> {
    if (!entry.isFile()) return 0;
    return io(`list ${key}`, async () => {
      try {
        return (await lstat(join(this.#folder, key))).size;
      } catch (error) {
        // A name that is no UTF-8 cannot be asked for under the name that the system gives for it; it is there nevertheless.
        if (codeOf(error) === 'ENOENT') return key.includes('\uFFFD') ? 0 : undefined;
        throw error;
      }
    });
  }

  async *#walk(folder: string, prefix: string): AsyncGenerator<ListedObject> {
    const read = (): Promise<Dirent[]> => readdir(join(this.#folder, folder), { withFileTypes: true });
    const entries = await io(`list ${folder}`, async () => (await unlessMissing(read)) ?? []);
    // A folder's keys sort as if its name ended in a slash.
    const named = entries.map((entry) => ({ entry, sort: entry.isDirectory() ? `${entry.name}/` : entry.name }));
    named.sort((a, b) => (a.sort < b.sort ? -1 : 1));
    for (const { entry } of named) {
      const key = folder === '' ? entry.name : `${folder}/${entry.name}`;
      if (entry.name === PRIVATE && folder === '') continue;
      const below = `${key}/`;
      if (entry.isDirectory()) {
        if (below.startsWith(prefix) || prefix.startsWith(below)) yield* this.#walk(key, prefix);
      } else if (key.startsWith(prefix)) {
        const size = await this.#sizeOf(key, entry);
        if (size !== undefined) yield { key, size };
      }
    }
  }

  async delete(key: string): Promise<void> {
    const path = this.#path(key);
    await io(`delete ${key}`, async () => {
      const gone = await unlessMissing(async () => {
        await unlink(path);
        return true;
      });
      if (gone === true) await syncFolder(dirname(path));
    });
  }

  async close(): Promise<void> {
    // Nothing is held open between calls.
  }

  /** The file of a key; throws FORMAT_INVALID on a key that is not spelled as the port says. */
  #path(key: string): string {
    checkObjectKey(key);
    return join(this.#folder, key);
  }

  /** A complete, synced file with the bytes, not visible as an object. */
  async #draft(bytes: Uint8Array): Promise<string> {
    await mkdir(join(this.#folder, PRIVATE), { recursive: true, mode: 0o700 });
    const path = join(this.#folder, PRIVATE, `${process.pid}-${randomBytes(8).toString('hex')}.draft`);
    const file = await open(path, 'wx', 0o644);
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    return path;
  }

  async #makeFolder(path: string): Promise<void> {
    const first = await mkdir(path, { recursive: true });
    if (first !== undefined) for (let each = path; each.length >= first.length; each = dirname(each)) await syncFolder(dirname(each));
  }

  /** Keeps other replacers of the key out, in this process and others. A lock that its owner left behind is broken after 30 s. */
  async #lock(key: string): Promise<() => Promise<void>> {
    const path = join(this.#folder, PRIVATE, `${tagOf(Buffer.from(key))}.lock`);
    for (let tries = 0; tries < LOCK_TRIES; tries++) {
      try {
        await (await open(path, 'wx')).close();
        return () => rm(path, { force: true });
      } catch (error) {
        if (codeOf(error) !== 'EEXIST') throw error;
      }
      const held = await stat(path).catch(() => undefined);
      if (held !== undefined && Date.now() - held.mtimeMs > LOCK_STALE_MS) await rm(path, { force: true });
      await new Promise((resolve) => setTimeout(resolve, LOCK_WAIT_MS));
    }
    throw new LineproofError('UNAVAILABLE', `cannot replace ${key}: somebody else holds its lock`);
  }
}

function tagOf(bytes: Uint8Array): string {
  return toHex(sha256(bytes)).slice(0, 32);
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}

/** What `action` gives; undefined where there is no such file: nothing, a folder, or a path that leads through a file. */
async function unlessMissing<T>(action: () => Promise<T>): Promise<T | undefined> {
  try {
    return await action();
  } catch (error) {
    if (ABSENT.includes(codeOf(error) ?? '')) return undefined;
    throw error;
  }
}

/** Gives a complete file its name; false where a file has it. A folder of that name is no object: then it throws. */
async function linkNew(draft: string, path: string): Promise<boolean> {
  try {
    await link(draft, path);
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST' && (await stat(path).catch(() => undefined))?.isDirectory() !== true) return false;
    throw error;
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

async function io<T>(what: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    if (error instanceof LineproofError) throw error;
    const code = codeOf(error);
    if (code === 'ENOSPC' || code === 'EDQUOT')
      throw new LineproofError('DISK_FULL', `cannot ${what}: the disk is full; free some space`, {}, error);
    throw new LineproofError('IO_FAILED', `cannot ${what}: ${error instanceof Error ? error.message : String(error)}`, {}, error);
  }
}
