import { readFileSync } from 'node:fs';
import { openConfluentSchemaRegistry } from '../adapters/confluent-schema-registry.ts';
import type { KafkaSettings } from '../adapters/kafka-client.ts';
import { openKafkaLog } from '../adapters/kafka-log.ts';
import { checkKafkaTopics, kafkaAdmin, refuseTopics } from '../adapters/kafka-topics.ts';
import { pinoLogger } from '../adapters/pino-logger.ts';
import { openRedisDedupIndex } from '../adapters/redis-dedup-index.ts';
import type { S3Settings } from '../adapters/s3-bucket.ts';
import { systemClock } from '../adapters/system-clock.ts';
import { SCHEMA_TEXTS } from '../core/avro/schema-texts.ts';
import { LineproofError } from '../core/base/errors.ts';
import { EVENT_SUBJECT, Sources } from '../core/chain/governance-source.ts';
import { EVENT_SCHEMA } from '../core/formats/event-schema.ts';
import type { Policy } from '../core/policy/policy-document.ts';
import { openPolicies } from '../core/policy/policy-history.ts';
import type { DedupIndex } from '../core/ports/dedup-index.ts';
import { type Log, TOPICS } from '../core/ports/log.ts';
import type { Logger } from '../core/ports/logger.ts';
import type { SchemaRegistry } from '../core/ports/schema-registry.ts';
import { pinnedRoot } from './keys.ts';
import type { ClusterSettings } from '../settings/cluster-settings.ts';

const REQUEST_TIMEOUT_MS = 10_000;
const READ_BYTES = 4 * 1024 * 1024;

/** Partitions of each topic of an origin. */
export function topicPartitions(shards: number): Readonly<Record<string, number>> {
  return { [TOPICS.events]: shards, [TOPICS.chain]: shards, [TOPICS.rejected]: shards, [TOPICS.control]: 1 };
}

/** The content of a file that a setting names; undefined where it names none. Throws CONFIG_INVALID. */
export function fileOf(path: string, setting: string): string | undefined {
  if (path === '') return undefined;
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new LineproofError(
      'CONFIG_INVALID',
      `cannot use ${setting} ${path}: it cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown reason'})`,
      {},
      error,
    );
  }
}

/** How Kafka is reached. */
export function kafkaSettings(settings: ClusterSettings): KafkaSettings {
  const { kafkaSasl, kafkaUsername, kafkaPassword, kafkaTls } = settings;
  const ca = fileOf(settings.kafkaCa, 'kafkaCa');
  const cert = fileOf(settings.kafkaCert, 'kafkaCert');
  const key = fileOf(settings.kafkaKey, 'kafkaKey');
  const given = { ...(ca === undefined ? {} : { ca }), ...(cert === undefined ? {} : { cert }), ...(key === undefined ? {} : { key }) };
  return {
    brokers: settings.kafkaBrokers,
    clientId: `lineproof-${settings.name}`,
    topicPrefix: settings.kafkaTopicPrefix,
    tls: kafkaTls === 'on' ? given : false,
    requestTimeoutMs: REQUEST_TIMEOUT_MS,
    ...(kafkaSasl === 'none' ? {} : { sasl: { mechanism: kafkaSasl, username: kafkaUsername, password: kafkaPassword } }),
  };
}

/** What every service and tool reads: the log with its policies, and the registry. */
export interface ClusterReaders {
  readonly log: Log;
  readonly registry: SchemaRegistry;
  readonly logger: Logger;
  /** Policies and schemas of the origin that the control topic names, read now. Throws POLICY_INVALID where there is none. */
  sources(): Promise<Sources>;
  close(): Promise<void>;
}

/** Opens log and registry. Connects at the first use. */
export async function openClusterReaders(settings: ClusterSettings): Promise<ClusterReaders> {
  const logger = pinoLogger(settings.logLevel);
  const log = openKafkaLog(kafkaSettings(settings), logger);
  const registry = openRegistry(settings);
  const rootKey = pinnedRoot(settings);
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

function openRegistry(settings: ClusterSettings): SchemaRegistry {
  const { registryUrl, registryUsername, registryPassword } = settings;
  return openConfluentSchemaRegistry({
    url: registryUrl,
    requestTimeoutMs: REQUEST_TIMEOUT_MS,
    ...(registryUsername === '' ? {} : { auth: { username: registryUsername, password: registryPassword } }),
    ...tlsOf(settings.registryCa, 'registryCa'),
  });
}

/** The `tls` of an adapter's settings, where a setting names a file of authorities. */
function tlsOf(path: string, setting: string): { readonly tls?: { readonly ca: string } } {
  const ca = fileOf(path, setting);
  return ca === undefined ? {} : { tls: { ca } };
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
      offset = record.offset + 1;
      try {
        const { policy } = openPolicies([record.value]).latest;
        if (rootKey === undefined || policy.roots.keys.includes(rootKey)) return policy.origin;
      } catch {
        // Not a first version: whoever is asked for the policies says what is wrong with it.
      }
    }
  }
}

/** Registers the schemas that messages and events carry. */
export async function registerSchemas(registry: SchemaRegistry): Promise<void> {
  await registry.register('lineproof.v1.SignedBatch', SCHEMA_TEXTS.SignedBatch);
  await registry.register('lineproof.v1.Block', SCHEMA_TEXTS.Block);
  await registry.register(EVENT_SUBJECT, EVENT_SCHEMA.text);
}

/** What `ask` asks of the registry at the start. Throws CONFIG_INVALID where something answers that is no registry: waiting would not help. */
export async function refusingRegistry<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof LineproofError) || error.details['answered'] !== true) throw error;
    throw new LineproofError(
      'CONFIG_INVALID',
      `${error.message}; set registryUrl to the place of the API as Confluent has it, with its path`,
      {},
      error.cause,
    );
  }
}

/** Refuses topics on which the chainer's protocol would not hold. Throws CONFIG_INVALID. */
export async function checkTopics(settings: ClusterSettings, shards: number, logger: Logger): Promise<void> {
  refuseTopics(await checkKafkaTopics(kafkaAdmin(kafkaSettings(settings), logger), topicPartitions(shards)), logger);
}

/** Opens the dedup index of an origin, and refuses a server on which it would not hold. Throws CONFIG_INVALID or UNAVAILABLE. */
export async function openDedupIndex(settings: ClusterSettings, origin: string, logger: Logger): Promise<DedupIndex> {
  const { redisUrl, redisCa } = settings;
  return openRedisDedupIndex({ url: redisUrl, requestTimeoutMs: REQUEST_TIMEOUT_MS, ...tlsOf(redisCa, 'redisCa') }, origin, logger);
}

/** How the archive's bucket is reached; `lock` is the policy's. */
export function s3Settings(settings: ClusterSettings, lock: Policy['objectLock'] = null): S3Settings {
  const { s3Bucket, s3Prefix, s3Endpoint, s3Region, s3PathStyle, s3Ca } = settings;
  return {
    bucket: s3Bucket,
    prefix: s3Prefix,
    region: s3Region,
    forcePathStyle: s3PathStyle === 'on',
    requestTimeoutMs: REQUEST_TIMEOUT_MS,
    ...(s3Endpoint === '' ? {} : { endpoint: s3Endpoint }),
    ...tlsOf(s3Ca, 's3Ca'),
    ...(lock === null ? {} : { objectLock: { mode: lock.mode as 'GOVERNANCE' | 'COMPLIANCE', days: lock.days } }),
  };
}
