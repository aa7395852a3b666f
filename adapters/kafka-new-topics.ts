import { LineproofError, messageOf } from '../core/base/errors.ts';
import type { Clock } from '../core/ports/clock.ts';

const PAUSE_MS = 100;
const KNOWN_MS = 15_000;

/** A broker as kafkajs asks it for metadata; rejects where it does not know a topic, or knows no leader of a partition. */
export interface TellingBroker {
  metadata(topics: readonly string[]): Promise<unknown>;
}

/**
 * Waits until every broker knows topics that have just been made: each learns of them by itself, and says until then that they do not exist. Throws
 * UNAVAILABLE if one does not within 15 s. `find` finds the brokers.
 */
export async function untilBrokersKnow(
  topics: readonly string[],
  find: () => Promise<readonly TellingBroker[]>,
  clock: Pick<Clock, 'sleep' | 'monotonicMs'>,
): Promise<void> {
  for (const begunMs = clock.monotonicMs(); ; ) {
    try {
      for (const broker of await find()) await broker.metadata(topics);
      return;
    } catch (error) {
      if (clock.monotonicMs() - begunMs > KNOWN_MS) {
        const text = `cannot see the new topics on every broker: ${messageOf(error)}; they were made: repeat the command`;
        throw new LineproofError('UNAVAILABLE', text, {}, error);
      }
      await clock.sleep(PAUSE_MS);
    }
  }
}
