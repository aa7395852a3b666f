import { pinoLogger } from '../adapters/pino-logger.ts';
import { systemClock } from '../adapters/system-clock.ts';
import { LineproofError } from '../core/base/errors.ts';
import { Sources } from '../core/chain/governance-source.ts';
import { openPolicies } from '../core/policy/policy-history.ts';
import { type Log, offsetAfter, TOPICS } from '../core/ports/log.ts';
import type { Logger } from '../core/ports/logger.ts';
import type { SchemaRegistry } from '../core/ports/schema-registry.ts';
import type { ClusterSettings } from '../settings/cluster-settings.ts';
import { pinnedRoot } from './keys.ts';
import { openLog } from './open-log.ts';
import { openRegistry } from './open-registry.ts';

const READ_BYTES = 4 * 1024 * 1024;

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
  const logger = pinoLogger(settings.logLevel);
  const log = openLog(settings, logger);
  const registry = openRegistry(settings);
  const rootKey = pinnedRoot(settings, beside);
  return {
    log,
    registry,
    logger,
    sources: async () => {
      const origin = await originOf(log, rootKey);
      const sources = new Sources({ origin, rootKey, log, registry, clock: systemClock, logger });
      await sources.refreshPolicies();
      return sources;
    },
    close: async () => {
      await registry.close();
      await log.close();
    },
  };
}

/** The origin of the first policy on the control topic that verifies and names the pinned root. Throws POLICY_INVALID. */
async function originOf(log: Log, rootKey: string | undefined): Promise<string> {
  for (let offset = 0; ; ) {
    const records = await log.read(TOPICS.control, 0, offset, { maxBytes: READ_BYTES, waitMs: 0 });
    if (records.length === 0)
      throw new LineproofError(
        'POLICY_INVALID',
        `cannot start: ${TOPICS.control} holds no first policy${rootKey === undefined ? '' : ' of the pinned root key'}; lineproof policy init publishes one`,
      );
    for (const record of records) {
      offset = offsetAfter(record);
      if (record.kind === 'unreadable') continue;
      try {
        const { policy } = openPolicies([record.value]).latest;
        if (rootKey === undefined || policy.roots.keys.includes(rootKey)) return policy.origin;
      } catch {
        // Not a first version: the reader of the policies reports its fault.
      }
    }
  }
}
