import { Kafka, type KafkaConfig, type LogEntry, logLevel, type SASLOptions } from 'kafkajs';
import RequestQueue from 'kafkajs/src/network/requestQueue/index.js';
import { LineproofError, messageOf } from '../core/base/errors.ts';
import type { Logger } from '../core/ports/logger.ts';
import { type BrokerPool, type ConnectedBroker, dropAllConnections, dropConnections, withDeadline } from './kafka-deadline.ts';
import { type KafkaFailure, kafkaRefusal } from './kafka-refusals.ts';
import { REFUSALS, refusalError } from './refusals.ts';

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
  readonly brokerPool: BrokerPool;
  /** A request without an answer after this many milliseconds, and the time that the broker was told to wait, has failed. */
  readonly requestTimeoutMs: number;
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  addTargetTopic(topic: string): Promise<void>;
  refreshMetadata(): Promise<void>;
  removeBroker(address: { readonly host: string; readonly port: number }): void;
  findLeaderForPartitions(topic: string, partitions: readonly number[]): Readonly<Record<string, readonly number[]>>;
  findTopicPartitionMetadata(topic: string): readonly { readonly partitionId: number }[];
  getNodeIds(): readonly string[];
  findBroker(node: { readonly nodeId: string }): Promise<KafkaBroker>;
}

const READ_UNCOMMITTED = 0;
const CREATE_CLUSTER = 'private:Kafka:createCluster';

// kafkajs would run a timer of 1 ms for each idle connection, for ever, at 4 % of a core. Without pending requests there is nothing to check.
const schedule = RequestQueue.prototype.scheduleCheckPendingRequests;
RequestQueue.prototype.scheduleCheckPendingRequests = function scheduleIfPending(): void {
  if (this.pending.length > 0) schedule.call(this);
};

// kafkajs compares `Date.now()`: after the clock was set back, a request that hangs would never end. This is its check on the monotonic clock, for the requests
// that it makes inside; those of ours end by their deadline and cut the connection.
RequestQueue.prototype.scheduleRequestTimeoutCheck = function scheduleMonotonicCheck(): void {
  this.destroy();
  const seenMs = new WeakMap<object, number>();
  this.requestTimeoutIntervalId = setInterval(
    () => {
      const now = performance.now();
      for (const request of this.inflight.values()) {
        const sinceMs = seenMs.get(request);
        if (sinceMs === undefined) seenMs.set(request, now);
        else if (now - sinceMs > request.requestTimeout) request.timeoutRequest();
      }
      if (!this.isConnected()) this.destroy();
    },
    Math.min(this.requestTimeout, 100),
  );
};

/** Settings that kafkajs does not tell again. */
const REQUEST_TIMEOUTS_MS = new WeakMap<Kafka, number>();

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
  const kafka = new Kafka(config);
  REQUEST_TIMEOUTS_MS.set(kafka, requestTimeoutMs);
  return kafka;
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
  const requestTimeoutMs = REQUEST_TIMEOUTS_MS.get(kafka);
  if (symbol === undefined || requestTimeoutMs === undefined)
    throw new LineproofError('INTERNAL', 'cannot connect to Kafka: this version of kafkajs is built differently');
  const create = (kafka as unknown as Record<symbol, (options: object) => KafkaCluster>)[symbol] as (options: object) => KafkaCluster;
  const cluster = create({ metadataMaxAge: 60_000, allowAutoTopicCreation: false, isolationLevel: READ_UNCOMMITTED });
  return Object.assign(cluster, { requestTimeoutMs });
}

/** Closes the connections; those that still wait for an answer after a second are cut. */
export async function closeCluster(cluster: KafkaCluster): Promise<void> {
  const drop = (): Promise<void> => dropAllConnections(cluster.brokerPool);
  await withDeadline({ act: 'disconnect', ms: 1_000, drop }, () => cluster.disconnect()).catch(() => undefined);
}

