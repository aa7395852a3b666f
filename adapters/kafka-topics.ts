import type { Admin, ConfigResourceTypes, Kafka } from 'kafkajs';
import { LineproofError } from '../core/base/errors.ts';
import type { Logger } from '../core/ports/logger.ts';
import { closeCluster, type KafkaSettings, kafkaClient, kafkaCluster, kafkaError } from './kafka-client.ts';
import { type TellingBroker, untilBrokersKnow } from './kafka-new-topics.ts';
import { REFUSALS } from './refusals.ts';
import { systemClock } from './system-clock.ts';

/** More than the largest record of any topic: a record of `provenance.rejected` has up to 1 MiB of a refused message, and a description. */
const MESSAGE_BYTES = 2_097_152;
/** `ConfigResourceTypes.TOPIC` of kafkajs, which ES modules cannot import by name. */
const TOPIC_RESOURCE: ConfigResourceTypes.TOPIC = 2;
/** Copies of each record, if the cluster has that many brokers. */
const REPLICAS = 3;

/** Settings that a topic must have for the chainer's protocol (docs/sequencer.md), and why. */
const REQUIRED: Readonly<Record<string, { readonly value: string; readonly reason: string }>> = {
  'cleanup.policy': { value: 'delete', reason: 'compaction removes evidence' },
  'retention.ms': { value: '-1', reason: 'only the archiver may trim' },
  'retention.bytes': { value: '-1', reason: 'only the archiver may trim' },
  'message.timestamp.type': {
    value: 'LogAppendTime',
    reason: "the dedup window runs on the log's clock, and a producer's clock must not get a message refused",
  },
  'unclean.leader.election.enable': { value: 'false', reason: 'it loses acknowledged records' },
};

/** Kafka's own default: batches stay as their producers packed them. */
const COMPRESSION = 'producer';
/** Settings of `compression.type` under which every reader can read, but that do no good. */
const HARMLESS_COMPRESSION: readonly (string | undefined)[] = ['uncompressed', 'gzip'];

/** A fact that makes a topic unusable, or that an operator should know. */
export interface TopicFinding {
  readonly topic: string;
  readonly severity: 'refuse' | 'warn';
  readonly about: 'absence' | 'partitions' | 'configuration' | 'replication';
  readonly text: string;
}

/** A client of a cluster, and the prefix of our topics' names there. */
export interface KafkaAdmin {
  readonly kafka: Kafka;
  readonly prefix: string;
}

/** The client for {@link createKafkaTopics} and {@link checkKafkaTopics}. */
export function kafkaAdmin(settings: KafkaSettings, logger: Logger): KafkaAdmin {
  return { kafka: kafkaClient(settings, logger), prefix: settings.topicPrefix };
}

function prefixed({ prefix }: KafkaAdmin, topics: Readonly<Record<string, number>>): Readonly<Record<string, number>> {
  return Object.fromEntries(Object.entries(topics).map(([topic, partitions]) => [`${prefix}${topic}`, partitions]));
}

async function withAdmin<T>({ kafka }: KafkaAdmin, act: string, use: (admin: Admin) => Promise<T>): Promise<T> {
  const admin = kafka.admin({ retry: { retries: 5, initialRetryTime: 50, maxRetryTime: 1_000 } });
  try {
    await admin.connect();
    return await use(admin);
  } catch (error) {
    throw kafkaError(act, error);
  } finally {
    await admin.disconnect().catch(() => undefined);
  }
}

/** Creates the missing topics and returns their names. Throws UNAVAILABLE or CONFIG_INVALID. */
export async function createKafkaTopics(cluster: KafkaAdmin, wanted: Readonly<Record<string, number>>): Promise<readonly string[]> {
  const topics = prefixed(cluster, wanted);
  return withAdmin(cluster, 'create topics', async (admin) => {
    const there = new Set(await admin.listTopics());
    const { brokers } = await admin.describeCluster();
    const replicas = Math.min(REPLICAS, brokers.length);
    const missing = Object.entries(topics).filter(([topic]) => !there.has(topic));
    if (missing.length === 0) return [];
    await admin.createTopics({
      // It would take the answer of a broker that does not know them yet for a failure.
      waitForLeaders: false,
      topics: missing.map(([topic, numPartitions]) => ({
        topic,
        numPartitions,
        replicationFactor: replicas,
        configEntries: [
          ...Object.entries(REQUIRED).map(([name, { value }]) => ({ name, value })),
          { name: 'min.insync.replicas', value: String(Math.max(1, replicas - 1)) },
          { name: 'max.message.bytes', value: String(MESSAGE_BYTES) },
          { name: 'compression.type', value: COMPRESSION },
        ],
      })),
    });
    const names = missing.map(([topic]) => topic);
    await withCluster(cluster, (find) => untilBrokersKnow(names, find, systemClock));
    return names;
  });
}

/** Separate connections, by which each broker can be asked. */
async function withCluster({ kafka }: KafkaAdmin, use: (find: () => Promise<readonly TellingBroker[]>) => Promise<void>): Promise<void> {
  const cluster = kafkaCluster(kafka);
  try {
    await use(async () => {
      await cluster.connect();
      await cluster.refreshMetadata();
      const found = await Promise.all(cluster.getNodeIds().map((nodeId) => cluster.findBroker({ nodeId })));
      return found as unknown as readonly TellingBroker[];
    });
  } finally {
    await closeCluster(cluster);
  }
}

