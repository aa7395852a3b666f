import { inflateRawSync } from 'node:zlib';
import { sha256, sha256Stream } from '#crypto';
import { segmentSyncMarker } from '../core/acceptance/segment-rule.ts';
import { logKeysOf, parseArchiveKey, schemaKey } from '../core/archive/archive-keys.ts';
import { type Manifest, type ManifestObject, parseManifest } from '../core/archive/manifest.ts';
import { readContainer } from '../core/avro/ocf.ts';
import { SCHEMA_TEXTS } from '../core/avro/schema-texts.ts';
import { fromHex, toHex } from '../core/base/bytes.ts';
import { canonicalJson } from '../core/base/jcs.ts';
import { LIMITS } from '../core/base/limits.ts';
import { archivedEventSchema, decodeArchivedEvent } from '../core/formats/archived-event.ts';
import { type BlockEvidence, decodeBlockEvidence } from '../core/formats/block-evidence.ts';
import { attestedPayload } from './attestation.ts';
import type { AuditedRow } from './block-audit.ts';
import type { Findings } from './findings.ts';
import { type Governance, reason } from './policies.ts';
import { retiredObjects } from './retirement.ts';
import type { ShardPlace, StoredManifest } from './shard-place.ts';

/**
 * Records of one segment's files, decompressed: a segment ends with the block that reaches 65,536 leaves or 64 MiB of events, and a row adds
 * less than 1 KiB to its event. Evidence has no such end, only its age; what has more than this is not believed to be a segment.
 */
const MAX_ROW_BYTES = LIMITS.segmentEventBytes + LIMITS.blockBytes + 1024 * (LIMITS.segmentLeaves + LIMITS.blockBytes / 100);
const MAX_EVIDENCE_BYTES = 512 * 1024 * 1024;

/** A segment of the archive: its signed manifest and what its files hold. */
export interface AuditedSegment extends StoredManifest {
  /** By tree index of the seal; the audit takes out what it used. */
  readonly evidence: Map<number, BlockEvidence>;
  /** By tree index of the link; the audit takes out what it used. */
  readonly rows: Map<number, AuditedRow>;
  /** False where one of its files could not be read to the end: what misses then has been said. */
  readonly whole: boolean;
  /** Hex digests of the schemas whose events retention removed. */
  readonly retired: ReadonlySet<string>;
}

/** Reads the manifests of a shard in order and checks each by itself and against the one before. */
export async function readManifests(place: ShardPlace, governance: Governance, findings: Findings): Promise<StoredManifest[]> {
  const { shard } = place;
  const manifests: StoredManifest[] = [];
  let end = 0;
  let previous: string | null = null;
  const keys = [...place.listed.keys()].filter((name) => name.startsWith(logKeysOf(shard).segments) && name.endsWith('.manifest.json'));
  for (const key of keys.toSorted()) {
    const manifest = await readManifest(place, key, governance, findings);
    if (manifest === undefined) continue;
    const at = { shard, object: key, leaf: manifest.first };
    const inPlace = manifest.origin === `${place.origin}/${shard}` && key === logKeysOf(shard).manifest(manifest.first, manifest.end);
    if (!inPlace || manifest.end <= manifest.first) {
      findings.fail('ARCHIVE', 'MANIFEST_PLACE', 'the manifest is of another segment than its name says', at);
      continue;
    }
    const between = logKeysOf(shard).manifest(end, manifest.first);
    if (manifest.first > end && !keys.includes(between)) {
      findings.fail('ARCHIVE', 'MISSING', `no manifest covers leaves ${end} to ${manifest.first - 1}`, {
        shard,
        object: between,
        leaf: end,
      });
    }
    if (manifest.first < end) findings.fail('ARCHIVE', 'SEGMENT_OVERLAP', `leaves ${manifest.first} to ${end - 1} are in two segments`, at);
    if (manifest.previous !== previous)
      findings.fail('ARCHIVE', 'MANIFEST_PREVIOUS', 'the manifest names another one as the one before', at);
    previous = toHex(sha256(manifest.payload));
    end = manifest.end;
    manifests.push({ key, digest: previous, manifest });
  }
  return manifests;
}

