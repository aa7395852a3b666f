import type { Database } from 'lmdb';
import type { DedupEntry, DedupHit, DedupIndex, Watermark, WindowAnswer, WindowCall } from '../core/ports/dedup-index.ts';
import { Environment } from './lmdb-environment.ts';

const ABSENT: Watermark = { kind: 'absent' };
const KEY_BYTES = 16;

/** Opens the embedded {@link DedupIndex} in `folder`. */
export async function openLmdbDedupIndex(folder: string): Promise<DedupIndex> {
  return new LmdbDedupIndex(new Environment(folder));
}

/** Entries by (shard, key), and per (shard, slot, key) what to drop when a slot leaves the window. */
class LmdbDedupIndex implements DedupIndex {
  readonly #environment: Environment;
  readonly #entries: Database<Buffer, Buffer>;
  readonly #slots: Database<Buffer, Buffer>;
  readonly #watermarks: Database<Watermark, number>;

  constructor(environment: Environment) {
    this.#environment = environment;
    this.#entries = environment.root.openDB('entries', { encoding: 'binary', keyEncoding: 'binary' });
    this.#slots = environment.root.openDB('slots', { encoding: 'binary', keyEncoding: 'binary' });
    this.#watermarks = environment.root.openDB('watermarks', { encoding: 'json' });
  }

  async window(call: WindowCall): Promise<WindowAnswer> {
    this.#environment.mustBeOpen('read the dedup index');
    // What only looks up needs no transaction: nothing comes between reads of one turn.
    if (!call.wipe && same(call.next, call.expect)) return this.#answer(call);
    return this.#environment.write('write the dedup index', () => this.#step(call));
  }

  async watermark(shard: number): Promise<Watermark> {
    this.#environment.mustBeOpen('read the dedup index');
    return this.#stored(shard);
  }

  async nowMicros(): Promise<undefined> {
    return undefined;
  }

  async close(): Promise<void> {
    await this.#environment.close();
  }

  #step(call: WindowCall): WindowAnswer {
    const { shard, expect, next, add, dropBelowSlot, wipe } = call;
    if (same(this.#stored(shard), expect)) {
      if (wipe) this.#drop(shard, Number.MAX_SAFE_INTEGER);
      for (const entry of add) this.#add(shard, entry);
      if (dropBelowSlot !== undefined) this.#drop(shard, dropBelowSlot);
      void this.#watermarks.put(shard, next);
    }
    return this.#answer(call);
  }

  /** The look-up, where the stored watermark is the one that the call leaves behind. */
  #answer({ shard, next, lookup }: WindowCall): WindowAnswer {
    const watermark = this.#stored(shard);
    return same(watermark, next) ? { ok: true, hits: lookup.map((key) => this.#find(shard, key)) } : { ok: false, watermark };
  }

  #stored(shard: number): Watermark {
    return this.#watermarks.get(shard) ?? ABSENT;
  }

  #add(shard: number, { key, logIndex, digest, slot }: DedupEntry): void {
    const value = Buffer.alloc(32);
    value.writeBigUInt64BE(BigInt(slot), 0);
    value.writeBigUInt64BE(BigInt(logIndex), 8);
    value.set(digest, 16);
    void this.#entries.put(entryKey(shard, key), value);
    void this.#slots.put(slotKey(shard, slot, key), Buffer.alloc(0));
  }

  /** Forgets the slots below `slot`. An identity that was added again in a later slot stays. */
  #drop(shard: number, slot: number): void {
    const dropped = [...this.#slots.getKeys({ start: slotKey(shard, 0), end: slotKey(shard, slot) })];
    for (const key of dropped) {
      const id = key.subarray(12);
      const entry = this.#entries.get(entryKey(shard, id));
      if (entry !== undefined && entry.readBigUInt64BE(0) === key.readBigUInt64BE(4)) void this.#entries.remove(entryKey(shard, id));
      void this.#slots.remove(key);
    }
  }

  #find(shard: number, key: Uint8Array): DedupHit | undefined {
    const entry = this.#entries.get(entryKey(shard, key));
    return entry === undefined ? undefined : { logIndex: Number(entry.readBigUInt64BE(8)), digest: new Uint8Array(entry.subarray(16, 32)) };
  }
}

function entryKey(shard: number, key: Uint8Array): Buffer {
  const bytes = Buffer.alloc(4 + KEY_BYTES);
  bytes.writeUInt32BE(shard, 0);
  bytes.set(key, 4);
  return bytes;
}

function slotKey(shard: number, slot: number, key: Uint8Array = new Uint8Array(0)): Buffer {
  const bytes = Buffer.alloc(12 + key.length);
  bytes.writeUInt32BE(shard, 0);
  bytes.writeBigUInt64BE(BigInt(slot), 4);
  bytes.set(key, 12);
  return bytes;
}

function same(a: Watermark, b: Watermark): boolean {
  if (a.kind === 'at') return b.kind === 'at' && a.size === b.size && a.seal === b.seal && a.chainOffset === b.chainOffset;
  if (a.kind === 'building') return b.kind === 'building' && a.token === b.token && a.step === b.step;
  return b.kind === 'absent';
}
