import { rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { openFolderSchemaRegistry } from '../adapters/folder-schema-registry.ts';
import { systemClock } from '../adapters/system-clock.ts';
import { type Collector, openCollector } from '../collector/collector.ts';
import type { CollectorOptions } from '../collector/collector-options.ts';
import { listSpools } from '../collector/file-spool.ts';
import { spoolHolder } from '../collector/spool-lock.ts';
import { messageOf } from '../core/base/errors.ts';
import { LOG } from '../core/base/log-lines.ts';
import { EVENT_SCHEMA } from '../core/formats/event-schema.ts';
import type { Logger } from '../core/ports/logger.ts';
import type { Metrics } from '../core/ports/metrics.ts';
import { errnoOf } from '../platform/errno.ts';
import type { Settings } from '../settings/embedded-settings.ts';
import { mustBeOrigin, type OpenSettings, shardsInForce } from './fixed-settings.ts';
import { type EmbeddedKeys, readEmbeddedKeys } from './keys.ts';
import { EmbeddedPipeline } from './pipeline.ts';

/** Folder of the spools. The process that works on the data folder takes up each of them. */
const SPOOLS = 'spool';
const ADOPT_MS = 1_000;

/** The parts of a system. */
interface SystemParts {
  readonly pipeline: EmbeddedPipeline;
  readonly collector: Collector;
  /** Opens a collector on a spool. */
  readonly collect: (spool: string) => Promise<Collector>;
  /** The folder that holds all spools. */
  readonly spools: string;
  readonly logger: Logger;
}

/** A pipeline and a collector on the same folder, for a process that records and archives by itself. */
export class EmbeddedSystem {
  readonly pipeline: EmbeddedPipeline;
  readonly collector: Collector;
  readonly #collect: (spool: string) => Promise<Collector>;
  readonly #spools: string;
  readonly #logger: Logger;
  readonly #stop = new AbortController();
  readonly #adopting: Promise<void>;

  private constructor({ pipeline, collector, collect, spools, logger }: SystemParts) {
    this.pipeline = pipeline;
    this.collector = collector;
    this.#collect = collect;
    this.#spools = spools;
    this.#logger = logger;
    this.#adopting = this.#adopt();
  }

  /** Opens pipeline and collector on the data folder of `settings`. */
  static async open(settings: OpenSettings, logger: Logger, metrics: Metrics): Promise<EmbeddedSystem> {
    const pipeline = await EmbeddedPipeline.open(settings, logger, metrics);
    try {
      const { keys, stores } = pipeline;
      const spools = join(settings.data, SPOOLS);
      const collect = (folder: string): Promise<Collector> =>
        openCollector({
          ...collectorOptions({ ...settings, shards: pipeline.shards }, keys, logger, metrics),
          registry: stores.registry,
          log: stores.log,
          spool: { folder, maxBytes: settings.spoolMaxBytes, whenFull: settings.spoolWhenFull },
        });
      return new EmbeddedSystem({ pipeline, collector: await collect(join(spools, 'own')), collect, spools, logger });
    } catch (error) {
      await pipeline.close();
      throw error;
    }
  }

  /** Resolves when every spool beside this system's own was taken up once. */
  async adoptSpools(): Promise<void> {
    for (const folder of listSpools(this.#spools)) {
      try {
        const holder = await spoolHolder(folder);
        if (holder?.lives === true) continue;
        if (holder !== undefined) throw holder.error;
        const adopted = await this.#collect(folder);
        if (await adopted.close()) removeIfEmpty(folder);
      } catch (error) {
        this.#logger.warn(LOG.spoolNotAdopted, {
          folder,
          reason: messageOf(error),
        });
      }
    }
  }

  async #adopt(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      await this.adoptSpools();
      await systemClock.sleep(ADOPT_MS, this.#stop.signal);
    }
  }

  /** Sends everything with the statement that nothing follows, then waits until all of it is in closed segments. */
  async finish(signal: AbortSignal): Promise<void> {
    await this.#endAdopting();
    await this.adoptSpools();
    // Closing waits for a limited time: on a slow disk it would leave the rest in the spool.
    if (!signal.aborted) await Promise.race([this.collector.flush(), aborted(signal)]);
    await this.collector.close();
    await this.pipeline.idle(signal);
  }

  async #endAdopting(): Promise<void> {
    this.#stop.abort();
    await this.#adopting;
  }

  /** Closes the collector first: events that it could not send stay in its spool. */
  async close(): Promise<void> {
    await this.#endAdopting();
    await this.collector.close();
    await this.pipeline.close();
  }
}

/** A spool that was sent leaves no files; files in the folder now belong to another process that opened it since. */
function removeIfEmpty(folder: string): void {
  try {
    rmdirSync(folder);
  } catch (error) {
    if (!['ENOTEMPTY', 'EEXIST', 'ENOENT'].includes(errnoOf(error) ?? '')) throw error;
  }
}

function collectorOptions(
  settings: Settings,
  keys: EmbeddedKeys,
  logger: Logger,
  metrics: Metrics,
): Pick<CollectorOptions, 'origin' | 'shards' | 'signer' | 'eventSchema' | 'clock' | 'logger' | 'metrics' | 'lingerMs' | 'heartbeatMs'> {
  const { lingerMs, heartbeatMs, shards } = settings;
  return {
    origin: keys.origin,
    shards,
    signer: keys.collector,
    eventSchema: EVENT_SCHEMA,
    clock: systemClock,
    logger: logger.child({ part: 'collector' }),
    metrics,
    lingerMs,
    heartbeatMs,
  };
}

/** Opens a separate spool beside a system that another process runs: that process takes it over. Throws KEY_UNREADABLE if there are no keys yet. */
export async function openSpoolOnly(settings: OpenSettings, name: string, logger: Logger, metrics: Metrics): Promise<Collector> {
  const shards = shardsInForce(settings);
  const keys = await readEmbeddedKeys(join(settings.data, 'keys'), shards);
  mustBeOrigin(settings, keys.origin);
  const registry = await openFolderSchemaRegistry(join(settings.data, 'registry'));
  return openCollector({
    ...collectorOptions({ ...settings, shards }, keys, logger, metrics),
    registry,
    log: null,
    spool: { folder: join(settings.data, SPOOLS, name), maxBytes: settings.spoolMaxBytes, whenFull: settings.spoolWhenFull },
  });
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
