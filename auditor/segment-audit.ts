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
import { decodeBlockRefused } from '../core/formats/block-refused.ts';
import { type Attestation, attestedPayload } from './attestation.ts';
import type { Audit } from './audit.ts';
import type { AuditedRow } from './audited-block.ts';
import { errorText } from './governance.ts';
import { PROVEN_BY_EVIDENCE } from './property.ts';
import { retiredObjects } from './retirement.ts';
import type { StoredManifest } from './stored-manifest.ts';

/** Most leaves of a segment: it ends with the block that reaches its bound, and a link has more than 100 bytes. */
const MAX_SEGMENT_LEAVES = LIMITS.segmentLeaves + LIMITS.blockBytes / 100;
/**
 * Bounds of the decompressed records of a segment. It ends with the block that reaches 65,536 leaves or 64 MiB of events, of refused events or of
 * evidence. A row adds less than 1 KiB to its event, a record of evidence less than 256 bytes, one of refused events less than 16.
 */
export const MAX_ROW_BYTES = LIMITS.segmentEventBytes + LIMITS.blockBytes + 1024 * MAX_SEGMENT_LEAVES;
const MAX_EVIDENCE_BYTES = LIMITS.segmentEvidenceBytes + LIMITS.blockBytes + 256 * LIMITS.segmentLeaves;
const MAX_REFUSED_BYTES = LIMITS.segmentRefusedBytes + LIMITS.blockBytes + 16 * LIMITS.segmentLeaves;

const REFUSED_UNSHOWN = 'refused events cannot be read, so that why they were refused is not shown';

/** A segment of the archive: its signed manifest and the content of its files. */
export interface AuditedSegment extends StoredManifest {
  /** By tree index of the seal. The audit removes the records that it has used. */
  readonly evidence: Map<number, BlockEvidence>;
  /** By tree index of the link. The audit removes the records that it has used. */
  readonly rows: Map<number, AuditedRow>;
  /** Refused events by tree index of their block's seal. The audit removes the records that it has used. */
  readonly refused: Map<number, readonly Uint8Array[]>;
  /** False where retention removed the refused events, or their file cannot be read to its end. */
  readonly refusedWhole: boolean;
  /** False where a file could not be read to its end. That was reported, so that its missing records are not. */
  readonly whole: boolean;
  /** Hex digests of the schemas whose events retention removed. */
  readonly retired: ReadonlySet<string>;
}

/** Reads the manifests of a shard in order, and checks each by itself and against the manifest before it. */
export async function readManifests(audit: Audit): Promise<StoredManifest[]> {
  const { shard, findings } = audit;
  const manifests: StoredManifest[] = [];
  let end = 0;
  /** Undefined where the manifest before cannot be used: then what names it cannot be judged. */
  let previous: string | null | undefined = null;
  const keys = new Set(
    [...audit.listed.keys()].filter((name) => name.startsWith(logKeysOf(shard).segments) && name.endsWith('.manifest.json')),
  );
  let left = audit.limits.manifestBytes;
  for (const key of [...keys].toSorted()) {
    if (left < 0) {
      nameBeyond(audit, key);
      break;
    }
    const { value: manifest, signers } = await readManifest(audit, key);
    if (manifest === undefined) {
      previous = undefined;
      continue;
    }
    left -= manifest.payload.length;
    const at = { shard, object: key, leaf: manifest.first };
    const inPlace = manifest.origin === `${audit.origin}/${shard}` && key === logKeysOf(shard).manifest(manifest.first, manifest.end);
    if (!inPlace || manifest.end <= manifest.first) {
      findings.add('MANIFEST_PLACE', 'the manifest describes another segment than its name states', at);
      continue;
    }
    const between = logKeysOf(shard).manifest(end, manifest.first);
    if (manifest.first > end) previous = undefined;
    if (manifest.first > end && !keys.has(between)) {
      const place = { shard, object: between, leaf: end };
      findings.add('MISSING', `no manifest covers leaves ${end} to ${manifest.first - 1}`, place, { property: 'ARCHIVE' });
    }
    if (manifest.first < end) findings.add('SEGMENT_OVERLAP', `leaves ${manifest.first} to ${end - 1} are in two segments`, at);
    if (previous !== undefined && manifest.previous !== previous)
      findings.add('MANIFEST_PREVIOUS', 'the manifest does not name the manifest before it', at);
    previous = toHex(sha256(manifest.payload));
    end = manifest.end;
    manifests.push({ key, digest: previous, manifest, signers });
  }
  return manifests;
}

