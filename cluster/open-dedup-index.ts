import { openRedisDedupIndex } from '../adapters/redis-dedup-index.ts';
import { parseRedisUrl } from '../adapters/redis-url.ts';
import { refusalError } from '../adapters/refusals.ts';
import { plaintextRedis, speaksTls } from '../adapters/transport-probe.ts';
import type { LineproofError } from '../core/base/errors.ts';
import type { DedupIndex } from '../core/ports/dedup-index.ts';
import type { Logger } from '../core/ports/logger.ts';
import type { ClusterSettings } from '../settings/cluster-settings.ts';
import { REQUEST_TIMEOUT_MS, tlsOf } from './connection.ts';

/** Opens the dedup index of an origin, and refuses a server on which the port's promises would not hold. Throws CONFIG_INVALID, REFUSED, INDEX_FORGETS or UNAVAILABLE. */
export async function openDedupIndex(settings: ClusterSettings, origin: string, logger: Logger): Promise<DedupIndex> {
  const { redisUrl: url, redisSentinelPassword: sentinelPassword, redisCa } = settings;
  const redis = { url, sentinelPassword, requestTimeoutMs: REQUEST_TIMEOUT_MS, ...tlsOf(redisCa, 'redisCa') };
  return openRedisDedupIndex(redis, origin, logger);
}

/** What is wrong with the URL of a Redis that cannot be reached: with TLS on one side only, neither side says a word. */
export async function explainDedupIndex({ redisUrl }: ClusterSettings): Promise<LineproofError | undefined> {
  const { tls, places } = parseRedisUrl(redisUrl);
  for (const place of places) {
    const act = `reach Redis at ${place.host}:${place.port}`;
    if (!tls && (await speaksTls(place))) return refusalError(act, 'Redis', 'SPEAKS_TLS');
    if (tls && (await plaintextRedis(place))) return refusalError(act, 'Redis', 'SPEAKS_PLAINTEXT');
  }
  return undefined;
}
