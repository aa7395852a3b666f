import { systemClock } from '../adapters/system-clock.ts';
import { type CollectorStats, openCollector, type Collector as Recorder, type SpoolSettings } from '../collector/collector.ts';
import { hasCode, LineproofError } from '../core/errors.ts';
import type { EventType } from '../core/event.ts';
import { EVENT_SCHEMA } from '../core/event-schema.ts';
import { formatUuid } from '../core/identity.ts';
import { keySigner, parsePrivateKey } from '../core/key.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Log } from '../core/ports/log.ts';
import type { Logger } from '../core/ports/logger.ts';
import type { Metrics } from '../core/ports/metrics.ts';
import type { SchemaRegistry } from '../core/ports/schema-registry.ts';
import type { Signer } from '../core/ports/signer.ts';
import { buildEvent, type EventInput } from './event-builder.ts';

export type { CollectorStats, SpoolSettings } from '../collector/collector.ts';
export type { ErrorCode } from '../core/errors.ts';
export type { EventType, Importance } from '../core/event.ts';
export type { DataInput, EventInput, ParentInput } from './event-builder.ts';
export type { Clock, Log, Logger, Metrics, SchemaRegistry, Signer };
export { hasCode, keySigner, LineproofError, parsePrivateKey };

export interface CreateCollectorOptions {
  readonly origin: string;
  /** As the policy has it. */
  readonly shards: number;
  readonly signer: Signer;
  readonly log: Log | null;
  readonly registry: SchemaRegistry;
  readonly spool: SpoolSettings;
  readonly clock?: Clock;
  readonly logger?: Logger;
  readonly metrics?: Metrics;
  readonly lingerMs?: number;
  readonly heartbeatMs?: number;
}

/** What an event of a kind needs, its type aside. */
export type TypedInput = Omit<EventInput, 'type'>;

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

const silent: Logger = { debug: nothing, info: nothing, warn: nothing, error: nothing, child: () => silent };
const unmeasured: Metrics = { add: nothing, set: nothing, observe: nothing, forget: nothing };

/** Opens a collector on a log; one process for each spool folder. Throws DATA_IN_USE, DISK_FULL, IO_FAILED, CONFIG_INVALID. */
export async function createCollector(options: CreateCollectorOptions): Promise<Collector> {
  const defaults = { eventSchema: EVENT_SCHEMA, clock: systemClock, logger: silent, metrics: unmeasured };
  return friendlyCollector(await openCollector({ ...defaults, ...options }));
}

/** The friendly face of a collector that is open already. */
export function friendlyCollector(collector: Recorder): Collector {
  return {
    record: (event) => formatUuid(collector.record(buildEvent(event))),
    recordDurably: async (event) => formatUuid(await collector.recordDurably(buildEvent(event))),
    flush: () => collector.flush(),
    close: (timeoutMs) => collector.close(timeoutMs),
    get stats() {
      return collector.stats;
    },
  };
}

const typed =
  (type: EventType) =>
  (event: TypedInput): EventInput => ({ ...event, type });

export const created = typed('CREATE');
export const transformed = typed('TRANSFORM');
export const aggregated = typed('AGGREGATE');
export const transmitted = typed('TRANSMIT');
export const received = typed('RECEIVE');
export const accessed = typed('ACCESS');
export const deleted = typed('DELETE');
export const deployed = typed('DEPLOY');
export const attested = typed('ATTEST');

function nothing(): void {}