function nameBeyond({ shard, findings, limits }: Audit, object: string): void {
  const message = `the manifests of the shard have more than ${limits.manifestBytes} bytes; from this one on they were not read`;
  for (const property of ['ARCHIVE', ...PROVEN_BY_EVIDENCE] as const)
    findings.add('BEYOND_LIMIT', message, { shard, object }, { property });
}

const MANIFEST_FAULTS = { MALFORMED: 'MANIFEST_MALFORMED', SIGNATURE: 'MANIFEST_SIGNATURE', SUSPECT: 'MANIFEST_SUSPECT' } as const;

async function readManifest(
  { objects, shard, governance, findings }: Audit,
  key: string,
): Promise<Pick<Attestation<Manifest & { readonly payload: Uint8Array }>, 'value' | 'signers'>> {
  const stored = await objects.get(key);
  if (stored === undefined) return { value: undefined, signers: [] };
  const { value, faults, signers } = attestedPayload(stored.bytes, 'manifest', {
    shard,
    keys: governance.logKeys(shard),
    decode: parseManifest,
    end: (manifest) => manifest.end,
  });
  for (const { code, message } of faults)
    findings.add(MANIFEST_FAULTS[code], `the manifest cannot be used: ${message}`, { shard, object: key });
  return { value, signers };
}

/**
 * Reads the files that a manifest lists and compares them with it. Events that retention removed may be missing:
 * the policy's time to keep them is counted back from `archivedUntil`, the last accepted time of the archive.
 */
export async function readSegment(audit: Audit, stored: StoredManifest, archivedUntil: number): Promise<AuditedSegment> {
  const { manifest } = stored;
  const { segments, events, evidence: evidenceKey, refused: refusedKey } = logKeysOf(audit.shard);
  const sync = segmentSyncMarker(manifest.origin, manifest.first, manifest.end, fromHex(manifest.root));
  const schemas = new Map(manifest.schemas.map((hex) => [events(manifest.first, manifest.end, hex).slice(segments.length), hex]));
  const evidenceName = evidenceKey(manifest.first, manifest.end).slice(segments.length);
  const refusedName = refusedKey(manifest.first, manifest.end).slice(segments.length);
  checkObjectNames(audit, stored, [...[...schemas.keys()].toSorted(), evidenceName], refusedName);
  const removable = await retiredObjects(audit, stored, archivedUntil);
  const evidence = new Map<number, BlockEvidence>();
  const rows = new Map<number, AuditedRow>();
  const refused = new Map<number, readonly Uint8Array[]>();
  const retired = new Set<string>();
  let refusedRetired = false;
  let refusedWhole = true;
  let whole = true;
  // All events files of a segment share one bound.
  const stretch = { first: manifest.first, end: Math.min(manifest.end, manifest.first + MAX_SEGMENT_LEAVES) };
  const container = { sync, stretch, left: { bytes: MAX_ROW_BYTES } };
  // Each name once: a forged manifest may list one twice.
  for (const listing of new Map(manifest.objects.map((object) => [object.name, object] as const)).values()) {
    const hex = schemas.get(listing.name);
    const isGone = removable.has(listing.name) && !audit.listed.has(`${segments}${listing.name}`);
    if (hex !== undefined && isGone) retired.add(hex);
    else if (hex !== undefined) whole = (await readRows(audit, listing, { ...container, hex }, rows)) && whole;
    else if (listing.name === evidenceName) whole = (await readEvidence(audit, listing, { sync, stretch }, evidence)) && whole;
    else if (listing.name === refusedName && isGone) refusedRetired = true;
    else if (listing.name === refusedName) refusedWhole = await readRefused(audit, listing, { sync, stretch }, refused);
  }
  const place = { shard: audit.shard, object: `${segments}${refusedName}`, leaf: manifest.first };
  if (refusedRetired)
    audit.findings.add('REFUSED_RETIRED', 'retention removed the refused events: why they were refused is not shown again', place);
  if (!refusedWhole) audit.findings.add('UNSHOWN', REFUSED_UNSHOWN, place, { property: 'COMPLETE' });
  return { ...stored, evidence, rows, refused, refusedWhole: refusedWhole && !refusedRetired, whole, retired };
}

