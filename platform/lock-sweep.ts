import { readdirSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { askLifeSocket, LIFE_SOCKET, LIFE_SOCKET_DRAFT } from './life-socket.ts';
import { readLock } from './lock-file.ts';
import { judgeLock } from './lock-judgement.ts';
import { isOfOneKernel, type LockPlace, parseOwner } from './lock-owner.ts';

const DRAFT = /^lock-[0-9a-f]{16}\.draft$/;
const LOCK = /lock$|\.heir$/;

/**
 * Removes what dead owners left in the folder of a lock; for its owner. A living starter whose unfinished socket or draft is swept notices it and
 * starts again.
 */
export async function sweepLock(file: string, place: LockPlace): Promise<void> {
  const folder = dirname(file);
  const remove = (name: string): void => rmSync(join(folder, name), { force: true });
  for (const name of readdirSync(folder)) {
    // Nobody reads an heir's file while its dead owner's lock is not there, and it never comes back.
    if (name.startsWith(`${basename(file)}.`) && name.endsWith('.heir')) remove(name);
    else if (DRAFT.test(name) && (await isDeadDraft(folder, name, place))) remove(name);
    else if ((LIFE_SOCKET.test(name) || LIFE_SOCKET_DRAFT.test(name)) && (await isUseless(folder, name, place))) remove(name);
  }
}

async function isDeadDraft(folder: string, name: string, place: LockPlace): Promise<boolean> {
  const text = readLock(join(folder, name));
  return text !== undefined && (await judgeLock(text, folder, place)).state === 'dead';
}

/** The owner of the socket is dead, and it proves no lock dead: whoever has died links no lock that names it any more. */
async function isUseless(folder: string, name: string, place: LockPlace): Promise<boolean> {
  if (!isOfOneKernel(place) || (await askLifeSocket(folder, name)) !== 'refused') return false;
  return !readdirSync(folder).some((each) => LOCK.test(each) && socketIn(join(folder, each)) === name);
}

/** What is not a lock at all names no socket. */
function socketIn(file: string): string | undefined {
  try {
    return parseOwner(readLock(file) ?? '')?.socket;
  } catch {
    return undefined;
  }
}
