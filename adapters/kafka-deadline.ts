import type { Socket } from 'node:net';
import { LineproofError } from '../core/base/errors.ts';

/** One connection of kafkajs. */
interface Connection {
  readonly socket?: Socket;
  /** Who waits for an answer while the connection authenticates. */
  readonly authHandlers: { onError(): void } | null;
  rejectRequests(error: Error): void;
  disconnect(): Promise<unknown>;
}

/** The connections to one address. */
export interface ConnectionPool {
  readonly host: string;
  readonly port: number;
  readonly rack?: string | null;
  readonly pool: readonly Connection[];
}

/** A broker as kafkajs keeps it, with the connections that lead to it. */
export interface ConnectedBroker {
  connectionPool: ConnectionPool;
}

/** All brokers that one user of a cluster is connected to. */
export interface BrokerPool {
  readonly seedBroker?: ConnectedBroker;
  readonly brokers: Readonly<Record<string, ConnectedBroker>>;
  readonly connectionPoolBuilder: {
    build(address: { readonly host: string; readonly port: number; readonly rack?: string | null }): Promise<ConnectionPool>;
  };
}

/** A call that must have an outcome in time. */
export interface TimedCall {
  /** What is done, as in `cannot <act>: …`. */
  readonly act: string;
  readonly ms: number;
  /** Ends what the call waits for. */
  readonly drop: () => Promise<void>;
}

/**
 * The outcome of `call`, or UNAVAILABLE if there is none within `ms`; then `drop` is called. The time runs on the monotonic clock, as every timer of
 * Node does: kafkajs compares `Date.now()`, so after the clock was set back a request of its own that hangs never ends.
 */
export async function withDeadline<T>({ act, ms, drop }: TimedCall, call: () => Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new LineproofError('UNAVAILABLE', `cannot ${act}: no answer within ${ms} ms`));
      void drop();
    }, ms);
  });
  const called = call();
  called.catch(() => undefined);
  try {
    return await Promise.race([called, late]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Cuts the connections to a broker: every request that waits on them fails, late answers go nowhere, and the next request makes new ones. `disconnect` of
 * kafkajs waits for the answers first, and its connections keep half-read answers and throttling, so they are replaced instead of used again.
 * Connections that another call replaced already are left alone.
 */
export async function dropConnections(
  { connectionPoolBuilder }: BrokerPool,
  broker: ConnectedBroker,
  dropped: ConnectionPool = broker.connectionPool,
): Promise<void> {
  const { host, port, rack, pool } = dropped;
  const fresh = await connectionPoolBuilder.build({ host, port, ...(rack === undefined ? {} : { rack }) });
  if (broker.connectionPool !== dropped) return;
  broker.connectionPool = fresh;
  const reason = new Error('connection dropped: no answer in time');
  for (const connection of pool) {
    connection.authHandlers?.onError();
    connection.rejectRequests(reason);
    connection.socket?.destroy(reason);
    await connection.disconnect();
  }
}

/** Cuts all connections, where it is not known which broker does not answer. */
export async function dropAllConnections(brokers: BrokerPool): Promise<void> {
  const { seedBroker } = brokers;
  const all = new Set([...Object.values(brokers.brokers), ...(seedBroker === undefined ? [] : [seedBroker])]);
  await Promise.all([...all].map((broker) => dropConnections(brokers, broker)));
}
