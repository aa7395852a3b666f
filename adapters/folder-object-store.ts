import { randomBytes } from 'node:crypto';
import { constants, type Dirent, existsSync } from 'node:fs';
import { link, lstat, mkdir, open, readdir, rename, rm, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { sha256 } from '#crypto';
import { toHex } from '../core/base/bytes.ts';
import { hasCode, LineproofError } from '../core/base/errors.ts';
import { checkObjectKey } from '../core/base/object-key.ts';
import type { ByteRange, ListedObject, ObjectStore, Pieces, StoredObject } from '../core/ports/object-store.ts';
import { syncFolder, writeSynced } from '../platform/durable-file.ts';
import { errnoOf, ioError } from '../platform/errno.ts';
import { type FileLock, takeFileLock } from '../platform/file-lock.ts';
import { type LifeSocket, openLifeSocket } from '../platform/life-socket.ts';

/** The folder of drafts and locks. No key can name it, as no part of a key starts with a dot. */
const PRIVATE = '.store';
/** Follows no link, and does not wait for a writer of a pipe. */
const PLAIN_FILE = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
/** Nothing is there, or it is not a file: a link, a socket. */
const ABSENT: readonly string[] = ['ENOENT', 'ENOTDIR', 'EISDIR', 'ELOOP', 'ENXIO'];
const LOCK_PATIENCE_MS = 10_000;

/** Opens the {@link ObjectStore} on a folder. The first write makes the folder if it is missing. */
export async function openFolderObjectStore(folder: string): Promise<ObjectStore> {
  return new FolderObjectStore(folder);
}

/**
 * One file per object. A link, a pipe or a device is not an object; it is listed with size 0, so that an audit of the folder can name it.
 * A new object is a complete file linked into place, a replaced one a complete file renamed over it under a lock.
 */
class FolderObjectStore implements ObjectStore {
  readonly #folder: string;
  /** One for all locks: to bind a socket costs more than the rest of a lock. */
  #socket: Promise<LifeSocket> | undefined;

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
        // A tag of the content would cost reading the whole file, and no caller replaces an object that it read in part.
        const etag = range === undefined ? tagOf(bytes) : `${ino}-${mtimeNs}-${size}`;
        return { bytes: bytes.subarray(0, read), etag };
      } finally {
        await file.close();
      }
    });
  }

  async create(key: string, content: Uint8Array | Pieces): Promise<boolean> {
    const path = this.#path(key);
    return io(`write ${key}`, async () => {
      const draft = await this.#draft(content);
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
      try {
        const lock = await this.#lock(key);
        try {
          if ((await this.get(key))?.etag !== etag) return undefined;
          await rename(draft, path);
          await syncFolder(dirname(path));
          return tagOf(bytes);
        } finally {
          await lock.release();
        }
      } finally {
        await rm(draft, { force: true });
      }
    });
  }

  async *list(prefix: string): AsyncGenerator<ListedObject> {
    const folder = prefix.includes('/') ? prefix.slice(0, prefix.lastIndexOf('/')) : '';
    if (folder !== '') this.#path(folder);
    yield* this.#walk(folder, prefix);
  }

  /** Size of a file; 0 if it is not a file; undefined if it was removed meanwhile. */
  async #sizeOf(key: string, entry: Dirent): Promise<number | undefined> {
    if (!entry.isFile()) return 0;
    return io(`list ${key}`, async () => {
      try {
        return (await lstat(join(this.#folder, key))).size;
      } catch (error) {
        // A name that is not UTF-8 cannot be opened under the text that the system gives for it, but the file is there.
        if (errnoOf(error) === 'ENOENT') return key.includes('\uFFFD') ? 0 : undefined;
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
    const socket = this.#socket;
    this.#socket = undefined;
    await (await socket)?.close();
  }

  /** The file of a key; throws FORMAT_INVALID on a key that is not spelled as the port says. */
  #path(key: string): string {
    checkObjectKey(key);
    return join(this.#folder, key);
  }

  /** A complete, synced file with the bytes, not visible as an object. */
  async #draft(content: Uint8Array | Pieces): Promise<string> {
    await mkdir(join(this.#folder, PRIVATE), { recursive: true, mode: 0o700 });
    const path = join(this.#folder, PRIVATE, `${process.pid}-${randomBytes(8).toString('hex')}.draft`);
    try {
      await writeSynced(path, content, 0o644);
    } catch (error) {
      await rm(path, { force: true });
      throw error;
    }
    return path;
  }

  async #makeFolder(path: string): Promise<void> {
    const first = await mkdir(path, { recursive: true });
    if (first !== undefined) for (let each = path; each.length >= first.length; each = dirname(each)) await syncFolder(dirname(each));
  }

  /** Keeps other replacers of the key out, in this process and others. */
  async #lock(key: string): Promise<FileLock> {
    const folder = join(this.#folder, PRIVATE);
    try {
      return await takeFileLock({
        folder,
        socket: await this.#lifeSocket(folder),
        name: `${tagOf(Buffer.from(key))}.lock`,
        subject: `object ${key} to replace it`,
        otherwise: 'try again',
        patienceMs: LOCK_PATIENCE_MS,
      });
    } catch (error) {
      // Another process is replacing the object and needs only a moment: the caller tries again.
      if (hasCode(error, 'DATA_IN_USE')) throw new LineproofError('UNAVAILABLE', (error as LineproofError).message, {}, error);
      throw error;
    }
  }

  /** Bound again if it was removed, for example when the folder was restored from a copy. */
  async #lifeSocket(folder: string): Promise<LifeSocket> {
    this.#socket ??= openLifeSocket(folder);
    const opened = this.#socket;
    const socket = await opened;
    if (socket.name === '' || existsSync(join(folder, socket.name))) return socket;
    if (this.#socket === opened) this.#socket = undefined;
    await socket.close();
    return this.#lifeSocket(folder);
  }
}

function tagOf(bytes: Uint8Array): string {
  return toHex(sha256(bytes)).slice(0, 32);
}

/** The result of `action`; undefined if there is no such file: nothing, a folder, or a path that leads through a file. */
async function unlessMissing<T>(action: () => Promise<T>): Promise<T | undefined> {
  try {
    return await action();
  } catch (error) {
    if (ABSENT.includes(errnoOf(error) ?? '')) return undefined;
    throw error;
  }
}

/** Gives a complete file its name; false if a file has it already. A folder of that name is not an object: then it throws. */
async function linkNew(draft: string, path: string): Promise<boolean> {
  try {
    await link(draft, path);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'EEXIST' && (await stat(path).catch(() => undefined))?.isDirectory() !== true) return false;
    throw error;
  }
}

async function io<T>(what: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    throw ioError(what, error);
  }
}
