import { isIP } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { Cluster, Redis } from 'ioredis';
import { LineproofError } from '../core/base/errors.ts';
import type { Logger } from '../core/ports/logger.ts';
import { checkRedis, redisError, refusalIn } from './redis-refusals.ts';
import { parseRedisUrl, type RedisTarget } from './redis-url.ts';

/** How a Redis is reached. */
export interface RedisSettings {
  /** One server, Sentinels or a cluster: {@link parseRedisUrl}. */
  readonly url: string;
  /** Password of the Sentinels, if they have one. */
  readonly sentinelPassword?: string;
  /** With TLS: authorities and a client's certificate (PEM) instead of the system's and none. */
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string };
  /** A call without an answer after this many milliseconds has failed. */
  readonly requestTimeoutMs: number;
}

/** How long the end of a connection is waited for. */
const END_MS = 1_000;

/**
 * The connections to a Redis by its role: every call goes to a primary that does not evict. This is checked when a connection was made, again whenever
 * one comes back, and after an answer that only a replica gives: then the primary is looked for again. Its fields change in the handlers of `#follow`,
 * in `ask` and `close` only.
 */
export class RedisConnection {
  readonly #client: Redis | Cluster;
  readonly #requestTimeoutMs: number;
  /** Last error of a connection; a call that finds no connection reports it. */
  #complaint: Error | undefined;
  /** The check of role and eviction since the last connection; undefined if there is none yet, or it failed. */
  #checked: Promise<void> | undefined;
  #closed = false;

  constructor(settings: RedisSettings, logger: Logger) {
    this.#requestTimeoutMs = settings.requestTimeoutMs;
    this.#client = client(settings);
    this.#follow(logger);
  }

  #follow(logger: Logger): void {
    const again = (): void => {
      this.#checked = undefined;
      this.#complaint = undefined;
    };
    const complain = (error: Error): void => {
      if (this.#complaint?.message !== error.message) logger.warn('no connection to Redis', { reason: error.message.slice(0, 200) });
      this.#complaint = error;
    };
    this.#client.on('error', complain);
    this.#client.on('ready', again);
    if (!(this.#client instanceof Cluster)) return;
    this.#client.on('+node', (node: Redis) => {
      again();
      node.on('ready', again);
    });
    this.#client.on('node error', complain);
  }

