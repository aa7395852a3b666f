import { openRedisDedupIndex, parseRedisUrl } from '../adapters/redis-dedup-index.ts';
import { refusalError } from '../adapters/refusals.ts';
import { plaintextRedis, speaksTls } from '../adapters/transport-probe.ts';
import type { LineproofError } from '../core/base/errors.ts';
import type { DedupIndex } from '../core/ports/dedup-index.ts';
import type { Logger } from '../core/ports/logger.ts';
import type { ClusterSettings } from '../settings/cluster-settings.ts';
import { REQUEST_TIMEOUT_MS, tlsOf } from './connection.ts';

/** Opens the dedup index of an origin, and refuses a server on which the port's promises would not hold. Throws CONFIG_INVALID, REFUSED, INDEX_FORGETS or UNAVAILABLE. */
export async function openDedupIndex(settings: ClusterSettings, origin: string, logger: Logger): Promise<DedupIndex> {
  const { redisUrl, redisCa } = settings;
  return openRedisDedupIndex({ url: redisUrl, requestTimeoutMs: REQUEST_TIMEOUT_MS, ...tlsOf(redisCa, 'redisCa') }, origin, logger);
}

/** What is wrong with the URL of a Redis that cannot be reached: with TLS on one side only, neither side says a word. */
export async function explainDedupIndex({ redisUrl }: ClusterSettings): Promise<LineproofError | undefined> {
  const { protocol, host, port } = parseRedisUrl(redisUrl);
  const place = { host, port };
  const act = `reach Redis at ${host}:${port}`;
  if (protocol === 'redis:') return (await speaksTls(place)) ? refusalError(act, 'Redis', 'SPEAKS_TLS') : undefined;
  return (await plaintextRedis(place)) ? refusalError(act, 'Redis', 'SPEAKS_PLAINTEXT') : undefined;
}
