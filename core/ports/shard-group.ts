/**
 * The processes that share the shards of one kind of work. Normally one process at a time works on a shard.
 * Nothing relies on this: a member may find out late that it lost a shard.
 */
export interface ShardGroup {
  /**
   * Joins and stays a member until `signal` aborts; then leaves, so that others take over at once. Whatever passes is waited for. `changed` is called with
   * every assignment, and with an empty one when membership ends. It resolves when the work on lost shards has ended.
   * Throws CONFIG_INVALID if only an operator can make membership possible. May be called again after it ended.
   */
  join(changed: (shards: ReadonlySet<number>) => Promise<void>, signal: AbortSignal): Promise<void>;
  /** True while the shard is assigned to this member and its last heartbeat is recent enough that the group cannot have reassigned it. */
  owns(shard: number): boolean;
  /**
   * Tells the group how far the shard's input is consumed: `offset` is the first that is not consumed. It is sent until the group took it or a newer one
   * replaces it. Used only to watch the lag. Never throws.
   */
  committed(shard: number, offset: number): void;
  /** How many processes share the shards, including this one; undefined while this process is not a member. Throws UNAVAILABLE. */
  members(): Promise<number | undefined>;
  /** What this process knows of its membership now. */
  state(): GroupState;
}

/** Membership as this process knows it; ages in milliseconds of the monotonic clock. */
export interface GroupState {
  /** The group gave this process an assignment and has not refused it since; it may be sharing anew, within the session. */
  readonly member: boolean;
  /** Since the newest heartbeat that the group answered was sent; undefined before the first. */
  readonly heardAgeMs: number | undefined;
  /** Since the group began to answer, without a gap in which it could have given the shards to others; 0 if there is such a gap now. */
  readonly heardForMs: number;
  /** Since the present step of the membership began, which is bounded while it makes progress or waits for servers. */
  readonly turnAgeMs: number;
  /** Since the oldest consumed offset was handed over that the group did not take; undefined if none waits. */
  readonly commitWaitsMs: number | undefined;
  /** What the group took last, by shard. */
  readonly committed: ReadonlyMap<number, number>;
  /** Why the last call failed; undefined if it did not. */
  readonly problem: string | undefined;
  readonly commitProblem: string | undefined;
}
