import { type FileLockOptions, holderOf, type LockHolder, takeFileLock } from '../platform/file-lock.ts';

/** A folder that this process works on alone. */
export interface DataFolder {
  readonly path: string;
  close(): Promise<void>;
}

/** Opens or creates a folder (0700) and makes this process its owner. Throws DATA_IN_USE while another owner lives or may live. */
export async function openDataFolder(path: string, lockName = 'lock'): Promise<DataFolder> {
  const lock = await takeFileLock(optionsFor(path, lockName));
  return { path, close: () => lock.release() };
}

/** The process that works on a folder, or may be working on it; undefined if {@link openDataFolder} can open it. */
export function dataFolderHolder(path: string): Promise<LockHolder | undefined> {
  return holderOf(optionsFor(path, 'lock'));
}

function optionsFor(folder: string, name: string): FileLockOptions {
  return { folder, name, subject: `data folder ${folder}`, otherwise: 'name another folder with --data' };
}
