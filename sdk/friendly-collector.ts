import type { Collector as Recorder } from '../collector/collector.ts';
import type { CollectorStats } from '../collector/collector-options.ts';
import { LineproofError, messageOf } from '../core/base/errors.ts';
import { formatUuid } from '../core/formats/identity.ts';
import type { AttestedOptions, AttestedRecord, AttestedRecording } from './attested-recording.ts';
import { buildEvent } from './event-builder.ts';
import type { EventInput } from './event-input.ts';

/** Records provenance events. Ids are UUIDs as text. */
export interface Collector {
  /** Takes an event at once; throws EVENT_INVALID, LIMIT_EXCEEDED, SPOOL_FULL or CLOSED and never anything else. */
  record(event: EventInput): string;
  /** Resolves when the event is on disk. */
  recordDurably(event: EventInput): Promise<string>;
  /**
   * Resolves with a proof when a published note of the log covers the event. Rejects with EVENT_REFUSED and the reason if the log refuses it; with NOT_ATTESTED
   * after `timeoutMs` (default 60,000) or when `signal` aborts: the event is recorded then, and the message says how far it came; with CONFIG_INVALID if the
   * collector was opened without a log or without an archive to read.
   */
  recordAttested(event: EventInput, options?: AttestedOptions): Promise<AttestedRecord>;
  /** Resolves when all that was recorded is acknowledged by the log. */
  flush(): Promise<void>;
  /** True when everything was acknowledged within `timeoutMs` (default 10,000); the rest stays in the spool. */
  close(timeoutMs?: number): Promise<boolean>;
  readonly stats: CollectorStats;
}

/** The collector of the SDK around a collector that is open already. */
export function friendlyCollector(collector: Recorder, attesting?: AttestedRecording): Collector {
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
    recordAttested: async (event, options) => {
      if (attesting === undefined)
        throw new LineproofError(
          'CONFIG_INVALID',
          'cannot record attested: the collector was opened without a log and an archive; see docs/getting-started.md',
        );
      const built = taking(() => buildEvent(event));
      try {
        return await attesting.record(collector, built, options);
      } catch (error) {
        throw refusal(error);
      }
    },
    flush: () => collector.flush(),
    close: async (timeoutMs) => {
      await attesting?.close();
      return collector.close(timeoutMs);
    },
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
