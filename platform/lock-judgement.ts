import { askLifeSocket } from './life-socket.ts';
import { isOfOneKernel, type LockOwner, type LockPlace, parseOwner } from './lock-owner.ts';
import { fateOf, thisProcess } from './process-evidence.ts';

/** Knowledge about the owner of a lock. Only 'dead' is proven; a lock whose owner is in any other state is not taken over. */
export type LockState =
  | { readonly state: 'dead' }
  | { readonly state: 'alive'; readonly owner: LockOwner }
  | { readonly state: 'unknown'; readonly owner: LockOwner | undefined; readonly why: string };

const DEAD: LockState = { state: 'dead' };

/** Holds of this thread, whichever copy of this module took them. */
const HOLDS = Symbol.for('lineproof.locks.held');
const shared = globalThis as { [HOLDS]?: Set<string> };
shared[HOLDS] ??= new Set();
/** The holds of this thread. A folder restored from a copy may bring back a lock that this thread has released since, so a lock that is not in this set is not held. */
export const holdsOfThisThread: Set<string> = shared[HOLDS];

/** Judges the lock whose file in `folder` holds `text`. */
export async function judgeLock(text: string, folder: string, place: LockPlace): Promise<LockState> {
  // A lock is linked into place when it is complete, but a power cut can leave a name without its content.
  if (/^\0*$/.test(text)) return DEAD;
  const owner = parseOwner(text);
  if (owner === undefined) return { state: 'unknown', owner, why: 'its lock file is not one that this version writes' };
  // Unless owner and judge have the same kernel, a refused connection and the id of the boot prove nothing about the owner.
  const ofOneKernel = isOfOneKernel(owner) && isOfOneKernel(place);
  const here = thisProcess();
  const sameKernel = ofOneKernel || (owner.boot !== '' && owner.boot === here.boot && owner.folder === place.folder);
  const answer = owner.socket === '' ? { errno: owner.noSocket } : await askLifeSocket(folder, owner.socket);
  if (answer === 'listens') return { state: 'alive', owner };
  if (answer === 'refused' && sameKernel) return DEAD;
  if (ofOneKernel && owner.folder !== place.folder) return DEAD;
  if (ofOneKernel && owner.boot !== '' && here.boot !== '' && owner.boot !== here.boot) return DEAD;
  const fate = fateOfOwner(owner);
  if (fate === 'dead') return DEAD;
  if (fate === 'alive') return { state: 'alive', owner };
  const why =
    answer === 'refused'
      ? 'other machines may share its file system'
      : `its socket does not answer (${answer.errno}) and its process cannot be seen from here`;
  return { state: 'unknown', owner, why };
}

function fateOfOwner(owner: LockOwner): 'alive' | 'dead' | 'unknown' {
  const fate = fateOf(owner);
  const isThisThread = fate === 'alive' && owner.pid === process.pid && owner.thread === thisProcess().thread;
  return isThisThread && !holdsOfThisThread.has(owner.hold) ? 'dead' : fate;
}
