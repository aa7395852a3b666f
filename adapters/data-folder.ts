import { takeFileLock } from '../platform/file-lock.ts';

/** A folder that this process works on alone. */
export interface DataFolder {
  readonly path: string;
  close(): Promise<void>;
}

/** Opens or creates a folder (0700) and makes this process its owner. Throws DATA_IN_USE while another owner lives or may live. */
export async function openDataFolder(path: string, lockName = 'lock'): Promise<DataFolder> {
  const lock = await takeFileLock({
    folder: path,
    name: lockName,
    subject: `data folder ${path}`,
    otherwise: 'name another folder with --data',
  });
  return { path, close: () => lock.release() };
}
