import { createHash, randomBytes } from 'node:crypto';
import type { Cluster, Redis } from 'ioredis';
import { LineproofError, messageOf } from '../core/base/errors.ts';
import type { DedupEntry, DedupHit, DedupIndex, Watermark, WindowAnswer, WindowCall } from '../core/ports/dedup-index.ts';
import type { Logger } from '../core/ports/logger.ts';
import { RedisConnection, type RedisSettings } from './redis-connection.ts';
import { checkMemory } from './redis-refusals.ts';
import { ENTRY_BYTES, HIT_BYTES, WINDOW_SCRIPT } from './redis-window-script.ts';

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
  readonly #redis: RedisConnection;
  readonly #origin: string;

  constructor(settings: RedisSettings, origin: string, logger: Logger) {
    this.#origin = origin;
    this.#redis = new RedisConnection(settings, logger);
  }

  /** Connects and checks that this Redis takes writes and does not evict. */
  open(): Promise<void> {
    return this.#redis.open();
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
    return this.#redis.ask('use the dedup index', async (redis) => {
      const answer = await run(redis, key, args);
      if (answer[0] === 0x31) return { ok: true, hits: unpackHits(answer.subarray(1), lookup.length) };
      return { ok: false, watermark: parseWatermark(answer.toString('utf8', 1), key) };
    });
  }

  watermark(shard: number): Promise<Watermark> {
    const key = this.#key(shard);
    return this.#redis.ask('read the watermark of the dedup index', async (redis) =>
      parseWatermark((await redis.hget(key, 'wm')) ?? '', key),
    );
  }

  /** Of several primaries, the clock that is furthest from this one. */
  async nowMicros(): Promise<number> {
    const times = await this.#redis.askEach('read the clock of the dedup index', async (primary) => {
      const [memory, [seconds, micros]] = await Promise.all([primary.info('memory'), primary.time()]);
      checkMemory(memory);
      return Number(seconds) * 1_000_000 + Number(micros);
    });
    const here = Date.now() * 1_000;
    return times.reduce((furthest, time) => (Math.abs(time - here) > Math.abs(furthest - here) ? time : furthest));
  }

  close(): Promise<void> {
    return this.#redis.close();
  }

  /** The shard's state; its braces are the hash tag that keeps all of the shard's keys on one node. */
  #key(shard: number): string {
    return `lineproof:{${this.#origin}/${shard}}:window`;
  }
}

async function run(redis: Redis | Cluster, key: string, args: readonly (string | Buffer)[]): Promise<Buffer> {
  try {
    return (await redis.callBuffer('EVALSHA', SHA, 1, key, ...args)) as Buffer;
  } catch (error) {
    if (!messageOf(error).startsWith('NOSCRIPT')) throw error;
    return (await redis.callBuffer('EVAL', WINDOW_SCRIPT, 1, key, ...args)) as Buffer;
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
