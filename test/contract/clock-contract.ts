import { expect } from '@jest/globals';
import type { Clock } from '../../core/ports/clock.ts';
import { contract, type Exceptions } from './contract.ts';

/** Longer than any test may take: a test that sleeps to its end fails. */
const FOR_EVER_MS = 600_000;

/** What every {@link Clock} must do. */
export function clockContract(name: string, clock: Clock, exceptions: Exceptions = {}): void {
  contract(`Clock: ${name}`, exceptions, (clause) => {
    clause('the wall clock gives whole microseconds since 1970', async () => {
      const now = clock.nowMicros();
      expect([Number.isSafeInteger(now), now > 1.57e15, now < 4.1e15]).toEqual([true, true, true]);
    });

    clause('the monotonic clock does not go back', async () => {
      const times = Array.from({ length: 1000 }, () => clock.monotonicMs());
      expect(times).toEqual(times.toSorted((a, b) => a - b));
    });

    clause('a sleep ends, and the monotonic clock saw it', async () => {
      const before = clock.monotonicMs();
      await clock.sleep(20);
      // Timers count in whole milliseconds and may come one early.
      expect(clock.monotonicMs() - before).toBeGreaterThanOrEqual(19);
      await clock.sleep(0);
    });

    clause('a signal ends a sleep at once, before or during it, and never rejects', async () => {
      const stop = new AbortController();
      const sleeps = [clock.sleep(FOR_EVER_MS, stop.signal), clock.sleep(FOR_EVER_MS, stop.signal)];
      stop.abort(new Error('a reason that nobody gets'));
      expect(await Promise.all(sleeps)).toEqual([undefined, undefined]);
      expect(await clock.sleep(FOR_EVER_MS, stop.signal)).toBeUndefined();
    });

    clause('a sleep that ended no longer listens to its signal', async () => {
      const stop = new AbortController();
      let listening = 0;
      const { addEventListener: add, removeEventListener: remove } = stop.signal;
      stop.signal.addEventListener = (...args: Parameters<typeof add>) => {
        listening++;
        add.apply(stop.signal, args);
      };
      stop.signal.removeEventListener = (...args: Parameters<typeof remove>) => {
        listening--;
        remove.apply(stop.signal, args);
      };
      for (let i = 0; i < 5; i++) await clock.sleep(1, stop.signal);
      expect(listening).toBe(0);
    });
  });
}
