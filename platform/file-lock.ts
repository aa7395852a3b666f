import { createHash, randomBytes } from 'node:crypto';
import { linkSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { LineproofError } from '../core/base/errors.ts';
import { errnoOf, ioError } from './errno.ts';
import { type LifeSocket, openLifeSocket } from './life-socket.ts';
import { readLock } from './lock-file.ts';
import { holdsOfThisThread, judgeLock, type LockState } from './lock-judgement.ts';
import { formatOwner, type LockOwner, type LockPlace, newOwner, placeOf } from './lock-owner.ts';
import { sweepLock } from './lock-sweep.ts';
import { makeFolder } from './made-folder.ts';
import { thisProcess } from './process-evidence.ts';

/** A folder that this thread works on alone. */
export interface FileLock {
  /** Releases the folder; a second call changes nothing. */
  release(): Promise<void>;
}

export interface FileLockOptions {
  /** Made (0700) if it is missing. */
  readonly folder: string;
  /** Name of the lock file in the folder; it ends in `lock`. Locks of different names are independent of each other. */
  readonly name: string;
  /** How messages name the locked folder, and what its user can do instead of stopping the owner. */
  readonly subject: string;
  readonly otherwise: string;
  /** How long to wait for the owner; by default not at all. */
  readonly patienceMs?: number;
  /** A socket in `folder` that a caller who locks often keeps open; without it each lock binds one. */
  readonly socket?: LifeSocket;
}

/** The owner of a lock that this process wants. */
export interface LockHolder {
  /** False if this process cannot tell. */
  readonly lives: boolean;
  /** The error that {@link takeFileLock} would throw. */
  readonly error: LineproofError;
}

/** Sockets whose owners have looked for files of dead owners. */
const hasSwept = new WeakSet<LifeSocket>();

type Held = Exclude<LockState, { readonly state: 'dead' }>;
/** Texts of a dead owner's lock, of the heir who died while taking it over, of that one's heir, and so on. Empty: the lock is free. */
type DeadLine = readonly string[];

const MAX_HEIRS = 64;
const TRIES = 64;
const RETRY_MS = 5;

/**
 * Makes this thread the only owner of a folder, until it releases the folder or its process ends in any way. Throws DATA_IN_USE while another owner
 * lives, or may live: then the message says which file to delete once the operator knows that no owner lives. Throws DISK_FULL and IO_FAILED.
 *
 * Decision 28 says why this is so. The lock is a file that is linked into place complete. A dead owner's lock is never removed, it is replaced, and
 * only its heir may do that: the process that was the first to link a file named after the dead lock.
 */
export async function takeFileLock(options: FileLockOptions): Promise<FileLock> {
  const file = join(resolve(options.folder), options.name);
  const giveUpAt = performance.now() + (options.patienceMs ?? 0);
  try {
    for (;;) {
      const found = await contend(file, options.socket);
      if ('release' in found) return found;
      if (performance.now() >= giveUpAt) throw inUse(options, file, found);
      await sleep(RETRY_MS);
    }
  } catch (error) {
    throw ioError(`open ${options.subject}`, error);
  }
}

/** The owner that works on the folder, or may do so; undefined if the folder can be locked. Changes nothing. */
export async function holderOf(options: FileLockOptions): Promise<LockHolder | undefined> {
  const file = join(resolve(options.folder), options.name);
  try {
    if (readLock(file) === undefined) return undefined;
    const found = await inquire(file, placeOf(options.folder));
    return 'state' in found ? { lives: found.state === 'alive', error: inUse(options, file, found) } : undefined;
  } catch (error) {
    throw ioError(`read ${file}`, error);
  }
}

async function contend(file: string, socket: LifeSocket | undefined): Promise<FileLock | Held> {
  const folder = dirname(file);
  for (let tries = 0; tries < TRIES; tries++) {
    makeFolder(folder);
    try {
      const place = placeOf(folder);
      const line = await inquire(file, place);
      if ('state' in line) return line;
      const lock = await claim(file, place, line, socket);
      if (lock !== undefined) return lock;
    } catch (error) {
      // The previous owner may remove the folder when it releases it.
      if (errnoOf(error) !== 'ENOENT') throw error;
    }
  }
  return { state: 'unknown', owner: undefined, why: 'it changes hands all the time' };
}

/** The dead owners whose lock can be taken over, or the state of its present owner. */
async function inquire(file: string, place: LockPlace): Promise<DeadLine | Held> {
  const line: string[] = [];
  for (let path = file; line.length < MAX_HEIRS; path = heirOf(file, line)) {
    const text = readLock(path);
    if (text === undefined) return line;
    const judged = await judgeLock(text, dirname(file), place);
    if (judged.state !== 'dead') return judged;
    line.push(text);
  }
  return { state: 'unknown', owner: undefined, why: 'too many starters have died while they took it over' };
}

/** Tries to become the owner; undefined if another process was faster. */
async function claim(file: string, place: LockPlace, line: DeadLine, kept: LifeSocket | undefined): Promise<FileLock | undefined> {
  const socket = kept ?? (await openLifeSocket(dirname(file)));
  const owner = newOwner(place, socket);
  holdsOfThisThread.add(owner.hold);
  const end = async (): Promise<void> => {
    holdsOfThisThread.delete(owner.hold);
    if (kept === undefined) await socket.close();
  };
  const text = formatOwner(owner);
  try {
    if (link(file, text, place, line)) {
      // Files that are not swept now do no harm, and the next owner tries again.
      if (line.length > 0 || !hasSwept.has(socket)) await sweepLock(file, owner).catch(() => undefined);
      hasSwept.add(socket);
      let released: Promise<void> | undefined;
      return {
        release: () => {
          released ??= giveFree(file, text, end);
          return released;
        },
      };
    }
  } catch (error) {
    await giveFree(file, text, end);
    throw error;
  }
  await end();
  return undefined;
}

/** Gives the lock its new text in one step. Nothing in here waits, so a thread can end only before it or after it. */
function link(file: string, text: string, { folder }: LockPlace, line: DeadLine): boolean {
  const draft = join(dirname(file), `lock-${randomBytes(8).toString('hex')}.draft`);
  writeFileSync(draft, text, { mode: 0o600, flag: 'wx' });
  try {
    if (line.length === 0) linkNew(draft, file);
    else replace(draft, file, line);
    // A network file system can report a failure of an act that it did: so look at the file itself. A recreated folder has another
    // identity than the lock states, so no judge would accept the lock.
    return readLock(file) === text && placeOf(dirname(file)).folder === folder;
  } finally {
    rmSync(draft, { force: true });
  }
}

/**
 * Replaces a dead lock. Only one process can be the heir of the last of `line`, and as long as the lock is still the first of `line`, no heir of that
 * line has replaced it and none of their files was removed. So the rename can only replace the dead lock.
 */
function replace(draft: string, file: string, line: DeadLine): void {
  const heir = heirOf(file, line);
  if (!linkNew(draft, heir)) return;
  try {
    if (readLock(file) === line[0]) renameSync(draft, file); // commit point
  } finally {
    rmSync(heir, { force: true });
  }
}

/** The file by which one process becomes the heir of the last of a line. */
function heirOf(file: string, line: DeadLine): string {
  const digest = createHash('sha256').update(line.at(-1) as string);
  return `${file}.${digest.digest('hex').slice(0, 32)}-${line.length}.heir`;
}

/** False if the name is taken, or the draft was swept. */
function linkNew(draft: string, path: string): boolean {
  try {
    linkSync(draft, path);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'EEXIST' || errnoOf(error) === 'ENOENT') return false;
    throw error;
  }
}

