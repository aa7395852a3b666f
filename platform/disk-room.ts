import { closeSync, fsyncSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { LineproofError } from '../core/base/errors.ts';
import { ioError } from './errno.ts';

/** More than one write of a shard's state takes; a disk on which this fits takes the next ones. */
const PROBE_BYTES = 1024 * 1024;

/** Why a folder takes no writes: DISK_FULL or IO_FAILED; undefined if it takes 1 MiB, which is removed again. A full quota shows only so. */
export function diskProblem(folder: string): LineproofError | undefined {
  const path = join(folder, 'room.probe');
  try {
    const file = openSync(path, 'w', 0o600);
    try {
      writeAll(file, Buffer.alloc(PROBE_BYTES));
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    return undefined;
  } catch (error) {
    return ioError(`write to ${folder}`, error);
  } finally {
    rmSync(path, { force: true });
  }
}

/** A full disk may take a part of a write before it refuses the next. */
function writeAll(file: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
}