/**
 * Compares the files that a manifest lists with those of its segment, in their order. Whether a segment has a file of refused events, its blocks show:
 * {@link AuditedBlock.refused} is compared with their evidence.
 */
function checkObjectNames(
  { shard, findings }: Audit,
  { manifest, key }: StoredManifest,
  expected: readonly string[],
  optional: string,
): void {
  const names = canonicalJson(manifest.objects.map(({ name }) => name));
  if (names === canonicalJson(expected) || names === canonicalJson([...expected, optional])) return;
  findings.add('MANIFEST_OBJECTS', 'the manifest lists other files than its segment has, or in another order', { shard, object: key });
}

async function readRows(
  audit: Audit,
  listing: ManifestObject,
  { hex, ...container }: Omit<Container, 'schema'> & { readonly hex: string },
  rows: Map<number, AuditedRow>,
): Promise<boolean> {
  const { objects, shard, governance, findings } = audit;
  const schema = governance.schemas.get(hex);
  if (schema === undefined) {
    const missing = { shard, object: schemaKey(hex) };
    // A schema that cannot be used was reported already.
    if ((await objects.get(missing.object)) === undefined)
      findings.add('MISSING', 'the schema of an events file is not in the archive', missing, { property: 'ARCHIVE' });
    return false;
  }
  return eachRecord(audit, listing, { ...container, schema: archivedEventSchema(schema.text) }, (record) => {
    const row = decodeArchivedEvent(record);
    if (isIn(container.stretch, row.columns.logIndex)) rows.set(row.columns.logIndex, { ...row, schema: hex });
    return row.columns.logIndex;
  });
}

function readEvidence(
  audit: Audit,
  listing: ManifestObject,
  place: Pick<Container, 'sync' | 'stretch'>,
  evidence: Map<number, BlockEvidence>,
): Promise<boolean> {
  const container = { ...place, schema: SCHEMA_TEXTS.BlockEvidence, left: { bytes: MAX_EVIDENCE_BYTES } };
  return eachRecord(audit, listing, container, (record) => {
    const decoded = decodeBlockEvidence(record);
    if (isIn(place.stretch, decoded.sealIndex)) evidence.set(decoded.sealIndex, decoded);
    return decoded.sealIndex;
  });
}

function readRefused(
  audit: Audit,
  listing: ManifestObject,
  place: Pick<Container, 'sync' | 'stretch'>,
  refused: Map<number, readonly Uint8Array[]>,
): Promise<boolean> {
  const container = { ...place, schema: SCHEMA_TEXTS.BlockRefused, left: { bytes: MAX_REFUSED_BYTES } };
  return eachRecord(audit, listing, container, (record) => {
    const { sealIndex, events } = decodeBlockRefused(record);
    if (isIn(place.stretch, sealIndex)) refused.set(sealIndex, events);
    return sealIndex;
  });
}

/** Whether a leaf lies in a segment: other records are reported and not kept, so that a file of tiny records does not fill the memory. */
function isIn({ first, end }: Container['stretch'], leaf: number): boolean {
  return first <= leaf && leaf < end;
}

/** How a file of a segment is read, and how many decompressed bytes are left for it. */
interface Container {
  readonly schema: string;
  readonly sync: Uint8Array;
  /** Leaves of the segment, as far as a segment can go. */
  readonly stretch: { readonly first: number; readonly end: number };
  readonly left: { bytes: number };
}

