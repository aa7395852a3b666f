import { randomBytes } from 'node:crypto';
import { statfsSync, statSync } from 'node:fs';
import { hostname } from 'node:os';
import { LIFE_SOCKET, type LifeSocket } from './life-socket.ts';
import { type ProcessIdentity, thisProcess } from './process-evidence.ts';

/** The content of a lock file: evidence by which a later starter judges whether the owner lives. */
export interface LockOwner extends ProcessIdentity {
  /** Tells this hold from every other one, also of the same thread. */
  readonly hold: string;
  /** Name of the owner's life socket; empty if none could be bound. */
  readonly socket: string;
  /** Why there is no socket: the system's name of the error. */
  readonly noSocket: string;
  /** Device and inode of the folder: a lock that was copied with its folder holds nothing. */
  readonly folder: string;
  /** Type of its file system, as statfs(2) gives it. */
  readonly fileSystem: string;
  /** For the message only, as is `since`. */
  readonly host: string;
  readonly since: string;
}

/** The facts about a folder that a judge needs. */
export type LockPlace = Pick<LockOwner, 'folder' | 'fileSystem'>;

/**
 * Linux file systems that only one kernel can have mounted (statfs(2), linux/magic.h). Any other may be shared: with other machines, as NFS is,
 * or with a path of another device number, as FUSE is. Then a refused socket or another boot proves less.
 */
const OF_ONE_KERNEL: ReadonlySet<string> = new Set([
  'ef53', // ext2, ext3, ext4
  '58465342', // xfs
  '9123683e', // btrfs
  '2fc12fc1', // zfs
  'ca451a4e', // bcachefs
  'f2f52010', // f2fs
  '1021994', // tmpfs
  '858458f6', // ramfs
  '794c7630', // overlay
  '3153464a', // jfs
  '52654973', // reiserfs
]);

/** Whether no other kernel can have this file system mounted. Outside of Linux the types have no fixed numbers, so the answer is yes. */
export function isOfOneKernel({ fileSystem }: LockPlace): boolean {
  return fileSystem.startsWith('linux:') ? OF_ONE_KERNEL.has(fileSystem.slice('linux:'.length)) : true;
}

/** Throws the system's error if the folder cannot be inspected. */
export function placeOf(folder: string): LockPlace {
  const { dev, ino } = statSync(folder, { bigint: true });
  const { type } = statfsSync(folder, { bigint: true });
  return { folder: `${dev}:${ino}`, fileSystem: `${process.platform}:${type.toString(16)}` };
}

/** This thread as the owner of a new hold. */
export function newOwner(place: LockPlace, socket: LifeSocket): LockOwner {
  return {
    ...thisProcess(),
    hold: randomBytes(16).toString('hex'),
    socket: socket.name,
    noSocket: socket.errno,
    ...place,
    host: hostname().replaceAll(/[^\x21-\x7e]/g, '?'),
    since: new Date().toISOString(),
  };
}

export function formatOwner(owner: LockOwner): string {
  return `${JSON.stringify(owner)}\n`;
}

/** Undefined for every text that {@link formatOwner} does not write. */
export function parseOwner(text: string): LockOwner | undefined {
  let owner: Readonly<Record<string, unknown>> | null;
  try {
    owner = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof owner !== 'object' || owner === null) return undefined;
  const { pid, thread, socket, hold, host, since } = owner;
  const texts = ['started', 'processes', 'boot', 'hold', 'socket', 'noSocket', 'folder', 'fileSystem', 'host', 'since'];
  const isWhole =
    Number.isSafeInteger(pid) &&
    (pid as number) > 0 &&
    Number.isSafeInteger(thread) &&
    texts.every((name) => typeof owner[name] === 'string') &&
    /^[0-9a-f]{32}$/.test(hold as string) &&
    (socket === '' || LIFE_SOCKET.test(socket as string)) &&
    // These go into a message.
    [host, since].every((word) => /^[\x21-\x7e]{0,255}$/.test(word as string));
  return isWhole ? (owner as unknown as LockOwner) : undefined;
}
