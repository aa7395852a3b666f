import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { LineproofError } from '../core/base/errors.ts';
import { errnoOf } from './errno.ts';

const MAX_LOCK_BYTES = 4096;
/** Follows no link, and does not wait for a writer of a pipe. */
const PLAIN_FILE = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** The text of a lock file, cut at the maximum size of a lock; undefined if there is no file. */
export function readLock(path: string): string | undefined {
  let descriptor: number;
  try {
    descriptor = openSync(path, PLAIN_FILE);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    if (errnoOf(error) === 'ELOOP' || errnoOf(error) === 'ENXIO') throw notPlain(path);
    throw error;
  }
  try {
    if (!fstatSync(descriptor).isFile()) throw notPlain(path);
    const bytes = Buffer.alloc(MAX_LOCK_BYTES);
    return bytes.toString('utf8', 0, readSync(descriptor, bytes));
  } finally {
    closeSync(descriptor);
  }
}

function notPlain(path: string): LineproofError {
  return new LineproofError('IO_FAILED', `cannot read lock ${path}: it is not a plain file; remove it`, { path });
}
