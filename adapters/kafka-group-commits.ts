import type { Clock } from '../core/ports/clock.ts';

/** How far commits got, for health and metrics. */
export interface CommitState {
  /** First offset of each shard that is not consumed, as the group took it last; only shards of this member. */
  readonly taken: ReadonlyMap<number, number>;
  /** Milliseconds since the oldest offset was handed over that the group did not take yet; undefined if none waits. */
  readonly waitsMs: number | undefined;
}

/** The consumed offsets of this member's shards on their way to the group. An offset is kept until the group took it, or a newer one replaces it. */
export class GroupCommits {
  readonly #clock: Clock;
  readonly #waiting = new Map<number, number>();
  readonly #taken = new Map<number, number>();
  #shards: ReadonlySet<number> = new Set();
  #waitingSinceMs: number | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Keeps offsets of these shards only: another member commits the others, and an old offset of ours would set them back. */
  assigned(shards: ReadonlySet<number>): void {
    this.#shards = shards;
    for (const map of [this.#waiting, this.#taken]) for (const shard of map.keys()) if (!shards.has(shard)) map.delete(shard);
    if (this.#waiting.size === 0) this.#waitingSinceMs = undefined;
  }

  put(shard: number, offset: number): void {
    if (!this.#shards.has(shard)) return;
    this.#waiting.set(shard, offset);
    this.#waitingSinceMs ??= this.#clock.monotonicMs();
  }

  /** Sends what waits; false if nothing does. What `commit` throws is thrown, and nothing of it is lost. */
  async send(commit: (offsets: ReadonlyMap<number, number>) => Promise<void>): Promise<boolean> {
    if (this.#waiting.size === 0) return false;
    const sent = new Map(this.#waiting);
    const sentMs = this.#clock.monotonicMs();
    await commit(sent);
    for (const [shard, offset] of sent) {
      if (!this.#shards.has(shard)) continue;
      this.#taken.set(shard, offset);
      if (this.#waiting.get(shard) === offset) this.#waiting.delete(shard);
    }
    this.#waitingSinceMs = this.#waiting.size === 0 ? undefined : sentMs;
    return true;
  }

  state(): CommitState {
    const since = this.#waitingSinceMs;
    return { taken: this.#taken, waitsMs: since === undefined ? undefined : this.#clock.monotonicMs() - since };
  }
}
