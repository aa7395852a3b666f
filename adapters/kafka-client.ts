import { setTimeout as delay } from 'node:timers/promises';
import { Kafka, type KafkaConfig, type LogEntry, logLevel, type SASLOptions } from 'kafkajs';
import RequestQueue from 'kafkajs/src/network/requestQueue/index.js';
import { LineproofError, messageOf } from '../core/base/errors.ts';
import type { Logger } from '../core/ports/logger.ts';

/** How a Kafka cluster is reached, as Kafka's own clients name it. */
export interface KafkaSettings {
  /** `host:port` of one broker or more to begin with. */
  readonly brokers: readonly string[];
  readonly clientId: string;
  /** TLS with the system's authorities, or with those given (PEM). */
  readonly tls: false | { readonly ca?: string; readonly cert?: string; readonly key?: string };
  readonly sasl?: { readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512'; readonly username: string; readonly password: string };
  /** Prefix of the names of topics, for several systems on one cluster. */
  readonly topicPrefix: string;
  /** A request without an answer after this many milliseconds has failed. */
  readonly requestTimeoutMs: number;
}

/** The part of a broker's connection that is used: each call is one request, sent once. */
export interface KafkaBroker {
  produce(request: {
    readonly acks: number;
    readonly timeout: number;
    readonly topicData: readonly {
      readonly topic: string;
      readonly partitions: readonly { readonly partition: number; readonly messages: readonly KafkaNewMessage[] }[];
    }[];
  }): Promise<{
    readonly topics: readonly {
      readonly partitions: readonly { readonly partition: number; readonly baseOffset: string; readonly logAppendTime?: string }[];
    }[];
  }>;
  /** Sends a request of kafkajs once; `decode` gets the bytes of the answer. */
  readonly connectionPool: {
    send<T>(exchange: {
      readonly request: object;
      readonly response: { decode(bytes: Buffer): Promise<T>; parse(decoded: T): Promise<T> };
    }): Promise<T>;
  };
  listOffsets(request: {
    readonly isolationLevel: number;
    readonly topics: readonly {
      readonly topic: string;
      readonly partitions: readonly { readonly partition: number; readonly timestamp: number }[];
    }[];
  }): Promise<{ readonly responses: readonly { readonly partitions: readonly { readonly offset: string }[] }[] }>;
  deleteRecords(request: {
    readonly topics: readonly {
      readonly topic: string;
      readonly partitions: readonly { readonly partition: number; readonly offset: string }[];
    }[];
  }): Promise<unknown>;
}

/** Buffers, because kafkajs would write any other array as its text. */
export interface KafkaNewMessage {
  readonly key: Buffer | null;
  readonly value: Buffer;
  readonly headers: Readonly<Record<string, Buffer>>;
  readonly timestamp: number;
}

/** The connections of one user of the cluster, with the metadata that leads to a partition's leader. */
export interface KafkaCluster {
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  addTargetTopic(topic: string): Promise<void>;
  refreshMetadata(): Promise<void>;
  removeBroker(address: { readonly host: string; readonly port: number }): void;
  findLeaderForPartitions(topic: string, partitions: readonly number[]): Readonly<Record<string, readonly number[]>>;
  findBroker(node: { readonly nodeId: string }): Promise<KafkaBroker>;
}

const READ_UNCOMMITTED = 0;
const CREATE_CLUSTER = 'private:Kafka:createCluster';

// kafkajs would run a timer of 1 ms for each idle connection, for ever, at 4 % of a core. Without pending requests there is nothing to check.
const schedule = RequestQueue.prototype.scheduleCheckPendingRequests;
RequestQueue.prototype.scheduleCheckPendingRequests = function scheduleIfPending(): void {
  if (this.pending.length > 0) schedule.call(this);
};

/** A client of kafkajs with our settings and our log. */
export function kafkaClient(settings: KafkaSettings, logger: Logger): Kafka {
  const { brokers, clientId, tls, sasl, requestTimeoutMs } = settings;
  const config: KafkaConfig = {
    brokers: [...brokers],
    clientId,
    ssl: tls === false ? false : { ...tls },
    connectionTimeout: 5_000,
    authenticationTimeout: 5_000,
    requestTimeout: requestTimeoutMs,
    retry: { retries: 2, initialRetryTime: 25, maxRetryTime: 500 },
    logLevel: logLevel.WARN,
    logCreator: () => (entry) => logTo(logger, entry),
    ...(sasl === undefined ? {} : { sasl: sasl as SASLOptions }),
  };
  return new Kafka(config);
}

function logTo(logger: Logger, { level, namespace, log }: LogEntry): void {
  const fields: Record<string, string> = { part: 'kafkajs', namespace };
  for (const name of ['broker', 'error', 'groupId', 'memberId']) if (log[name] !== undefined) fields[name] = String(log[name]);
  // The caller repeats or reports a failure of kafkajs: for the operator it is a warning at most.
  if (level === logLevel.ERROR || level === logLevel.WARN) logger.warn(log.message, fields);
  else logger.debug(log.message, fields);
}

/**
 * Separate connections, for requests that kafkajs makes only inside its consumer and producer: a fetch from an offset, and a produce request that is
 * sent once. The library has no public way to them; the version is pinned, and the contract suite of the log tests this on real servers.
 */
export function kafkaCluster(kafka: Kafka): KafkaCluster {
  const symbol = Object.getOwnPropertySymbols(kafka).find(({ description }) => description === CREATE_CLUSTER);
  if (symbol === undefined) throw new LineproofError('INTERNAL', 'cannot connect to Kafka: this version of kafkajs is built differently');
  const create = (kafka as unknown as Record<symbol, (options: object) => KafkaCluster>)[symbol] as (options: object) => KafkaCluster;
  return create({ metadataMaxAge: 60_000, allowAutoTopicCreation: false, isolationLevel: READ_UNCOMMITTED });
}

/** The message of a failure of kafkajs. */
interface KafkaFailure {
  readonly name: string;
  readonly type?: string;
  readonly host?: string;
  readonly port?: number;
  readonly retriable?: boolean;
}

/** Failures that no retry ends: an operator must change a setting. */
const OPERATOR_TYPES: Readonly<Record<string, string>> = {
  MESSAGE_TOO_LARGE: 'the broker refuses its size; raise max.message.bytes of the topic',
  RECORD_LIST_TOO_LARGE: 'the broker refuses its size; raise max.message.bytes of the topic',
  TOPIC_AUTHORIZATION_FAILED: 'this user is not authorised for the topic',
  GROUP_AUTHORIZATION_FAILED: 'this user is not authorised for the consumer group',
  CLUSTER_AUTHORIZATION_FAILED: 'this user is not authorised for the cluster',
  INVALID_TOPIC_EXCEPTION: 'the name of the topic is not valid',
  POLICY_VIOLATION: 'a policy of the cluster forbids it',
};

/** A failure of kafkajs as an error of ours: CONFIG_INVALID if an operator must act, else UNAVAILABLE. */
export function kafkaError(act: string, error: unknown): LineproofError {
  if (error instanceof LineproofError) return error;
  const failure = error as KafkaFailure;
  const operator = OPERATOR_TYPES[failure.type ?? ''];
  if (operator !== undefined) return new LineproofError('CONFIG_INVALID', `cannot ${act}: ${operator}`, {}, error);
  if (failure.name === 'KafkaJSSASLAuthenticationError')
    return new LineproofError('CONFIG_INVALID', `cannot ${act}: the broker refuses user name or password`, {}, error);
  return new LineproofError('UNAVAILABLE', `cannot ${act}: ${messageOf(error)}`, {}, error);
}

const COORDINATOR_TRIES = 60;
const COORDINATOR_RETRY_MS = 250;

/**
 * Asks the coordinator of a group. Kafka chooses one at the first request for the group and may move it. On a new cluster it first makes a topic, which takes seconds;
 * kafkajs gives up at once. Throws UNAVAILABLE, also when `signal` aborts, or CONFIG_INVALID.
 */
export async function askCoordinator<T>(act: string, ask: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await ask();
    } catch (cause) {
      const error = kafkaError(act, cause);
      if (tries === COORDINATOR_TRIES || error.code !== 'UNAVAILABLE' || signal?.aborted === true) throw error;
      await delay(COORDINATOR_RETRY_MS);
    }
  }
}

