/**
 * The processes that share the shards of one kind of work, each shard worked on by one of them at a time, as far as anybody can know.
 * Nothing rests on that being so: a member may find out late that it lost a shard.
 */
export interface ShardGroup {
  /**
   * Joins and stays a member until `signal` aborts; then leaves, so that others take over at once. `changed` is told every assignment, an empty
   * one when membership ends, and resolves when work on the shards that went away has ended.
   * Throws UNAVAILABLE or CONFIG_INVALID where membership cannot be kept.
   */
  join(changed: (shards: ReadonlySet<number>) => Promise<void>, signal: AbortSignal): Promise<void>;
  /** Whether the shard is assigned to this member, and the group heard of it so lately that nobody else can have it. */
  owns(shard: number): boolean;
  /** Tells the group how far the shard's input was consumed: `offset` is the first that was not. For those who watch lag; never throws. */
  committed(shard: number, offset: number): void;
  /** How many processes share the shards, this one among them; undefined while it is not one of them. Throws UNAVAILABLE. */
  members(): Promise<number | undefined>;
}
