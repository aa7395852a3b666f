import { readKeyFile } from '../adapters/key-files.ts';
import { systemClock } from '../adapters/system-clock.ts';
import { openCollector } from '../collector/collector.ts';
import type { SpoolSettings } from '../collector/collector-options.ts';
import { hasCode, LineproofError } from '../core/base/errors.ts';
import type { EventType } from '../core/formats/event.ts';
import { EVENT_SCHEMA } from '../core/formats/event-schema.ts';
import { keySigner, parsePrivateKey, parseVerifierKey } from '../core/keys/key.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Log } from '../core/ports/log.ts';
import type { Logger } from '../core/ports/logger.ts';
import type { Metrics } from '../core/ports/metrics.ts';
import type { SchemaRegistry } from '../core/ports/schema-registry.ts';
import type { Signer } from '../core/ports/signer.ts';
import type { ObjectReader } from '../prover/attested/noted-archive.ts';
import { AttestedRecording } from './attested-recording.ts';
import type { EventInput, TypedInput } from './event-input.ts';
import { type Collector, friendlyCollector } from './friendly-collector.ts';
import { webArchive } from './web-archive.ts';

export type { CollectorStats, SpoolSettings } from '../collector/collector-options.ts';
export type { ErrorCode } from '../core/base/errors.ts';
export type { EventType, Importance } from '../core/formats/event.ts';
export type { AttestedOptions, AttestedRecord } from './attested-recording.ts';
export type { DataInput, EventInput, ParentInput, TimeInput, TypedInput } from './event-input.ts';
export type { Collector } from './friendly-collector.ts';
export type { Clock, Log, Logger, Metrics, ObjectReader, SchemaRegistry, Signer };
export { hasCode, keySigner, LineproofError, parsePrivateKey, readKeyFile, webArchive };

/** Options of {@link createCollector}. */
export interface CreateCollectorOptions {
  /** The origin: the name of the system of logs, as its policy has it. */
  readonly origin: string;
  /** The number of shards, as the policy has it. */
  readonly shards: number;
  /** The producer's key: {@link readKeyFile}, or a key that never leaves its device. */
  readonly signer: Signer;
  /** Null: the collector only spools, and the process that opens the folder later sends the events in it. */
  readonly log: Log | null;
  /** Needed if there is a log. */
  readonly registry?: SchemaRegistry;
  readonly spool: SpoolSettings;
  /** Where the archive's objects are read, for `recordAttested`: {@link webArchive}, or a function of yours. It needs a log that may be read, too. */
  readonly archive?: ObjectReader;
  /** Verifier keys (root or log keys) by which each proof of `recordAttested` must be OK; without them it must only hold together. */
  readonly trustedKeys?: readonly string[];
  readonly clock?: Clock;
  readonly logger?: Logger;
  readonly metrics?: Metrics;
  readonly lingerMs?: number;
  readonly heartbeatMs?: number;
}

const silent: Logger = { debug: nothing, info: nothing, warn: nothing, error: nothing, child: () => silent };
const noRegistry: SchemaRegistry = {
  register: () => Promise.reject(new LineproofError('CONFIG_INVALID', 'cannot register schema: the collector has no registry')),
  get: async () => undefined,
  list: async () => [],
  close: async () => undefined,
};
const unmeasured: Metrics = { add: nothing, set: nothing, observe: nothing, forget: nothing };

/** Opens a collector on a log; one process for each spool folder. Throws DATA_IN_USE, DISK_FULL, IO_FAILED, CONFIG_INVALID. */
export async function createCollector(options: CreateCollectorOptions): Promise<Collector> {
  checkGiven(options);
  const { archive, trustedKeys = [], ...others } = options;
  const given = Object.fromEntries(Object.entries(others).filter(([, value]) => value !== undefined)) as unknown as CreateCollectorOptions;
  const keys = trustedKeys.map(parseVerifierKey);
  const defaults = { eventSchema: EVENT_SCHEMA, clock: systemClock, logger: silent, metrics: unmeasured, registry: noRegistry };
  const collector = await openCollector({ ...defaults, ...given });
  const { log, shards, signer, clock = systemClock } = options;
  const attesting =
    log === null || archive === undefined ? undefined : new AttestedRecording({ log, archive, clock, keys, shards, signer });
  return friendlyCollector(collector, attesting);
}

/** For callers without types: names all missing options at once. */
function checkGiven(options: Partial<CreateCollectorOptions> | undefined): void {
  const { origin, shards, signer, log, registry, spool } = options ?? {};
  const needed = { origin, shards, signer, log, spool, ...(log === null ? {} : { registry }) };
  const missing = Object.entries(needed).flatMap(([name, value]) => (value === undefined ? [name] : []));
  if (missing.length > 0)
    throw new LineproofError(
      'CONFIG_INVALID',
      `cannot open collector: its options lack ${missing.join(', ')}; docs/getting-started.md has an example`,
    );
}

const typed =
  (type: EventType) =>
  (event: TypedInput): EventInput => {
    // Callers without types can give both.
    const given = (event as { readonly type?: unknown } | undefined)?.type;
    if (given !== undefined && given !== type)
      throw new LineproofError('EVENT_INVALID', `cannot take event: type is given to a function that makes events of type ${type}`, {
        field: 'type',
      });
    return { ...event, type };
  };

/** Data came into being. */
export const created = typed('CREATE');
/** Data was made from other data. */
export const transformed = typed('TRANSFORM');
/** Data was made by combining other data. */
export const aggregated = typed('AGGREGATE');
/** Data was sent somewhere else. */
export const transmitted = typed('TRANSMIT');
/** Data arrived from somewhere else. */
export const received = typed('RECEIVE');
/** Data was read. */
export const accessed = typed('ACCESS');
/** Data was deleted. */
export const deleted = typed('DELETE');
/** Software was put into operation. */
export const deployed = typed('DEPLOY');
/** Somebody states something about data. */
export const attested = typed('ATTEST');

function nothing(): void {}
