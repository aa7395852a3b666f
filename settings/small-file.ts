import { closeSync, lstatSync, openSync, readSync } from 'node:fs';

/** No configuration, key or secret is longer. */
export const SMALL_BYTES = 1024 * 1024;

const decoder = new TextDecoder('utf-8', { fatal: true });

/** The text of a file of at most 1 MiB, of any kind that can be read: also a pipe. Throws the system's error, EFBIG, or EILSEQ where it is not UTF-8. */
export function readSmallFile(path: string): string {
  const bytes = readBoundedFile(path, SMALL_BYTES);
  try {
    return decoder.decode(bytes);
  } catch {
    throw fault('EILSEQ', 'it is not UTF-8 text');
  }
}

/** The bytes of a file of at most `most` bytes, of any kind that can be read: also a pipe, by its path or descriptor. Throws the system's error, or EFBIG. */
export function readBoundedFile(path: string | number, most: number): Uint8Array {
  const bytes = readAtMost(path, most + 1);
  if (bytes.length > most) throw fault('EFBIG', `it has more than ${most} bytes`);
  return bytes;
}

/** At most the first `most` bytes of a file of any kind that can be read, by its path or descriptor. Throws the system's error. */
export function readAtMost(path: string | number, most: number): Uint8Array {
  const file = typeof path === 'number' ? path : openSync(path, 'r');
  try {
    const bytes = new Uint8Array(most);
    let length = 0;
    for (let read = -1; read !== 0 && length < most; length += read) read = readSync(file, bytes, length, most - length, null);
    return bytes.subarray(0, length);
  } finally {
    if (file !== path) closeSync(file);
  }
}

function fault(code: string, fact: string): Error {
  return Object.assign(new Error(fact), { code });
}

/** Whether something has this name. If that cannot be told, true: then reading it names the reason, instead of going on without it. */
export function isThere(path: string): boolean {
  try {
    lstatSync(path);
    return true;
  } catch (error) {
    return !['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '');
  }
}
