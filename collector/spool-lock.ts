import { type FileLock, type FileLockOptions, holderOf, type LockHolder, takeFileLock } from '../platform/file-lock.ts';

/** Makes this thread the only one that works on a spool's folder, which is made if it is missing. Throws DATA_IN_USE, DISK_FULL, IO_FAILED. */
export function lockSpool(folder: string): Promise<FileLock> {
  return takeFileLock(optionsFor(folder));
}

/** The process that works on a spool's folder, or may be working on it. */
export function spoolHolder(folder: string): Promise<LockHolder | undefined> {
  return holderOf(optionsFor(folder));
}

function optionsFor(folder: string): FileLockOptions {
  return { folder, name: 'lock', subject: `spool ${folder}`, otherwise: 'give each process its own spool folder' };
}