/** Removes the lock before the socket: so a socket that refuses connections belongs to no lock, or to the lock of a dead owner. */
async function giveFree(file: string, text: string, end: () => Promise<void>): Promise<void> {
  try {
    // Another text is there only if an operator deleted ours by hand.
    if (readLock(file) === text) rmSync(file, { force: true });
  } finally {
    await end();
  }
}

function inUse({ folder, subject, otherwise }: FileLockOptions, file: string, held: Held): LineproofError {
  const who = held.owner === undefined ? 'another process' : describeOwner(held.owner);
  const message =
    held.state === 'alive'
      ? `it is in use by ${who}; stop that process, or ${otherwise}`
      : `it may be in use by ${who}; this process cannot tell, because ${held.why}; make sure that no process works on it, then delete ${file}`;
  return new LineproofError('DATA_IN_USE', `cannot open ${subject}: ${message}`, { folder, lock: file });
}

function describeOwner({ pid, processes, host, since }: LockOwner): string {
  const here = thisProcess().processes;
  const isSame = processes === here && here !== '';
  const isOther = processes !== here && processes !== '' && here !== '';
  const where = isSame ? '' : ` of ${isOther ? 'another' : 'perhaps another'} PID namespace, such as a container's,`;
  return `process ${pid}${where}${host === hostname() ? '' : ` on host ${host}`} (since ${since})`;
}