async function readManifest(
  { objects, shard }: ShardPlace,
  key: string,
  governance: Governance,
  findings: Findings,
): Promise<(Manifest & { readonly payload: Uint8Array }) | undefined> {
  const stored = await objects.get(key);
  if (stored === undefined) return undefined;
  const { value, faults } = attestedPayload(stored.bytes, 'manifest', {
    shard,
    keys: governance.logKeys(shard),
    decode: parseManifest,
    end: (manifest) => manifest.end,
  });
  for (const { code, message } of faults)
    findings.fail('ARCHIVE', `MANIFEST_${code}`, `the manifest cannot be used: ${message}`, { shard, object: key });
  return value;
}

/**
 * Reads the files that a manifest lists and holds them against it. What retention removed may be missing:
 * `archivedUntil` is the last accepted time of the archive, by which the policy's time to keep is judged.
 */
export async function readSegment(
  place: ShardPlace,
  stored: StoredManifest,
  archivedUntil: number,
  governance: Governance,
  findings: Findings,
): Promise<AuditedSegment> {
  const { manifest } = stored;
  const { segments, events, evidence: evidenceKey } = logKeysOf(place.shard);
  const sync = segmentSyncMarker(manifest.origin, manifest.first, manifest.end, fromHex(manifest.root));
  const schemas = new Map(manifest.schemas.map((hex) => [events(manifest.first, manifest.end, hex).slice(segments.length), hex]));
  const evidenceName = evidenceKey(manifest.first, manifest.end).slice(segments.length);
  checkObjectNames(place, stored, [...schemas.keys(), evidenceName], findings);
  const removable = await retiredObjects(place, stored, archivedUntil, governance, findings);
  const evidence = new Map<number, BlockEvidence>();
  const rows = new Map<number, AuditedRow>();
  const retired = new Set<string>();
  let whole = true;
  // All events files of a segment share one bound.
  const container = { sync, left: { bytes: MAX_ROW_BYTES } };
  // Each name once: a manifest may list what it wants.
  for (const listing of new Map(manifest.objects.map((object) => [object.name, object] as const)).values()) {
    const hex = schemas.get(listing.name);
    if (hex !== undefined && removable.has(listing.name) && !place.listed.has(`${segments}${listing.name}`)) retired.add(hex);
    else if (hex !== undefined) whole = (await readRows(place, listing, { ...container, hex }, governance, findings, rows)) && whole;
    else if (listing.name === evidenceName) whole = (await readEvidence(place, listing, sync, findings, evidence)) && whole;
  }
  return { ...stored, evidence, rows, whole, retired };
}

function checkObjectNames({ shard }: ShardPlace, { manifest, key }: StoredManifest, expected: readonly string[], findings: Findings): void {
  const names = manifest.objects.map(({ name }) => name);
  if (canonicalJson(names.toSorted()) === canonicalJson(expected.toSorted())) return;
  findings.fail('ARCHIVE', 'MANIFEST_OBJECTS', 'the manifest lists other objects than its segment has', { shard, object: key });
}

async function readRows(
  place: ShardPlace,
  listing: ManifestObject,
  { hex, ...container }: Omit<Container, 'schema'> & { readonly hex: string },
  governance: Governance,
  findings: Findings,
  rows: Map<number, AuditedRow>,
): Promise<boolean> {
  const schema = governance.schemas.get(hex);
  if (schema === undefined) {
    const missing = { shard: place.shard, object: schemaKey(hex) };
    // One that is there and cannot be used was named already.
    if ((await place.objects.get(missing.object)) === undefined)
      findings.fail('ARCHIVE', 'MISSING', 'the schema of an events file is not in the archive', missing);
    return false;
  }
  return eachRecord(place, listing, { ...container, schema: archivedEventSchema(schema.text) }, findings, (record) => {
    const row = decodeArchivedEvent(record);
    rows.set(row.columns.logIndex, { ...row, schema: hex });
    return row.columns.logIndex;
  });
}

function readEvidence(
  place: ShardPlace,
  listing: ManifestObject,
  sync: Uint8Array,
  findings: Findings,
  evidence: Map<number, BlockEvidence>,
): Promise<boolean> {
  return eachRecord(
    place,
    listing,
    { schema: SCHEMA_TEXTS.BlockEvidence, sync, left: { bytes: MAX_EVIDENCE_BYTES } },
    findings,
    (record) => {
      const decoded = decodeBlockEvidence(record);
      evidence.set(decoded.sealIndex, decoded);
      return decoded.sealIndex;
    },
  );
}