/** A failure of kafkajs as an error of ours: REFUSED if an operator must act should it last, else UNAVAILABLE. */
export function kafkaError(act: string, error: unknown): LineproofError {
  if (error instanceof LineproofError) return error;
  const refusal = kafkaRefusal(error);
  if (refusal !== undefined) return refusalError(act, 'Kafka', refusal, error);
  return new LineproofError('UNAVAILABLE', `cannot ${act}: ${messageOf(error)}`, {}, error);
}

/** What is asked of a cluster, as in `cannot <act>: …`, and how long the broker may wait before it answers. */
export interface KafkaCall {
  readonly act: string;
  readonly waitMs?: number;
  /** Instead of the time of all requests. */
  readonly timeoutMs?: number;
}

/** Finds a broker, within the time of a request; if that is not enough, all connections are cut, since any of them may be the one that is silent. */
export function reachBroker<T>(cluster: KafkaCluster, act: string, reach: () => Promise<T>): Promise<T> {
  return withDeadline({ act, ms: cluster.requestTimeoutMs, drop: () => dropAllConnections(cluster.brokerPool) }, reach);
}

/** One request to a broker, sent once. If it has no answer in time, its connection is cut, so that a late answer goes nowhere and the next request gets another. */
export async function askBroker<B extends object, T>(
  cluster: KafkaCluster,
  broker: B,
  { act, waitMs, timeoutMs }: KafkaCall,
  ask: (broker: B) => Promise<T>,
): Promise<T> {
  const connected = broker as unknown as ConnectedBroker;
  const { connectionPool } = connected;
  const drop = (): Promise<void> => dropConnections(cluster.brokerPool, connected, connectionPool);
  try {
    return await withDeadline({ act, ms: (timeoutMs ?? cluster.requestTimeoutMs) + (waitMs ?? 0), drop }, () => ask(broker));
  } catch (error) {
    if ((error as KafkaFailure).name === 'KafkaJSRequestTimeoutError') await drop();
    throw error;
  }
}

/**
 * One request to the leader of a partition, sent once: whether it took effect is unknown when it fails. `waitMs` is how long the broker may wait with its answer.
 * After a failure the next call asks for the leader again. Throws UNAVAILABLE, NOT_FOUND or CONFIG_INVALID.
 */
export async function askLeader<T>(
  cluster: KafkaCluster,
  place: { readonly topic: string; readonly partition: number; readonly closing: AbortSignal; readonly waitMs?: number },
  act: string,
  ask: (broker: KafkaBroker) => Promise<T>,
): Promise<T> {
  const { topic, partition } = place;
  try {
    const broker = await reachBroker(cluster, act, async () => {
      await cluster.connect();
      await cluster.addTargetTopic(topic);
      const [nodeId] = Object.keys(cluster.findLeaderForPartitions(topic, [partition]));
      if (nodeId === undefined || !Number.isInteger(partition)) throw noPartition(act, place);
      return cluster.findBroker({ nodeId });
    });
    return await askBroker(cluster, broker, { act, waitMs: place.waitMs ?? 0 }, ask);
  } catch (error) {
    const { host, port, type } = error as KafkaFailure;
    if (type === 'UNKNOWN_TOPIC_OR_PARTITION') throw noPartition(act, place, error);
    // After `close`, a refresh would connect the cluster again.
    if (!place.closing.aborted) {
      if (host !== undefined && port !== undefined) cluster.removeBroker({ host, port });
      await reachBroker(cluster, act, () => cluster.refreshMetadata()).catch(() => undefined);
    }
    throw kafkaError(act, error);
  }
}

function noPartition(act: string, { topic, partition }: { topic: string; partition: number }, cause?: unknown): LineproofError {
  const { setting } = REFUSALS.Kafka.UNKNOWN_TOPIC_OR_PARTITION;
  return new LineproofError(
    'NOT_FOUND',
    `cannot ${act}: ${topic}/${partition} does not exist; lineproof topics create makes it`,
    // Also the answer of a broker that has just started and does not know its topics yet.
    { topic, partition, refusal: 'Kafka UNKNOWN_TOPIC_OR_PARTITION', setting },
    cause,
  );
}
