import { openRedisDedupIndex } from '../adapters/redis-dedup-index.ts';
import type { DedupIndex } from '../core/ports/dedup-index.ts';
import type { Logger } from '../core/ports/logger.ts';
import type { ClusterSettings } from '../settings/cluster-settings.ts';
import { REQUEST_TIMEOUT_MS, tlsOf } from './connection.ts';

/** Opens the dedup index of an origin, and refuses a server on which the port's promises would not hold. Throws CONFIG_INVALID or UNAVAILABLE. */
export async function openDedupIndex(settings: ClusterSettings, origin: string, logger: Logger): Promise<DedupIndex> {
  const { redisUrl, redisCa } = settings;
  return openRedisDedupIndex({ url: redisUrl, requestTimeoutMs: REQUEST_TIMEOUT_MS, ...tlsOf(redisCa, 'redisCa') }, origin, logger);
}
