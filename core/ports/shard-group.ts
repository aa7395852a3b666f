/**
 * The processes that share the shards of one kind of work. As far as anybody can know, one process at a time works on a shard.
 * Nothing rests on that being so: a member may find out late that it lost a shard.
 */
export interface ShardGroup {
  /**
   * Joins and stays a member until `signal` aborts; then leaves, so that others take over at once. `changed` is told every assignment, an empty
   * one when membership ends, and resolves when work on the shards that went away has ended.
   * Throws UNAVAILABLE or CONFIG_INVALID where membership cannot be kept.
   */
  join(changed: (shards: ReadonlySet<number>) => Promise<void>, signal: AbortSignal): Promise<void>;
  /** True while the shard is assigned to this member and its last heartbeat is recent enough that the group cannot have reassigned it. */
  owns(shard: number): boolean;
  /** Tells the group how far the shard's input is consumed: `offset` is the first that is not. This only serves to watch lag. Never throws. */
  committed(shard: number, offset: number): void;
  /** How many processes share the shards, this one among them; undefined while it is not one of them. Throws UNAVAILABLE. */
  members(): Promise<number | undefined>;
}
