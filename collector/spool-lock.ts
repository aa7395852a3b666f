import { randomBytes } from 'node:crypto';
import { linkSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { threadId } from 'node:worker_threads';
import { LineproofError } from '../core/base/errors.ts';

interface Owner {
  readonly pid: number;
  readonly started: string;
  readonly thread: number;
  /** Tells this hold from every other one of the same thread. */
  readonly hold: string;
  /** Device and inode of the folder: a copied folder brings a lock that holds nothing here. */
  readonly folder: string;
}

const TRIES = 5;
/** Holds of this thread, whichever copy of this module took them: a folder restored from a copy brings back a lock that was given up since. */
const HOLDS = Symbol.for('lineproof.spool.holds');
const shared = globalThis as { [HOLDS]?: Set<string> };
shared[HOLDS] ??= new Set();
const holds: Set<string> = shared[HOLDS];

/** Makes this process the only one on the folder, until the function it returns is called; throws DATA_IN_USE. */
export function lockSpool(folder: string): () => void {
  const lock = join(folder, 'lock');
  const hold = randomBytes(16).toString('hex');
  const own = JSON.stringify({
    pid: process.pid,
    started: startOf(process.pid),
    thread: threadId,
    hold,
    folder: identityOf(folder),
  } satisfies Owner);
  for (let tries = 0; tries < TRIES; tries++) {
    if (create(lock, own)) {
      holds.add(hold);
      return () => {
        holds.delete(hold);
        if (read(lock) === own) rmSync(lock, { force: true });
      };
    }
    const text = read(lock);
    if (text !== undefined && isHeld(text, folder)) break;
    if (text !== undefined) moveAside(lock, text);
  }
  throw new LineproofError('DATA_IN_USE', `cannot open spool ${folder}: another collector works on it; give each process its own folder`, {
    folder,
  });
}

/** Whether a living process, this one included, works on the folder. */
export function isSpoolHeld(folder: string): boolean {
  const text = read(join(folder, 'lock'));
  return text !== undefined && isHeld(text, folder);
}

/** Links the complete lock into place: there is no moment at which it is half written. */
function create(lock: string, content: string): boolean {
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

/** Takes a dead lock away; one that changed hands in between is put back. */
function moveAside(lock: string, expected: string): void {
  const aside = `${lock}.stale.${randomBytes(6).toString('hex')}`;
  try {
    renameSync(lock, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  const found = read(aside);
  if (found !== undefined && found !== expected) create(lock, found);
  rmSync(aside, { force: true });
}

function isHeld(text: string, folder: string): boolean {
  let owner: Partial<Owner> | null;
  try {
    owner = JSON.parse(text) as Partial<Owner> | null;
  } catch {
    return false;
  }
  if (typeof owner?.pid !== 'number' || owner.folder !== identityOf(folder) || !Number.isSafeInteger(owner.pid) || owner.pid <= 0)
    return false;
  try {
    process.kill(owner.pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  // What cannot be read now says nothing against a process that answers.
  const started = startOf(owner.pid);
  if (owner.started !== '' && started !== '' && owner.started !== started) return false;
  return owner.pid !== process.pid || owner.thread !== threadId || holds.has(String(owner.hold));
}

function identityOf(folder: string): string {
  const { dev, ino } = statSync(folder);
  return `${dev}:${ino}`;
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Boot id and start time of a process (Linux); empty where the system does not say. */
function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (fields[0] === 'Z' || fields[0] === 'X') return 'ended';
    return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()}/${fields[19]}`;
  } catch {
    return '';
  }
}