/** Reads one file and compares its bytes and records with the manifest. `take` gives a record's tree index, which must rise. True where it was read to its end. */
async function eachRecord(
  audit: Audit,
  listing: ManifestObject,
  container: Container,
  take: (record: Uint8Array) => number,
): Promise<boolean> {
  const { objects, listed, shard, findings } = audit;
  const object = `${logKeysOf(shard).segments}${listing.name}`;
  const at = { shard, object };
  const stored = (await objects.get(object))?.bytes;
  if (stored === undefined) {
    if (!listed.has(object)) findings.add('MISSING', 'the object is missing, and the manifest lists it', at, { property: 'ARCHIVE' });
    return false;
  }
  if (stored.length !== listing.size)
    findings.add('SIZE', `the object has ${stored.length} bytes; the manifest states ${listing.size}`, at);
  if (toHex(sha256(stored)) !== listing.sha256) findings.add('SHA256', 'the object does not have the SHA-256 that the manifest states', at);
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
      if (container.left.bytes < 0) {
        findings.add('TOO_LARGE', 'the object decompresses to more than a segment can hold', at);
        return false;
      }
      content.update(data);
      for (const record of records) {
        const index = take(record);
        if (index <= before) findings.add('RECORD_ORDER', `the record of leaf ${index} comes after that of leaf ${before}`, at);
        if (!isIn(container.stretch, index))
          findings.add('RECORD_EXTRA', 'the file has a record of a leaf beyond its segment', { ...at, leaf: index });
        before = index;
      }
    }
  } catch (error) {
    findings.add('CONTAINER', `the object cannot be read as an Avro file: ${errorText(error)}`, at);
    return false;
  }
  if (toHex(content.digest()) !== listing.content)
    findings.add('CONTENT', 'the records of the object do not have the digest that the manifest states', at);
  return true;
}

/** Raw inflate with a bound. Throws where bytes follow the end of the compressed data. */
function inflate(data: Uint8Array, maxOutputLength: number): Uint8Array {
  const { buffer, engine } = inflateRawSync(data, { maxOutputLength, info: true }) as unknown as {
    readonly buffer: Buffer;
    readonly engine: { readonly bytesWritten: number };
  };
  if (engine.bytesWritten !== data.length) throw new Error('bytes follow the end of the compressed data');
  return buffer;
}

/** Reports each object of the log that nothing accounts for: a file in `segments/` that no manifest lists, and a kind that this version does not read. */
export function checkSegmentListing({ shard, listed, findings }: Audit, manifests: readonly StoredManifest[]): void {
  const keys = logKeysOf(shard);
  const stretches = new Set(manifests.map(({ manifest: { first, end } }) => keys.retired(first, end)));
  const known = new Set(manifests.flatMap(({ manifest }) => manifest.objects.map(({ name }) => `${keys.segments}${name}`)));
  const archived = manifests.at(-1)?.manifest.end ?? 0;
  for (const key of listed.keys()) {
    if (known.has(key) || stretches.has(key)) continue;
    const named = parseArchiveKey(key);
    const at = { shard, object: key };
    if (named.kind !== 'events' && named.kind !== 'evidence' && named.kind !== 'refused' && named.kind !== 'retired') continue;
    if (named.first < archived) findings.add('UNLISTED', 'no manifest lists this object', at);
    else if (listed.has(keys.checkpointAt(named.end))) {
      // An archiver writes the files, then the checkpoint of the segment's end, then the manifest. Here the first two exist.
      const missing = { shard, object: keys.manifest(named.first, named.end), leaf: named.first };
      if (named.kind === 'evidence' && !listed.has(missing.object))
        findings.add('MISSING', 'the segment has no manifest', missing, { property: 'ARCHIVE' });
    } else findings.add('BEYOND_CHECKPOINT', 'the object belongs to a segment that has no manifest yet, so it was not checked', at);
  }
}
