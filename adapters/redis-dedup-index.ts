import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { isIP } from 'node:net';
import { Redis } from 'ioredis';
import { LineproofError, messageOf } from '../core/base/errors.ts';
import type { DedupEntry, DedupHit, DedupIndex, Watermark, WindowAnswer, WindowCall } from '../core/ports/dedup-index.ts';
import type { Logger } from '../core/ports/logger.ts';
import { checkMemory, checkRedis, redisError } from './redis-refusals.ts';
import { ENTRY_BYTES, HIT_BYTES, WINDOW_SCRIPT } from './redis-window-script.ts';

/** How a Redis is reached. */
export interface RedisSettings {
  /** `redis://[user][:password]@host[:port][/db]`, or `rediss://` for TLS. */
  readonly url: string;
  /** With `rediss://`: authorities and a client's certificate (PEM) instead of the system's and none. */
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string };
  /** A call without an answer after this many milliseconds has failed. */
  readonly requestTimeoutMs: number;
}

const KEY_BYTES = 16;
const DIGEST_BYTES = 16;
const SHA = createHash('sha1').update(WINDOW_SCRIPT).digest('hex');

/**
 * Opens the {@link DedupIndex} of `origin` on Redis. Throws CONFIG_INVALID or REFUSED with a way out if this Redis must not be used, INDEX_FORGETS
 * while it may forget, UNAVAILABLE while it does not answer or is a replica.
 */
export async function openRedisDedupIndex(settings: RedisSettings, origin: string, logger: Logger): Promise<DedupIndex> {
  const index = new RedisDedupIndex(settings, origin, logger);
  try {
    await index.open();
    return index;
  } catch (error) {
    await index.close();
    throw error;
  }
}

/** Every call is one script or one command, sent once: a caller that gets no answer sends the same call again. */
class RedisDedupIndex implements DedupIndex {
  readonly #redis: Redis;
  readonly #origin: string;
  /** Last error of the connection; a call that finds no connection reports it. */
  #complaint: Error | undefined;
  #closed = false;