/** Faults of the topics, each of which must have at least the given number of partitions. Throws UNAVAILABLE or CONFIG_INVALID. */
export async function checkKafkaTopics(cluster: KafkaAdmin, wanted: Readonly<Record<string, number>>): Promise<readonly TopicFinding[]> {
  const topics = prefixed(cluster, wanted);
  return withAdmin(cluster, 'check topics', async (admin) => {
    const there = new Set(await admin.listTopics());
    const findings: TopicFinding[] = [];
    for (const topic of Object.keys(topics))
      if (!there.has(topic))
        findings.push({ topic, severity: 'refuse', about: 'absence', text: 'does not exist; lineproof topics create makes it' });
    const names = Object.keys(topics).filter((topic) => there.has(topic));
    if (names.length === 0) return findings;
    const { brokers } = await admin.describeCluster();
    const metadata = await admin.fetchTopicMetadata({ topics: names });
    const { resources } = await admin.describeConfigs({
      includeSynonyms: false,
      resources: names.map((name) => ({ type: TOPIC_RESOURCE, name })),
    });
    for (const { name, partitions } of metadata.topics) {
      const entries = resources.find(({ resourceName }) => resourceName === name)?.configEntries ?? [];
      const values = new Map(entries.map(({ configName, configValue }) => [configName, configValue]));
      const adding =
        (about: TopicFinding['about']): Add =>
        (severity, text) =>
          void findings.push({ topic: name, severity, about, text });
      checkPartitions(partitions.length, topics[name] as number, adding('partitions'));
      checkConfig(values, adding('configuration'));
      checkReplication(Math.min(...partitions.map(({ replicas }) => replicas.length)), values, brokers.length, adding('replication'));
    }
    return findings;
  });
}

type Add = (severity: TopicFinding['severity'], text: string) => void;

function checkPartitions(partitions: number, wanted: number, add: Add): void {
  if (partitions < wanted) add('refuse', `has ${partitions} partitions; the policy has ${wanted} shards, and that number never changes`);
  if (partitions > wanted)
    add('warn', `has ${partitions} partitions, and nobody reads the ${partitions - wanted} beyond the policy's ${wanted} shards`);
}

function checkConfig(values: ReadonlyMap<string, string>, add: Add): void {
  for (const [name, { value, reason }] of Object.entries(REQUIRED))
    if (values.get(name) !== value) add('refuse', `has ${name}=${values.get(name)}; set it to ${value}: ${reason}`);
  if (!(Number(values.get('max.message.bytes')) >= MESSAGE_BYTES))
    add('refuse', `has max.message.bytes=${values.get('max.message.bytes')}; set it to ${MESSAGE_BYTES} or more`);
  const compression = values.get('compression.type');
  if (compression === COMPRESSION || compression === undefined) return;
  const reason = HARMLESS_COMPRESSION.includes(compression)
    ? 'the broker unpacks every batch, and a small one can be as large as its memory'
    : 'the broker packs every batch anew in a way that not every reader can read';
  add(
    HARMLESS_COMPRESSION.includes(compression) ? 'warn' : 'refuse',
    `has compression.type=${compression}; set it to ${COMPRESSION}: ${reason}`,
  );
}

function checkReplication(replicas: number, values: ReadonlyMap<string, string>, brokers: number, add: Add): void {
  const inSync = Number(values.get('min.insync.replicas'));
  if (brokers === 1) return add('warn', 'is on the only broker: if its disk is lost, records that were not archived are lost too');
  if (replicas < 2)
    return add('refuse', `has one replica of each partition in a cluster of ${brokers} brokers; give it ${Math.min(REPLICAS, brokers)}`);
  if (inSync < 2)
    add(
      replicas >= 3 ? 'refuse' : 'warn',
      `has min.insync.replicas=${inSync}; with less than 2, the loss of one broker can lose acknowledged records`,
    );
}

/** Creates a topic if it is missing. Then throws CONFIG_INVALID with every reason that makes it unusable. */
export async function ensureKafkaTopic(cluster: KafkaAdmin, topic: string, partitions: number, logger: Logger): Promise<void> {
  await createKafkaTopics(cluster, { [topic]: partitions });
  const findings = await checkKafkaTopics(cluster, { [topic]: partitions });
  refuseTopics(
    findings.map((finding) => (finding.about === 'partitions' ? { ...finding, severity: 'refuse' } : finding)),
    logger,
  );
}

/**
 * Throws one error with every refusal: CONFIG_INVALID, or REFUSED if topics are absent only, for a broker that has just started may not know them yet.
 * Warnings go to the log.
 */
export function refuseTopics(findings: readonly TopicFinding[], logger: Logger): void {
  for (const { topic, text } of findings.filter(({ severity }) => severity === 'warn')) logger.warn(`topic ${topic} ${text}`);
  const refusals = findings.filter(({ severity }) => severity === 'refuse');
  if (refusals.length === 0) return;
  const list = refusals.map(({ topic, text }) => `  - topic ${topic} ${text}`).join('\n');
  const message = `cannot run on these topics:\n${list}`;
  const { setting } = REFUSALS.Kafka.UNKNOWN_TOPIC_OR_PARTITION;
  const absent = { refusal: 'Kafka UNKNOWN_TOPIC_OR_PARTITION', setting };
  if (refusals.every(({ about }) => about === 'absence')) throw new LineproofError('REFUSED', message, absent);
  throw new LineproofError('CONFIG_INVALID', message, { refusals: refusals.length });
}
