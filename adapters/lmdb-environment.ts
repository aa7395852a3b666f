import { statfsSync, writeSync } from 'node:fs';
import { open, type RootDatabase } from 'lmdb';
import { hasCode, LineproofError, messageOf } from '../core/base/errors.ts';
import { makeFolder } from '../platform/made-folder.ts';

const MAX_VALUE_LISTS = 16;
const STDERR = 2;
/** With less than this a disk counts as full: lmdb ends the process if it cannot make its files, and reports a write that was cut short as an I/O error. */
const MIN_FREE_BYTES = 512 * 1024;

/**
 * An LMDB environment whose transactions are on disk when their promise resolves. One process at a time owns its folder;
 * another one of the same machine may read in it, and write: transactions of LMDB exclude each other across processes.
 * `overlappingSync` is off: with it, lmdb resolves a commit before it is flushed. `eventTurnBatching` is off: with it, a commit that fails
 * also rejects a promise that no caller can handle, which ends the process.
 */
export class Environment {
  readonly root: RootDatabase<Buffer, string>;
  readonly #folder: string;
  #closing: Promise<void> | undefined;
  /** The last write found the disk full. */
  #wasFull = false;

  /** Opens or creates the environment in `folder`; makes the folder if it is missing. With `readOnly`, it must exist, and another process may own it. */
  constructor(folder: string, readOnly = false) {
    this.#folder = folder;
    try {
      if (!readOnly) makeFolder(folder);
      if (!readOnly && isFull(folder))
        throw new LineproofError('DISK_FULL', `cannot open ${folder}: its disk is full; free some space and start again`);
      this.root = open<Buffer, string>({
        path: folder,
        noSubdir: false,
        readOnly,
        overlappingSync: false,
        eventTurnBatching: false,
        encoding: 'binary',
        maxDbs: MAX_VALUE_LISTS,
        cache: false,
        maxReaders: 64,
      });
    } catch (error) {
      throw this.#translated(error, `open ${folder}`);
    }
  }

  /** Throws UNAVAILABLE once it is closed. Every reader calls this first: lmdb may end the process if a closed database is read. */
  mustBeOpen(what: string): void {
    if (this.#closing !== undefined) throw new LineproofError('UNAVAILABLE', `cannot ${what}: it is closed`);
  }

  /**
   * Runs `action` in one write transaction: everything it wrote is durable when this resolves, or nothing was written.
   * A child transaction: in a plain one, lmdb commits the writes that `action` made before it threw.
   * After a write found the disk full, lmdb is not asked again while it is: for each commit that fails, lmdb writes raw lines to stderr, amid the log in JSON.
   */
  async write<T>(what: string, action: () => T): Promise<T> {
    this.mustBeOpen(what);
    if (this.#wasFull && isFull(this.#folder)) throw diskFull(what);
    try {
      const result = await this.root.childTransaction(action);
      this.#wasFull = false;
      return result;
    } catch (error) {
      const failure = this.#translated(await causeOf(error), what);
      this.#wasFull = hasCode(failure, 'DISK_FULL');
      throw failure;
    }
  }

  /** Resolves when every started write is done and the environment is closed. */
  close(): Promise<void> {
    this.#closing ??= this.root.close();
    return this.#closing;
  }

  /** An error of LMDB or of the file system in our words. */
  #translated(error: unknown, what: string): unknown {
    if (error instanceof LineproofError) return error;
    const message = messageOf(error);
    if (/ENOSPC|No space left|MDB_MAP_FULL/.test(message) || isFull(this.#folder)) {
      endForeignLine();
      return diskFull(what, error);
    }
    return new LineproofError('IO_FAILED', `cannot ${what}: ${message}`, {}, error);
  }
}

/** LMDB's C code writes "Write error: …" to stderr without the end of the line: our next line would go on in it. */
function endForeignLine(): void {
  try {
    writeSync(STDERR, '\n');
  } catch {
    // Nobody reads it.
  }
}

function diskFull(what: string, cause?: unknown): LineproofError {
  return new LineproofError('DISK_FULL', `cannot ${what}: the disk is full`, {}, cause);
}

function isFull(folder: string): boolean {
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize < MIN_FREE_BYTES;
}

/** The cause of a commit that failed: lmdb gives it by a promise in the error. */
async function causeOf(failure: unknown): Promise<unknown> {
  try {
    await (failure as { commitError?: Promise<unknown> }).commitError;
    return failure;
  } catch (cause) {
    return cause;
  }
}