  constructor(settings: RedisSettings, origin: string, logger: Logger) {
    this.#origin = origin;
    this.#redis = client(settings);
    this.#redis.on('error', (error: Error) => {
      if (this.#complaint?.message !== error.message) logger.warn('no connection to Redis', { reason: error.message });
      this.#complaint = error;
    });
    this.#redis.on('ready', () => {
      this.#complaint = undefined;
    });
  }

  /** Connects and checks that this Redis does not evict. */
  async open(): Promise<void> {
    await this.#ask('open the dedup index', async () => {
      await this.#redis.connect();
      checkRedis(await this.#redis.info());
    });
  }

  async window(call: WindowCall): Promise<WindowAnswer> {
    const { shard, expect, next, add, dropBelowSlot, wipe, lookup } = call;
    const key = this.#key(shard);
    const args = [
      formatWatermark(expect),
      formatWatermark(next),
      wipe ? '1' : '0',
      dropBelowSlot === undefined ? '' : String(dropBelowSlot),
      randomBytes(6).toString('hex'),
      packEntries(add),
      packKeys(lookup),
    ];
    return this.#ask('use the dedup index', async () => {
      const answer = await this.#run(key, args);
      if (answer[0] === 0x31) return { ok: true, hits: unpackHits(answer.subarray(1), lookup.length) };
      return { ok: false, watermark: parseWatermark(answer.toString('utf8', 1), key) };
    });
  }

  async watermark(shard: number): Promise<Watermark> {
    const key = this.#key(shard);
    return this.#ask('read the watermark of the dedup index', async () => parseWatermark((await this.#redis.hget(key, 'wm')) ?? '', key));
  }

  async nowMicros(): Promise<number> {
    return this.#ask('read the clock of the dedup index', async () => {
      const [memory, [seconds, micros]] = await Promise.all([this.#redis.info('memory'), this.#redis.time()]);
      checkMemory(memory);
      return Number(seconds) * 1_000_000 + Number(micros);
    });
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    // While the client waits to connect again, no connection ends, and no end is announced.
    const ended = ['ready', 'connect', 'connecting'].includes(this.#redis.status) ? once(this.#redis, 'end') : undefined;
    this.#redis.disconnect();
    await ended;
  }

  /** The shard's state; its braces are the hash tag that keeps all of the shard's keys on one node. */
  #key(shard: number): string {
    return `lineproof:{${this.#origin}/${shard}}:window`;
  }

  async #run(key: string, args: readonly (string | Buffer)[]): Promise<Buffer> {
    try {
      return (await this.#redis.callBuffer('EVALSHA', SHA, 1, key, ...args)) as Buffer;
    } catch (error) {
      if (!messageOf(error).startsWith('NOSCRIPT')) throw error;
      return (await this.#redis.callBuffer('EVAL', WINDOW_SCRIPT, 1, key, ...args)) as Buffer;
    }
  }

  async #ask<T>(act: string, ask: () => Promise<T>): Promise<T> {
    if (this.#closed) throw new LineproofError('UNAVAILABLE', `cannot ${act}: it is closed`);
    try {
      return await ask();
    } catch (error) {
      throw redisError(act, error, this.#complaint);
    }
  }
}

function client({ url, tls, requestTimeoutMs }: RedisSettings): Redis {
  const { protocol, host, port, username, password, db } = parseRedisUrl(url);
  if (tls !== undefined && protocol !== 'rediss:') {
    throw new LineproofError('CONFIG_INVALID', 'cannot use Redis: authorities and certificates are given, but its URL is not rediss://');
  }
  return new Redis({
    host,
    port,
    db,
    protocol: 2,
    ...(username === '' ? {} : { username }),
    ...(password === '' ? {} : { password }),
    ...(protocol === 'rediss:' ? { tls: { ...tls, ...(isIP(host) === 0 ? { servername: host } : {}) } } : {}),
    lazyConnect: true,
    disableClientInfo: true,
    connectTimeout: requestTimeoutMs,
    disconnectTimeout: 500,
    commandTimeout: requestTimeoutMs,
    // A connection on which nothing comes back is given up, so that the next call gets a new one.
    socketTimeout: 2 * requestTimeoutMs,
    // The client never repeats an unanswered command by itself: the caller knows which calls may be repeated.
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    enableOfflineQueue: false,
    retryStrategy: (times: number) => Math.min(25 * 2 ** Math.min(times, 10), 1_000),
  });
}

/** The parts of a Redis URL. Throws CONFIG_INVALID, without the URL: it may hold a password. */
export function parseRedisUrl(url: string): {
  readonly protocol: 'redis:' | 'rediss:';
  readonly host: string;
  readonly port: number;
  readonly username: string;
  readonly password: string;
  readonly db: number;
} {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  const db = /^\/?(\d{0,5})$/.exec(parsed?.pathname ?? '')?.[1];
  if (parsed === undefined || parsed.hostname === '' || db === undefined || parsed.search !== '' || parsed.hash !== '')
    throw new LineproofError('CONFIG_INVALID', 'cannot use the Redis URL: it is not redis[s]://[user][:password]@host[:port][/db]');
  const { protocol } = parsed;
  if (protocol !== 'redis:' && protocol !== 'rediss:')
    throw new LineproofError('CONFIG_INVALID', 'cannot use the Redis URL: it starts with neither redis:// nor rediss://');
  try {
    return {
      protocol,
      host: parsed.hostname.replace(/^\[(.*)\]$/, '$1'),
      port: parsed.port === '' ? 6379 : Number(parsed.port),
      username: decodeURIComponent(parsed.username),
      password: decodeURIComponent(parsed.password),
      db: Number(db),
    };
  } catch {
    throw new LineproofError('CONFIG_INVALID', 'cannot use the Redis URL: its user name or password has a % that starts no escape');
  }
}

function packEntries(entries: readonly DedupEntry[]): Buffer {
  const packed = Buffer.allocUnsafe(entries.length * ENTRY_BYTES);
  for (const [i, { key, slot, logIndex, digest }] of entries.entries()) {
    if (key.length !== KEY_BYTES || digest.length !== DIGEST_BYTES)
      throw new LineproofError('INTERNAL', 'cannot add to the dedup index: a key or digest does not have 16 bytes');
    const at = i * ENTRY_BYTES;
    packed.set(key, at);
    packed.writeUIntBE(slot, at + 16, 6);
    packed.writeUInt32BE(Math.floor(logIndex / 2 ** 32), at + 22);
    packed.writeUInt32BE(logIndex % 2 ** 32, at + 26);
    packed.set(digest, at + 30);
  }
  return packed;
}

function packKeys(keys: readonly Uint8Array[]): Buffer {
  const packed = Buffer.allocUnsafe(keys.length * KEY_BYTES);
  for (const [i, key] of keys.entries()) {
    if (key.length !== KEY_BYTES) throw new LineproofError('INTERNAL', 'cannot look up in the dedup index: a key does not have 16 bytes');
    packed.set(key, i * KEY_BYTES);
  }
  return packed;
}

function unpackHits(packed: Buffer, count: number): readonly (DedupHit | undefined)[] {
  const hits: (DedupHit | undefined)[] = Array.from({ length: count });
  for (let at = 0; at < packed.length; at += HIT_BYTES) {
    const logIndex = packed.readUInt32BE(at + 4) * 2 ** 32 + packed.readUInt32BE(at + 8);
    hits[packed.readUInt32BE(at)] = { logIndex, digest: new Uint8Array(packed.subarray(at + 12, at + HIT_BYTES)) };
  }
  return hits;
}

function formatWatermark(watermark: Watermark): string {
  if (watermark.kind === 'at') return `at ${watermark.size} ${watermark.chainOffset} ${watermark.seal}`;
  if (watermark.kind === 'building') return `building ${watermark.step} ${watermark.token}`;
  return '';
}

/** The watermark in `text`, as it was stored under `key`. Throws CONFIG_INVALID if another program wrote it. */
function parseWatermark(text: string, key: string): Watermark {
  if (text === '') return { kind: 'absent' };
  const [, kind, first, rest = ''] = /^(at|building) (-?\d{1,16}) (.*)$/s.exec(text) ?? [];
  const [, chainOffset, seal] = /^(-?\d{1,16}) (.*)$/s.exec(rest) ?? [];
  if (kind === 'building') return { kind, token: rest, step: Number(first) };
  if (kind === 'at' && seal !== undefined) return { kind, size: Number(first), seal, chainOffset: Number(chainOffset) };
  throw new LineproofError(
    'CONFIG_INVALID',
    `cannot use the dedup index: ${key} in Redis does not hold a watermark of Lineproof; find out which other program writes there`,
  );
}
