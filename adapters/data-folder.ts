import { randomBytes } from 'node:crypto';
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { LineproofError } from '../core/base/errors.ts';

/** A folder that this process works on alone. */
export interface DataFolder {
  readonly path: string;
  close(): Promise<void>;
}

interface Owner {
  readonly pid: number;
  /** Tells this process from a later one with the same number; empty where the system does not say. */
  readonly started: string;
  readonly since: string;
}

const TRIES = 5;

/**
 * Opens or creates a folder (0700) and makes this process its owner: throws DATA_IN_USE while another one is.
 * The lock is a file that is linked into place complete, so exactly one of several starters gets it. It names its owner by process id and
 * start time; a lock whose owner is gone (also by kill −9) is moved aside by an atomic rename before the next try, and what was moved is
 * looked at again, so that a lock which somebody took meanwhile is put back and never deleted.
 */
export async function openDataFolder(path: string, lockName = 'lock'): Promise<DataFolder> {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    const lock = join(path, lockName);
    const own = JSON.stringify({ pid: process.pid, started: startTime(process.pid), since: new Date().toISOString() } satisfies Owner);
    take(path, lock, own);
    return { path, close: async () => release(lock, own) };
  } catch (error) {
    if (error instanceof LineproofError) throw error;
    throw new LineproofError(
      'IO_FAILED',
      `cannot open data folder ${path}: ${error instanceof Error ? error.message : String(error)}`,
      {},
      error,
    );
  }
}

function take(path: string, lock: string, own: string): void {
  for (let tries = 0; ; tries++) {
    if (linkComplete(lock, own)) return;
    const text = readIfThere(lock);
    const owner = text === undefined ? undefined : parseOwner(text);
    if (text !== undefined && (tries >= TRIES || (owner !== undefined && isAlive(owner)))) {
      const who = owner === undefined ? 'another process' : `process ${owner.pid} (since ${owner.since})`;
      throw new LineproofError(
        'DATA_IN_USE',
        `cannot open ${path}: it is in use by ${who}; stop that process, or name another folder with --data`,
        { path },
      );
    }
    if (text !== undefined) moveAside(lock, text);
  }
}

/** Creates the lock with its whole content in one step; false where there is one. */
function linkComplete(lock: string, content: string): boolean {
  const draft = `${lock}.${process.pid}.${randomBytes(6).toString('hex')}`;
  writeFileSync(draft, content, { mode: 0o600 });
  try {
    linkSync(draft, lock);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    rmSync(draft, { force: true });
  }
}

/** Takes a dead owner's lock away; one that changed hands in between is put back. */
function moveAside(lock: string, expected: string): void {
  const aside = `${lock}.stale.${randomBytes(6).toString('hex')}`;
  try {
    renameSync(lock, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  if (readFileSync(aside, 'utf8') !== expected) linkComplete(lock, readFileSync(aside, 'utf8'));
  rmSync(aside, { force: true });
}

function release(lock: string, own: string): void {
  if (readIfThere(lock) === own) unlinkSync(lock);
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function parseOwner(text: string): Owner | undefined {
  try {
    const { pid, started, since } = JSON.parse(text);
    return Number.isSafeInteger(pid) && pid > 0 && typeof started === 'string' && typeof since === 'string'
      ? { pid, started, since }
      : undefined;
  } catch {
    return undefined;
  }
}

function isAlive({ pid, started }: Owner): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  return started === '' || startTime(pid) === started;
}

/** Boot id and start time in ticks (Linux); empty where /proc is missing. A process that ended but was not reaped counts as gone. */
function startTime(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (fields[0] === 'Z' || fields[0] === 'X') return 'ended';
    return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()}/${fields[19]}`;
  } catch {
    return '';
  }
}

/** Whether a path exists and is a folder. */
export function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}
