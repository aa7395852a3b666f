import { LineproofError } from '../../core/base/errors.ts';
import type { DedupEntry, DedupHit, DedupIndex, Watermark, WindowAnswer, WindowCall } from '../../core/ports/dedup-index.ts';

interface Shelf {
  watermark: Watermark;
  readonly entries: Map<string, DedupEntry>;
}

/** The dedup index in memory, with copies of it to be set back to. */
export class MemoryDedupIndex implements DedupIndex {
  #shelves = new Map<number, Shelf>();
  /** How far the index's clock is ahead of everybody else's, microseconds; undefined: it has no clock. */
  differ: number | undefined;
  /** Acts as a server that is configured to evict. */
  forgets = false;
  readonly #now: () => number;

  constructor(now: () => number = () => 0) {
    this.#now = now;
  }

  async window(call: WindowCall): Promise<WindowAnswer> {
    const shelf = this.#shelf(call.shard);
    if (same(shelf.watermark, call.expect)) {
      if (call.wipe || !same(call.next, call.expect)) write(shelf, call);
    } else if (!same(shelf.watermark, call.next)) return { ok: false, watermark: shelf.watermark };
    return { ok: true, hits: call.lookup.map((key) => hitOf(shelf.entries.get(textOf(key)))) };
  }

  async watermark(shard: number): Promise<Watermark> {
    return this.#shelf(shard).watermark;
  }

  async nowMicros(): Promise<number | undefined> {
    if (this.forgets) throw new LineproofError('INDEX_FORGETS', 'cannot use the dedup index: it may forget');
    return this.differ === undefined ? undefined : this.#now() + this.differ;
  }

  async close(): Promise<void> {
    // Nothing is held open.
  }

  /** Forgets everything, as a server that was flushed. */
  flush(): void {
    this.#shelves.clear();
  }

  /** Sets the index back to how it is now, when called. */
  copy(): () => void {
    const copies = [...this.#shelves].map(([shard, shelf]) => [shard, copyOf(shelf)] as const);
    return () => {
      this.#shelves = new Map(copies.map(([shard, shelf]) => [shard, copyOf(shelf)]));
    };
  }

  /** How many identities a shard remembers. */
  size(shard: number): number {
    return this.#shelf(shard).entries.size;
  }

  /** Acts as a program that writes a watermark that it must not write. */
  setWatermark(shard: number, watermark: Watermark): void {
    this.#shelf(shard).watermark = watermark;
  }

  #shelf(shard: number): Shelf {
    const shelf = this.#shelves.get(shard) ?? { watermark: { kind: 'absent' }, entries: new Map<string, DedupEntry>() };
    this.#shelves.set(shard, shelf);
    return shelf;
  }
}

function write(shelf: Shelf, { next, add, dropBelowSlot, wipe }: WindowCall): void {
  if (wipe) shelf.entries.clear();
  for (const entry of add) shelf.entries.set(textOf(entry.key), entry);
  for (const [key, { slot }] of shelf.entries) if (slot < (dropBelowSlot ?? 0)) shelf.entries.delete(key);
  shelf.watermark = next;
}

function hitOf(entry: DedupEntry | undefined): DedupHit | undefined {
  return entry === undefined ? undefined : { logIndex: entry.logIndex, digest: entry.digest };
}

function copyOf({ watermark, entries }: Shelf): Shelf {
  return { watermark, entries: new Map(entries) };
}

function textOf(key: Uint8Array): string {
  return Buffer.from(key).toString('hex');
}

function same(a: Watermark, b: Watermark): boolean {
  if (a.kind === 'at') return b.kind === 'at' && a.size === b.size && a.seal === b.seal && a.chainOffset === b.chainOffset;
  if (a.kind === 'building') return b.kind === 'building' && a.token === b.token && a.step === b.step;
  return b.kind === 'absent';
}
