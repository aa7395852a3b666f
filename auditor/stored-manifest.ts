import type { Manifest } from '../core/archive/manifest.ts';
import type { VerifierKey } from '../core/keys/key.ts';

/** A manifest of the archive that can be read. */
export interface StoredManifest {
  readonly key: string;
  /** Hex SHA-256 of its payload. */
  readonly digest: string;
  readonly manifest: Manifest;
  /** The log keys that signed it. */
  readonly signers: readonly VerifierKey[];
}
