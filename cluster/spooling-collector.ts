import { join } from 'node:path';
import { openDataFolder } from '../adapters/data-folder.ts';
import { prometheusMetrics } from '../adapters/prometheus-metrics.ts';
import { systemClock } from '../adapters/system-clock.ts';
import { type Collector, openCollector } from '../collector/collector.ts';
import { EVENT_SCHEMA } from '../core/formats/event-schema.ts';
import type { Policy } from '../core/policy/policy-document.ts';
import type { Signer } from '../core/ports/signer.ts';
import type { ClusterSettings } from '../settings/cluster-settings.ts';
import { privateFolder } from './keys.ts';
import type { ClusterReaders } from './readers.ts';

/** How long a command waits at its end for the log to take its events. */
export const DRAIN_MS = 60_000;

export interface ClusterCollectorOptions {
  readonly settings: ClusterSettings;
  readonly cluster: ClusterReaders;
  readonly policy: Policy;
  readonly signer: Signer;
  /** Name of the command, after which its spool and the lock on it are named. */
  readonly name: string;
}

/** A collector whose spool belongs to one command of this data folder. */
export interface ClusterCollector {
  readonly collector: Collector;
  readonly folder: string;
  /** Releases the lock on the spool; called after the collector was closed. */
  release(): Promise<void>;
}

/** Opens the collector of a command that sends to Kafka. Throws DATA_IN_USE while the same command runs on this data folder. */
export async function openClusterCollector(options: ClusterCollectorOptions): Promise<ClusterCollector> {
  const { settings, cluster, policy, signer, name } = options;
  const folder = join(privateFolder(settings.data), 'spool', name);
  const lock = await openDataFolder(join(settings.data, 'spool'), `${name}.lock`);
  try {
    const collector = await openCollector({
      origin: policy.origin,
      shards: policy.shards,
      signer,
      eventSchema: EVENT_SCHEMA,
      registry: cluster.registry,
      log: cluster.log,
      clock: systemClock,
      logger: cluster.logger,
      metrics: prometheusMetrics(),
      spool: { folder },
      lingerMs: settings.lingerMs,
    });
    return { collector, folder, release: () => lock.close() };
  } catch (error) {
    await lock.close();
    throw error;
  }
}
