import { open } from 'node:fs/promises';

/** Writes a new file and waits until the disk has its content. Its name survives a power cut only after {@link syncFolder}. Fails with EEXIST if the file exists. */
export async function writeSynced(path: string, content: Uint8Array | string | AsyncIterable<Uint8Array>, mode: number): Promise<void> {
  const file = await open(path, 'wx', mode);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Waits until the disk has the names in a folder: all earlier creations, renames and deletions in it. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
