import { compareCodePoints, utf8 } from '../base/bytes.ts';
import { canonicalJson } from '../base/jcs.ts';
import { count, digest, list, micros, object, orNull, readShape, text } from '../base/json-shape.ts';

/** One object of a segment as its manifest describes it. */
export interface ManifestObject {
  /** File name inside `segments/`. */
  readonly name: string;
  readonly size: number;
  /** Hex SHA-256 of the stored bytes. */
  readonly sha256: string;
  /** Hex SHA-256 of the decompressed block data: the same for every compressor. */
  readonly content: string;
}

export interface TimeRange {
  /** Microseconds since 1970, both inclusive. */
  readonly from: number;
  readonly to: number;
}

/** Counts of a segment, all derived from its leaves and evidence. */
export interface ManifestCounts {
  readonly links: number;
  readonly seals: number;
  readonly duplicates: number;
  readonly conflicts: number;
  /** REPEATED inputs. */
  readonly repeated: number;
  /** REJECTED inputs and REJECTED receipts. */
  readonly rejected: number;
  /** Offsets at which the input log holds nothing. */
  readonly empty: number;
  /** The highest `sampledOut` in an ACCEPTED header of each lane, summed over the segment's lanes. */
  readonly sampledOut: number;
  /** Links by producer, sorted by name. */
  readonly perProducer: readonly { readonly producer: string; readonly links: number }[];
}

/** A segment's inventory (docs/formats.md §5). Names no bucket, host or path: archives can be moved. */
export interface Manifest {
  /** `<origin>/<shard>`. */
  readonly origin: string;
  readonly first: number;
  readonly end: number;
  /** Hex root of the tree at `end`. */
  readonly root: string;
  readonly objects: readonly ManifestObject[];
  readonly counts: ManifestCounts;
  /** Null if the segment holds no links. */
  readonly occurred: TimeRange | null;
  readonly accepted: TimeRange;
  /** Hex digests, sorted. */
  readonly schemas: readonly string[];
  readonly policies: readonly string[];
  /** Input offsets consumed, by generation of the topic; `to` exclusive. */
  readonly offsets: readonly { readonly generation: number; readonly from: number; readonly to: number }[];
  /** Hex SHA-256 of the previous manifest's payload; null in the first. */
  readonly previous: string | null;
}

/** A sum for a manifest: at most 2^53 − 1, the largest number that JSON readers agree on. */
export function boundedSum(numbers: Iterable<number>): number {
  let sum = 0;
  for (const number of numbers) sum = Math.min(sum + number, Number.MAX_SAFE_INTEGER);
  return sum;
}

/** The payload: canonical JSON. */
export function encodeManifest(manifest: Manifest): Uint8Array {
  return utf8(canonicalJson(manifest));
}

/** Reads a payload; throws FORMAT_INVALID unless it has exactly the fields of a manifest, each well-formed. Does not compare them with the log. */
/** Links of each producer as a manifest lists them: sorted by the UTF-8 bytes of the name. */
export function perProducerOf(links: ReadonlyMap<string, number>): ManifestCounts['perProducer'] {
  return [...links].toSorted(([a], [b]) => compareCodePoints(a, b)).map(([producer, sum]) => ({ producer, links: sum }));
}

export function parseManifest(payload: Uint8Array): Manifest {
  return readShape(payload, MANIFEST, 'manifest') as Manifest;
}

const range = object({ from: micros, to: micros });
const COUNTS = object({
  links: count,
  seals: count,
  duplicates: count,
  conflicts: count,
  repeated: count,
  rejected: count,
  empty: count,
  sampledOut: count,
  perProducer: list(object({ producer: text, links: count })),
});
/** The form of one entry of `objects`, here and in retired.json. */
export const MANIFEST_OBJECT = object({ name: text, size: count, sha256: digest, content: digest });
const MANIFEST = object({
  origin: text,
  first: count,
  end: count,
  root: digest,
  objects: list(MANIFEST_OBJECT),
  counts: COUNTS,
  occurred: orNull(range),
  accepted: range,
  schemas: list(digest),
  policies: list(digest),
  offsets: list(object({ generation: count, from: count, to: count })),
  previous: orNull(digest),
});
