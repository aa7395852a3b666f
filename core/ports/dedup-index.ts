/**
 * The place in a shard's chain up to which the index is filled.
 * `at`: the index holds every identity of the window up to the block whose seal is leaf `size` − 1 with leaf hash `seal` (hex), at chain offset `chainOffset`.
 * `building`: a rebuild with this token has written `step` chunks.
 */
export type Watermark =
  | { readonly kind: 'absent' }
  | { readonly kind: 'at'; readonly size: number; readonly seal: string; readonly chainOffset: number }
  | { readonly kind: 'building'; readonly token: string; readonly step: number };

/** One remembered identity: its 16-byte key and its entry. */
export interface DedupEntry {
  /** `H(0x04 ‖ …)[:16]` of an event's identity or `H(0x06 ‖ header)[:16]` of a batch header. */
  readonly key: Uint8Array;
  /** Tree index of the link (events), of the block's seal (headers). */
  readonly logIndex: number;
  /** First 16 bytes of the event digest (events), of `H(header)` (headers). */
  readonly digest: Uint8Array;
  /** The number of its time slot, floor(appendedAt / slot length). Slots are dropped as a whole. */
  readonly slot: number;
}

export interface WindowCall {
  readonly shard: number;
  readonly expect: Watermark;
  readonly next: Watermark;
  readonly add: readonly DedupEntry[];
  /** Drop every slot below this number; undefined drops none. */
  readonly dropBelowSlot?: number;
  /** Empty the shard's index first. */
  readonly wipe: boolean;
  readonly lookup: readonly Uint8Array[];
}

/** The entry of a looked-up key. If the key has several, the newest in the log, whatever the order in which they were added. */
export interface DedupHit {
  readonly logIndex: number;
  readonly digest: Uint8Array;
}

export type WindowAnswer =
  | { readonly ok: true /** One per looked-up key, in order. */; readonly hits: readonly (DedupHit | undefined)[] }
  | { readonly ok: false; readonly watermark: Watermark };

/**
 * The dedup window of each shard, as of a watermark that is kept beside it.
 * Derived data: losing it costs a rebuild, never correctness. UNAVAILABLE after `close`.
 */
export interface DedupIndex {
  /**
   * One atomic step, which depends on the stored watermark; an absent one equals `{kind: 'absent'}`.
   * - It equals `expect`: wipes if asked, adds, drops old slots, stores `next` last, and looks up. If `next` equals `expect` and `wipe` is false, only looks up.
   * - It equals `next`: this very call was delivered before. Writes nothing, and looks up.
   * - It is another one: writes nothing, and answers the stored watermark.
   *
   * Entries added by this call are visible to its look-up. An index that finds that a part of it was lost is absent from then on, and answers so.
   * Throws UNAVAILABLE when the outcome is unknown: the same call may be sent again.
   */
  window(call: WindowCall): Promise<WindowAnswer>;
  /** The stored watermark. */
  watermark(shard: number): Promise<Watermark>;
  /**
   * The index's own clock, microseconds since 1970; undefined if it shares the process's clock. Called now and then while the index is in use.
   * Throws INDEX_FORGETS if the index's server has since been configured to drop entries by itself, and UNAVAILABLE if it gives no answer.
   */
  nowMicros(): Promise<number | undefined>;
  close(): Promise<void>;
}
