import { limitedLogger } from '../adapters/limited-logger.ts';
import { pinoLogger } from '../adapters/pino-logger.ts';
import { systemClock } from '../adapters/system-clock.ts';
import { originOf } from '../core/chain/governance-origin.ts';
import { Sources } from '../core/chain/governance-source.ts';
import type { Log } from '../core/ports/log.ts';
import type { Logger } from '../core/ports/logger.ts';
import type { SchemaRegistry } from '../core/ports/schema-registry.ts';
import type { ClusterSettings } from '../settings/cluster-settings.ts';
import { pinnedRoot } from './keys.ts';
import { openLog } from './open-log.ts';
import { openRegistry } from './open-registry.ts';

/** The sources that every service and tool reads: the log with its policies, and the registry. */
export interface ClusterReaders {
  readonly log: Log;
  readonly registry: SchemaRegistry;
  readonly logger: Logger;
  /** Policies and schemas of the origin that the control topic names, read now. Throws POLICY_INVALID if there is none. */
  sources(): Promise<Sources>;
  close(): Promise<void>;
}

/** Opens log and registry. Connects at the first use. `beside`: whether a root key is taken from the keys folder. */
export async function openClusterReaders(settings: ClusterSettings, beside = true): Promise<ClusterReaders> {
  const logger = limitedLogger(pinoLogger(settings.logLevel));
  const log = openLog(settings, logger);
  const registry = openRegistry(settings);
  const rootKey = pinnedRoot(settings, beside);
  return {
    log,
    registry,
    logger,
    sources: async () => {
      const origin = await originOf(log, rootKey, 'lineproof policy init publishes one');
      const sources = new Sources({ origin, rootKey, log, registry, clock: systemClock, logger });
      await sources.refreshPolicies();
      return sources;
    },
    close: async () => {
      await registry.close();
      await log.close();
      logger.flush();
    },
  };
}
