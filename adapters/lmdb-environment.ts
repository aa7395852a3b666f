import { open, type RootDatabase } from 'lmdb';
import { LineproofError } from '../core/errors.ts';

const MAX_VALUE_LISTS = 16;

/** An LMDB environment whose transactions are on disk when their promise resolves. One process at a time owns its folder. */
export type Environment = RootDatabase<Buffer, string>;

/** Opens or creates the environment in `folder`. `overlappingSync` is off: with it, lmdb resolves a commit before it is flushed. */
export function openEnvironment(folder: string): Environment {
  try {
    return open<Buffer, string>({
      path: folder,
      noSubdir: false,
      overlappingSync: false,
      encoding: 'binary',
      maxDbs: MAX_VALUE_LISTS,
      cache: false,
      maxReaders: 64,
    });
  } catch (error) {
    throw translated(error, `open ${folder}`);
  }
}

/** Runs `action` in one write transaction: everything it wrote is durable when this resolves, or nothing was written. */
export async function write<T>(environment: Environment, what: string, action: () => T): Promise<T> {
  try {
    return await environment.transaction(action);
  } catch (error) {
    throw translated(error, what);
  }
}

/** An error of LMDB or of the file system in our words. */
function translated(error: unknown, what: string): unknown {
  if (error instanceof LineproofError) return error;
  const message = error instanceof Error ? error.message : String(error);
  if (/ENOSPC|No space left|MDB_MAP_FULL/.test(message))
    return new LineproofError('DISK_FULL', `cannot ${what}: the disk is full`, {}, error);
  return new LineproofError('IO_FAILED', `cannot ${what}: ${message}`, {}, error);
}