  /** Connects for the first time, and checks role and eviction. Throws as {@link ask}. */
  async open(): Promise<void> {
    await this.#translated('open the dedup index', async () => {
      // With Sentinels the client itself tries for ever: its caller says what it waits for.
      const late = new AbortController();
      const connecting = this.#client.connect();
      connecting.catch(() => undefined);
      try {
        await Promise.race([
          connecting,
          delay(this.#requestTimeoutMs, undefined, { signal: late.signal }).then(() =>
            Promise.reject(new Error('Connection is closed: no primary in time')),
          ),
        ]);
      } finally {
        late.abort();
      }
      await this.#check();
    });
  }

  /** One call of `use`, on primaries that were checked. Throws UNAVAILABLE, INDEX_FORGETS, REFUSED or CONFIG_INVALID. */
  ask<T>(act: string, use: (client: Redis | Cluster) => Promise<T>): Promise<T> {
    return this.#translated(act, async () => {
      await this.#check();
      return use(this.#client);
    });
  }

  /** One call of `use` for each primary. */
  askEach<T>(act: string, use: (primary: Redis) => Promise<T>): Promise<readonly T[]> {
    return this.#translated(act, async () => {
      await this.#check();
      return Promise.all(this.#primaries().map(use));
    });
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    // While the client waits to connect again, no connection ends, and no end is announced.
    const ended = new Promise<void>((resolve) => this.#client.once('end', () => resolve()));
    const isOpen = ['ready', 'connect', 'connecting'].includes(this.#client.status);
    this.#client.disconnect();
    if (!isOpen) return;
    const late = new AbortController();
    await Promise.race([ended, delay(END_MS, undefined, { signal: late.signal }).catch(() => undefined)]);
    late.abort();
  }

  #primaries(): readonly Redis[] {
    return this.#client instanceof Cluster ? this.#client.nodes('master') : [this.#client];
  }

  #check(): Promise<void> {
    this.#checked ??= this.#checkNow().catch((error: unknown) => {
      this.#checked = undefined;
      throw error;
    });
    return this.#checked;
  }

  async #checkNow(): Promise<void> {
    const primaries = this.#primaries();
    if (primaries.length === 0) throw new Error('Connection is closed.');
    for (const info of await Promise.all(primaries.map((primary) => primary.info()))) checkRedis(info);
  }

  async #translated<T>(act: string, use: () => Promise<T>): Promise<T> {
    if (this.#closed) throw new LineproofError('UNAVAILABLE', `cannot ${act}: it is closed`);
    try {
      return await use();
    } catch (error) {
      if (refusalIn(error) === 'READONLY') this.#lookAgain();
      throw redisError(act, error, this.#complaint);
    }
  }

  /** Leaves a connection that led to a replica: the URL or the Sentinels are asked anew for the primary. A cluster's client follows its cluster by itself. */
  #lookAgain(): void {
    this.#checked = undefined;
    if (!(this.#client instanceof Cluster)) this.#client.disconnect(true);
  }
}

/** The client never repeats an unanswered command by itself, but where a cluster says that it was not run: the caller knows which calls may be repeated. */
function client({ url, sentinelPassword, tls, requestTimeoutMs }: RedisSettings): Redis | Cluster {
  const target = parseRedisUrl(url);
  if (tls !== undefined && !target.tls)
    throw new LineproofError(
      'CONFIG_INVALID',
      'cannot use Redis: authorities and certificates are given, but its URL does not begin with rediss',
    );
  const shared = {
    ...loginOf(target),
    protocol: 2,
    disableClientInfo: true,
    connectTimeout: requestTimeoutMs,
    disconnectTimeout: 500,
    commandTimeout: requestTimeoutMs,
    // A connection on which nothing comes back is given up, so that the next call gets a new one.
    socketTimeout: 2 * requestTimeoutMs,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    lazyConnect: true,
  } as const;
  const [first] = target.places;
  const ownTls = { ...tls, ...(first !== undefined && isIP(first.host) === 0 ? { servername: first.host } : {}) };
  if (target.kind === 'cluster') {
    const redisOptions = { ...shared, ...(target.tls ? { tls: { ...tls } } : {}) };
    return new Cluster([...target.places], {
      redisOptions,
      lazyConnect: true,
      enableOfflineQueue: false,
      maxRedirections: 3,
      slotsRefreshTimeout: requestTimeoutMs,
      slotsRefreshInterval: 5_000,
      clusterRetryStrategy: waitMs,
      // A name stays a name: the certificate is for it, and not for the address behind it.
      dnsLookup: (name, done) => done(null, name),
    });
  }
  const options = { ...shared, db: target.db, enableOfflineQueue: false, retryStrategy: waitMs };
  if (target.kind === 'single') return new Redis({ ...options, ...first, ...(target.tls ? { tls: ownTls } : {}) });
  return new Redis({
    ...options,
    sentinels: [...target.places],
    name: target.primary,
    role: 'master',
    ...(sentinelPassword === undefined || sentinelPassword === '' ? {} : { sentinelPassword }),
    sentinelRetryStrategy: waitMs,
    sentinelCommandTimeout: requestTimeoutMs,
    ...(target.tls ? { tls: { ...tls }, enableTLSForSentinelMode: true, sentinelTLS: { ...tls } } : {}),
  });
}

function loginOf({ username, password }: RedisTarget): { readonly username?: string; readonly password?: string } {
  return { ...(username === '' ? {} : { username }), ...(password === '' ? {} : { password }) };
}

function waitMs(times: number): number {
  return Math.min(25 * 2 ** Math.min(times, 10), 1_000);
}
