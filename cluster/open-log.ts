import type { KafkaSettings } from '../adapters/kafka-client.ts';
import { openKafkaLog } from '../adapters/kafka-log.ts';
import { kafkaMismatch } from '../adapters/kafka-mismatch.ts';
import { openKafkaShardGroup } from '../adapters/kafka-shard-group.ts';
import { checkKafkaTopics, kafkaAdmin, refuseTopics } from '../adapters/kafka-topics.ts';
import { checkPem } from '../adapters/pem.ts';
import { LineproofError } from '../core/base/errors.ts';
import { type Log, TOPICS } from '../core/ports/log.ts';
import type { Logger } from '../core/ports/logger.ts';
import type { ShardGroup } from '../core/ports/shard-group.ts';
import type { ClusterSettings } from '../settings/cluster-settings.ts';
import { fileOf, REQUEST_TIMEOUT_MS } from './connection.ts';

/** Partitions of each topic of an origin. */
export function topicPartitions(shards: number): Readonly<Record<string, number>> {
  return { [TOPICS.events]: shards, [TOPICS.chain]: shards, [TOPICS.rejected]: shards, [TOPICS.control]: 1 };
}

const PEM_SETTINGS = { ca: 'kafkaCa', cert: 'kafkaCert', key: 'kafkaKey' } as const;

/** The adapter's settings for Kafka. Throws CONFIG_INVALID for files of certificates and keys that cannot be used. */
export function kafkaSettings(settings: ClusterSettings): KafkaSettings {
  const { kafkaSasl, kafkaUsername, kafkaPassword, kafkaTls } = settings;
  const ca = fileOf(settings.kafkaCa, 'kafkaCa');
  const cert = fileOf(settings.kafkaCert, 'kafkaCert');
  const key = fileOf(settings.kafkaKey, 'kafkaKey');
  const isGiven = [settings.kafkaCa, settings.kafkaCert, settings.kafkaKey].some((path) => path !== '');
  if (isGiven && kafkaTls === 'off')
    throw new LineproofError('CONFIG_INVALID', 'cannot use kafkaCa, kafkaCert or kafkaKey: kafkaTls is off; set it to on');
  checkPem({ ca, cert, key }, (part) => PEM_SETTINGS[part]);
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

/** Opens the log of the cluster. It connects at the first use. */
export function openLog(settings: ClusterSettings, logger: Logger): Log {
  return openKafkaLog(kafkaSettings(settings), logger);
}

/** What is wrong with the settings of a log that cannot be reached, as far as its brokers show it: {@link kafkaMismatch}. */
export function explainLog(settings: ClusterSettings): Promise<LineproofError | undefined> {
  return kafkaMismatch(kafkaSettings(settings));
}

/** A group in which processes share the shards of a topic. */
export interface NamedGroup {
  readonly group: ShardGroup;
  /** Its id on Kafka. */
  readonly groupId: string;
  /** Name of its topic on Kafka. */
  readonly topicName: string;
}

/** Opens this process's membership in the group that shares the shards of `topic`. */
export function openShardGroup(
  settings: ClusterSettings,
  { name, topic, shards, logger }: { readonly name: string; readonly topic: string; readonly shards: number; readonly logger: Logger },
): NamedGroup {
  const groupId = `${settings.kafkaTopicPrefix}${name}`;
  const shared = { kafka: kafkaSettings(settings), groupId, shards, name: settings.name, logger };
  const topicName = `${settings.kafkaTopicPrefix}${topic}`;
  return { groupId, topicName, group: openKafkaShardGroup({ ...shared, topic: topicName }) };
}

/** Refuses topics on which the chainer's protocol would not hold. Throws CONFIG_INVALID. */
export async function checkTopics(settings: ClusterSettings, shards: number, logger: Logger): Promise<void> {
  refuseTopics(await checkKafkaTopics(kafkaAdmin(kafkaSettings(settings), logger), topicPartitions(shards)), logger);
}
