import { utf8 } from '../base/bytes.ts';
import { canonicalJson } from '../base/jcs.ts';
import { count, digest, list, object, readShape, text } from '../base/json-shape.ts';
import { MANIFEST_OBJECT, type ManifestObject } from './manifest.ts';

/** The statement of the files that retention removed from a segment (docs/formats.md §5): without it, a missing events file is MISSING. */
export interface Retired {
  /** `<origin>/<shard>`. */
  readonly origin: string;
  readonly first: number;
  readonly end: number;
  /** Hex SHA-256 of the payload of the segment's manifest, which stays. */
  readonly manifest: string;
  /** Hex digest of the policy whose retention allowed it. */
  readonly policy: string;
  /** The events files, as the manifest describes them. */
  readonly objects: readonly ManifestObject[];
}

const RETIRED = object({ origin: text, first: count, end: count, manifest: digest, policy: digest, objects: list(MANIFEST_OBJECT) });

/** The payload: canonical JSON. */
export function encodeRetired(retired: Retired): Uint8Array {
  return utf8(canonicalJson(retired));
}

/** Reads a payload; throws FORMAT_INVALID unless it has exactly the fields of {@link Retired}, each well-formed. */
export function parseRetired(payload: Uint8Array): Retired {
  return readShape(payload, RETIRED, 'retired.json') as Retired;
}
