/**
 * The processes that share the shards of one kind of work. Normally one process at a time works on a shard.
 * Nothing relies on this: a member may find out late that it lost a shard.
 */
export interface ShardGroup {
  /**
   * Joins and stays a member until `signal` aborts; then leaves, so that others take over at once. `changed` is called with every
   * assignment, and with an empty one when membership ends. It resolves when the work on lost shards has ended.
   * Throws UNAVAILABLE or CONFIG_INVALID if membership cannot be kept.
   */
  join(changed: (shards: ReadonlySet<number>) => Promise<void>, signal: AbortSignal): Promise<void>;
  /** True while the shard is assigned to this member and its last heartbeat is recent enough that the group cannot have reassigned it. */
  owns(shard: number): boolean;
  /** Tells the group how far the shard's input is consumed: `offset` is the first that is not consumed. Used only to watch the lag. Never throws. */
  committed(shard: number, offset: number): void;
  /** How many processes share the shards, including this one; undefined while this process is not a member. Throws UNAVAILABLE. */
  members(): Promise<number | undefined>;
}
