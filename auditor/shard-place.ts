import type { Manifest } from '../core/archive/manifest.ts';
import type { ArchiveReader } from './archive-reader.ts';

/** The archive's objects, and the shard that is looked at. */
export interface ShardPlace {
  readonly objects: ArchiveReader;
  /** Every object of the shard's log with its size. */
  readonly listed: ReadonlyMap<string, number>;
  readonly origin: string;
  readonly shard: number;
}

/** A manifest that can be read. */
export interface StoredManifest {
  readonly key: string;
  /** Hex SHA-256 of its payload. */
  readonly digest: string;
  readonly manifest: Manifest;
}
