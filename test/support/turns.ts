import type { Clock } from '../../core/ports/clock.ts';
import { testClock } from './memory.ts';

/** A clock on which each look takes ten milliseconds, as if the work between two looks did. */
export function slowClock(): Clock {
  let nowMs = 0;
  return { ...testClock(), monotonicMs: () => (nowMs += 10) };
}

/** How often other work of the process got its turn during `work`. */
export async function otherTurns(work: () => Promise<unknown>): Promise<number> {
  let turns = 0;
  const count = (): void => {
    turns += 1;
    other = setImmediate(count);
  };
  let other = setImmediate(count);
  await work();
  clearImmediate(other);
  return turns;
}
