const MiB = 1024 * 1024;

/** Bounds of what an audit holds in memory, so that an archive cannot decide how much that is. What lies beyond is named, and is not checked. */
export interface AuditLimits {
  /** Objects of an archive: about 300 bytes each. */
  readonly objects: number;
  /** Bytes of all notes that may change while the archive is read. An honest one has less than 1 KiB. */
  readonly noteBytes: number;
  /** Bytes of the manifests of one shard. An honest one has about 2 KiB. */
  readonly manifestBytes: number;
}

export const AUDIT_LIMITS: AuditLimits = { objects: 5_000_000, noteBytes: 64 * MiB, manifestBytes: 512 * MiB };
