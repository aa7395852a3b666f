import { mkdirSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { LineproofError } from '../core/base/errors.ts';
import { errnoOf, ioError } from './errno.ts';

/**
 * Makes a folder and the folders above it, where they are missing. Throws IO_FAILED, DISK_FULL. Node's own `recursive` never ends below /proc, where a
 * folder takes no folders and the system answers ENOENT as if the folder above were missing.
 */
export function makeFolder(path: string, mode = 0o700): void {
  try {
    make(resolve(path), mode);
  } catch (error) {
    throw ioError(`make folder ${path}`, error);
  }
}

function make(path: string, mode: number): void {
  try {
    return mkdirOnce(path, mode);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT' || dirname(path) === path) throw error;
  }
  make(dirname(path), mode);
  // Once more and not again: now the folder above is there.
  mkdirOnce(path, mode);
}

function mkdirOnce(path: string, mode: number): void {
  try {
    mkdirSync(path, { mode });
  } catch (error) {
    if (errnoOf(error) === 'EEXIST' && !isFolder(path))
      throw new LineproofError('IO_FAILED', `cannot make folder ${path}: what has that name is not a folder`);
    // A folder that is there can get EROFS or EACCES as well, and another process can have made it.
    if (!isFolder(path)) throw error;
  }
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}