/** What a file must be, and how many decompressed bytes are left to it. */
interface Container {
  readonly schema: string;
  readonly sync: Uint8Array;
  readonly left: { bytes: number };
}

/** Reads one file: its bytes and its records against the manifest. `take` gives a record's tree index, which must rise. True where all of it was read. */
async function eachRecord(
  place: ShardPlace,
  listing: ManifestObject,
  container: Container,
  findings: Findings,
  take: (record: Uint8Array) => number,
): Promise<boolean> {
  const object = `${logKeysOf(place.shard).segments}${listing.name}`;
  const at = { shard: place.shard, object };
  const fail = (code: string, message: string): false => {
    findings.fail('ARCHIVE', code, message, at);
    return false;
  };
  const stored = (await place.objects.get(object))?.bytes;
  if (stored === undefined) return place.listed.has(object) ? false : fail('MISSING', 'the manifest lists this object and it is not there');
  if (stored.length !== listing.size) fail('SIZE', `the object has ${stored.length} bytes, the manifest says ${listing.size}`);
  if (toHex(sha256(stored)) !== listing.sha256) fail('SHA256', 'the object has another SHA-256 than the manifest says');
  const content = sha256Stream();
  let before = -1;
  try {
    for await (const { data, records } of readContainer(
      container.schema,
      container.sync,
      (from, length) => stored.subarray(from, from + length),
      inflate,
    )) {
      container.left.bytes -= data.length;
      if (container.left.bytes < 0) return fail('TOO_LARGE', 'the object decompresses to more than a segment can hold');
      content.update(data);
      for (const record of records) {
        const index = take(record);
        if (index <= before) fail('RECORD_ORDER', `the record of leaf ${index} comes after that of leaf ${before}`);
        before = index;
      }
    }
  } catch (error) {
    return fail('CONTAINER', `the object cannot be read as an Avro file: ${reason(error)}`);
  }
  if (toHex(content.digest()) !== listing.content) fail('CONTENT', 'the object holds other records than the manifest says');
  return true;
}

/** Raw deflate with a bound, and no byte behind its end. */
function inflate(data: Uint8Array, maxOutputLength: number): Uint8Array {
  const { buffer, engine } = inflateRawSync(data, { maxOutputLength, info: true }) as unknown as {
    readonly buffer: Buffer;
    readonly engine: { readonly bytesWritten: number };
  };
  if (engine.bytesWritten !== data.length) throw new Error('bytes follow the end of the compressed data');
  return buffer;
}

/** What is in `segments/` beside manifests and is listed by none of them. */
export function checkSegmentListing(place: ShardPlace, manifests: readonly StoredManifest[], findings: Findings): void {
  const { shard, listed } = place;
  const keys = logKeysOf(shard);
  const known = new Set(manifests.flatMap(({ manifest }) => manifest.objects.map(({ name }) => `${keys.segments}${name}`)));
  const archived = manifests.at(-1)?.manifest.end ?? 0;
  for (const key of listed.keys()) {
    if (!key.startsWith(keys.segments) || known.has(key)) continue;
    const named = parseArchiveKey(key);
    if (named.kind !== 'events' && named.kind !== 'evidence' && named.kind !== 'retired') continue;
    const at = { shard, object: key };
    if (named.kind === 'retired' && manifests.some(({ manifest }) => manifest.first === named.first && manifest.end === named.end))
      continue;
    if (named.first < archived) findings.fail('ARCHIVE', 'UNLISTED', 'no manifest lists this object', at);
    else if (listed.has(keys.checkpointAt(named.end))) {
      // Files, then the checkpoint of the segment's end, then the manifest: with the first two there, the third is missing.
      const missing = { shard, object: keys.manifest(named.first, named.end), leaf: named.first };
      if (named.kind === 'evidence' && !listed.has(missing.object))
        findings.fail('ARCHIVE', 'MISSING', 'the segment has no manifest', missing);
    } else findings.note('ARCHIVE', 'BEYOND_CHECKPOINT', 'the object belongs to a segment that has no manifest yet: not checked', at);
  }
}
