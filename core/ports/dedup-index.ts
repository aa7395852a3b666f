/**
 * The place in a shard's chain up to which the index is filled.
 * `at`: holds every id of the window up to the block whose seal is leaf `size` − 1 with leaf hash `seal` (hex), at chain offset `chainOffset`.
 * `building`: a rebuild with this token has written `step` chunks.
 */
export type Watermark =
  | { readonly kind: 'absent' }
  | { readonly kind: 'at'; readonly size: number; readonly seal: string; readonly chainOffset: number }
  | { readonly kind: 'building'; readonly token: string; readonly step: number };

/** One remembered identity: 16-byte key, and what it stands for. */
export interface DedupEntry {
  /** `H(0x04 ‖ …)[:16]` of an event's identity or `H(0x06 ‖ header)[:16]` of a batch header. */
  readonly key: Uint8Array;
  /** Tree index of the link (events), of the block's seal (headers). */
  readonly logIndex: number;
  /** First 16 bytes of the event digest (events), of `H(header)` (headers). */
  readonly digest: Uint8Array;
  /** Time slot in which the entry is dropped as a whole: floor(appendedAt / slot length). */
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

/** What a looked-up key stands for; the newest entry in the log, in whatever order they were added. */
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
   * One atomic step. If the stored watermark equals `expect`: unless `next` equals `expect` and `wipe` is false, wipe if asked, add, drop
   * old slots and store `next` last. Otherwise, if the stored watermark is not `next`, answers the stored one and writes nothing.
   * If it is `next` already, this very call was delivered twice: nothing is written. Then looks up. An absent watermark equals `{kind: 'absent'}`.
   * Entries added by this call are visible to its look-up. An index that finds a part of itself lost is absent from then on, and answers so. Throws UNAVAILABLE when the outcome is unknown: the same call may be sent again.
   */
  window(call: WindowCall): Promise<WindowAnswer>;
  /** The stored watermark. */
  watermark(shard: number): Promise<Watermark>;
  /**
   * The index's own clock, microseconds since 1970; undefined where it shares the process's clock. Asked now and then while the index is in use:
   * throws INDEX_FORGETS where the index was set, since it was opened, to forget by itself, and UNAVAILABLE where it gives no answer.
   */
  nowMicros(): Promise<number | undefined>;
  close(): Promise<void>;
}