/**
 * One request to the leader of a partition, sent once: whether it took effect is unknown when it fails.
 * After a failure the next call asks for the leader again. Throws UNAVAILABLE, NOT_FOUND or CONFIG_INVALID.
 */
export async function askLeader<T>(
  cluster: KafkaCluster,
  place: { readonly topic: string; readonly partition: number; readonly closing: AbortSignal },
  act: string,
  ask: (broker: KafkaBroker) => Promise<T>,
): Promise<T> {
  const { topic, partition } = place;
  try {
    await cluster.connect();
    await cluster.addTargetTopic(topic);
    const [nodeId] = Object.keys(cluster.findLeaderForPartitions(topic, [partition]));
    if (nodeId === undefined || !Number.isInteger(partition)) throw noPartition(act, place);
    return await ask(await cluster.findBroker({ nodeId }));
  } catch (error) {
    const { host, port, type } = error as KafkaFailure;
    if (type === 'UNKNOWN_TOPIC_OR_PARTITION') throw noPartition(act, place, error);
    // After `close`, a refresh would connect the cluster again.
    if (!place.closing.aborted) {
      if (host !== undefined && port !== undefined) cluster.removeBroker({ host, port });
      await cluster.refreshMetadata().catch(() => undefined);
    }
    throw kafkaError(act, error);
  }
}

function noPartition(act: string, { topic, partition }: { topic: string; partition: number }, cause?: unknown): LineproofError {
  return new LineproofError(
    'NOT_FOUND',
    `cannot ${act}: ${topic}/${partition} does not exist; lineproof topics create makes it`,
    { topic, partition },
    cause,
  );
}
