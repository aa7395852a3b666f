import type { Collector as Recorder } from '../collector/collector.ts';
import type { CollectorStats } from '../collector/collector-options.ts';
import { LineproofError, messageOf } from '../core/base/errors.ts';
import { formatUuid } from '../core/formats/identity.ts';
import { buildEvent } from './event-builder.ts';
import type { EventInput } from './event-input.ts';

/** Records provenance events. Ids are UUIDs as text. */
export interface Collector {
  /** Takes an event at once; throws EVENT_INVALID, LIMIT_EXCEEDED, SPOOL_FULL or CLOSED and never anything else. */
  record(event: EventInput): string;
  /** Resolves when the event is on disk. */
  recordDurably(event: EventInput): Promise<string>;
  /** Resolves when all that was recorded is acknowledged by the log. */
  flush(): Promise<void>;
  /** True when everything was acknowledged within `timeoutMs` (default 10,000); the rest stays in the spool. */
  close(timeoutMs?: number): Promise<boolean>;
  readonly stats: CollectorStats;
}

/** The collector of the SDK around a collector that is open already. */
export function friendlyCollector(collector: Recorder): Collector {
  return {
    record: (event) => taking(() => formatUuid(collector.record(buildEvent(event)))),
    recordDurably: async (event) => {
      const built = taking(() => buildEvent(event));
      try {
        return formatUuid(await collector.recordDurably(built));
      } catch (error) {
        throw refusal(error);
      }
    },
    flush: () => collector.flush(),
    close: (timeoutMs) => collector.close(timeoutMs),
    get stats() {
      return collector.stats;
    },
  };
}

function taking<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw refusal(error);
  }
}

/** The error for an event that cannot be taken, wherever it was noticed. */
function refusal(error: unknown): LineproofError {
  if (error instanceof LineproofError && error.code !== 'AVRO_INVALID') return error;
  const fact = messageOf(error);
  return new LineproofError('EVENT_INVALID', `cannot take event: ${fact.replace(/^cannot [a-z ]+: /, '')}`, {}, error);
}
