/** One change of a transaction; `value` undefined deletes. */
export interface StateChange {
  readonly key: string;
  readonly value: Uint8Array | undefined;
}

/**
 * A process's own durable memory: a small ordered key-value store. Derived data, never a commit point of evidence.
 * Keys are 1 to 500 bytes of UTF-8, ordered by their bytes. UNAVAILABLE after `close`.
 */
export interface StateStore {
  get(key: string): Promise<Uint8Array | undefined>;
  /** Entries whose key starts with `prefix`, in key order, from one moment's view. */
  entries(prefix: string): AsyncIterable<readonly [string, Uint8Array]>;
  /** Applies all changes or none; durable when resolved. Throws DISK_FULL or IO_FAILED, having applied none. */
  commit(changes: readonly StateChange[]): Promise<void>;
  close(): Promise<void>;
}
