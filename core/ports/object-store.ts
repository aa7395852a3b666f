/** An object as read, with the tag that a compare-and-swap names. */
export interface StoredObject {
  readonly bytes: Uint8Array;
  /** Opaque; changes whenever the content is replaced. */
  readonly etag: string;
}

export interface ListedObject {
  readonly key: string;
  readonly size: number;
}

/** Bytes `start` inclusive to `end` exclusive. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** The bytes of a large object, piece by piece. Can be gone through again, for another try, and then gives the same bytes. */
export type Pieces = AsyncIterable<Uint8Array>;

/**
 * A bucket. Keys are `/`-separated relative paths of at most 512 bytes; each part has 1 to 200 of A–Z a–z 0–9 `.` `-` `_` and does not start with `.`.
 * Any other key throws FORMAT_INVALID. A caller must not put an object below another object's key: a folder could not hold both.
 * Durable when resolved; throws UNAVAILABLE (retryable) when the outcome is unknown.
 */
export interface ObjectStore {
  /** The object, or the part of it that is in `range`; undefined when there is none. Only the tag of a whole object can be used to replace it. */
  get(key: string, range?: ByteRange): Promise<StoredObject | undefined>;
  /**
   * Writes an object unless `key` exists (`If-None-Match: *`): true when written, false when an object exists, which is left unchanged. Of `Pieces`, a few MiB
   * are held at a time; an error that they throw is passed on, and then nothing is written.
   */
  create(key: string, content: Uint8Array | Pieces): Promise<boolean>;
  /** Replaces the object if its tag is still `etag` (undefined: there is none). Returns the new tag, or undefined when another writer was faster. */
  replace(key: string, bytes: Uint8Array, etag: string | undefined): Promise<string | undefined>;
  /** Keys that start with `prefix` (empty, or the beginning of a key), in byte order. Keys that are written meanwhile may be listed or not. */
  list(prefix: string): AsyncIterable<ListedObject>;
  /** Removes the object; no error if there is none. */
  delete(key: string): Promise<void>;
  close(): Promise<void>;
}
