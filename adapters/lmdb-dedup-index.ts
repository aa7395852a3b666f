import { randomBytes } from 'node:crypto';
import type { Database } from 'lmdb';
import type { DedupEntry, DedupHit, DedupIndex, Watermark, WindowAnswer, WindowCall } from '../core/ports/dedup-index.ts';
import { Environment } from './lmdb-environment.ts';

const ABSENT: Watermark = { kind: 'absent' };
const KEY_BYTES = 16;
/** Shard and key. */
const ENTRY_KEY_BYTES = 4 + KEY_BYTES;
/** Slot, index, digest. */
const ENTRY_BYTES = 8 + 8 + 16;
const LIST_ID_BYTES = 8;

/** Opens the embedded {@link DedupIndex} in `folder`. */
export async function openLmdbDedupIndex(folder: string): Promise<DedupIndex> {
  return new LmdbDedupIndex(new Environment(folder));
}

/** Entries by (shard, key), and by (shard, slot) lists of the keys to drop when the slot leaves the window: a row for each key would double what is written. */
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
    // A call that only looks up needs no transaction: no write comes between reads of one turn of the event loop.
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
      this.#add(shard, add);
      if (dropBelowSlot !== undefined) this.#drop(shard, dropBelowSlot);
      void this.#watermarks.put(shard, next);
    }
    return this.#answer(call);
  }

  /** Looks up if the stored watermark is `next`, which the call leaves behind; else answers the stored one. */
  #answer({ shard, next, lookup }: WindowCall): WindowAnswer {
    const watermark = this.#stored(shard);
    return same(watermark, next) ? { ok: true, hits: this.#find(shard, lookup) } : { ok: false, watermark };
  }

  #stored(shard: number): Watermark {
    return this.#watermarks.get(shard) ?? ABSENT;
  }

  /** Of two entries of one key, the one with the higher index stays, whatever the order in which they come. */
  #add(shard: number, entries: readonly DedupEntry[]): void {
    const bytes = Buffer.allocUnsafe(entries.length * (ENTRY_KEY_BYTES + ENTRY_BYTES));
    const bySlot = new Map<number, Uint8Array[]>();
    for (const [i, { key, logIndex, digest, slot }] of entries.entries()) {
      const at = i * (ENTRY_KEY_BYTES + ENTRY_BYTES);
      const entryKey = bytes.subarray(at, at + ENTRY_KEY_BYTES);
      const entry = bytes.subarray(at + ENTRY_KEY_BYTES, at + ENTRY_KEY_BYTES + ENTRY_BYTES);
      writeEntryKey(entryKey, shard, key);
      const known = this.#entries.get(entryKey);
      if (known !== undefined && Number(known.readBigUInt64BE(8)) > logIndex) continue;
      writeU64(entry, 0, slot);
      writeU64(entry, 8, logIndex);
      entry.set(digest, 16);
      void this.#entries.put(entryKey, entry);
      const keys = bySlot.get(slot) ?? [];
      keys.push(key);
      bySlot.set(slot, keys);
    }
    for (const [slot, keys] of bySlot) void this.#slots.put(slotKey(shard, slot, randomBytes(LIST_ID_BYTES)), Buffer.concat(keys));
  }

  /** Forgets the slots below `slot`. An identity that was added again in a later slot stays. */
  #drop(shard: number, slot: number): void {
    const dropped = [...this.#slots.getRange({ start: slotKey(shard, 0), end: slotKey(shard, slot) })];
    const entryKey = Buffer.allocUnsafe(ENTRY_KEY_BYTES);
    for (const { key: listKey, value: keys } of dropped) {
      for (let at = 0; at < keys.length; at += KEY_BYTES) {
        writeEntryKey(entryKey, shard, keys.subarray(at, at + KEY_BYTES));
        const entry = this.#entries.get(entryKey);
        if (entry !== undefined && entry.readBigUInt64BE(0) === listKey.readBigUInt64BE(4))
          void this.#entries.remove(Buffer.from(entryKey));
      }
      void this.#slots.remove(listKey);
    }
  }

  #find(shard: number, keys: readonly Uint8Array[]): (DedupHit | undefined)[] {
    const entryKey = Buffer.allocUnsafe(ENTRY_KEY_BYTES);
    return keys.map((key) => {
      writeEntryKey(entryKey, shard, key);
      const entry = this.#entries.get(entryKey);
      return entry === undefined
        ? undefined
        : { logIndex: Number(entry.readBigUInt64BE(8)), digest: new Uint8Array(entry.subarray(16, ENTRY_BYTES)) };
    });
  }
}

function writeEntryKey(out: Buffer, shard: number, key: Uint8Array): void {
  out.writeUInt32BE(shard, 0);
  out.set(key, 4);
}

/** Without a `list`, the place before all lists of the slot. */
function slotKey(shard: number, slot: number, list: Uint8Array = new Uint8Array(0)): Buffer {
  const bytes = Buffer.alloc(12 + list.length);
  bytes.writeUInt32BE(shard, 0);
  writeU64(bytes, 4, slot);
  bytes.set(list, 12);
  return bytes;
}

/** A safe integer in 8 bytes, big-endian; a bigint for each costs more than all else here. */
function writeU64(out: Buffer, at: number, value: number): void {
  out.writeUInt32BE(Math.floor(value / 2 ** 32), at);
  out.writeUInt32BE(value % 2 ** 32, at + 4);
}

function same(a: Watermark, b: Watermark): boolean {
  if (a.kind === 'at') return b.kind === 'at' && a.size === b.size && a.seal === b.seal && a.chainOffset === b.chainOffset;
  if (a.kind === 'building') return b.kind === 'building' && a.token === b.token && a.step === b.step;
  return b.kind === 'absent';
}
