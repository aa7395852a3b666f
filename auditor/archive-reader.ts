import { type ArchiveKey, parseArchiveKey } from '../core/archive/archive-keys.ts';
import { equal } from '../core/base/bytes.ts';
import { LIMITS } from '../core/base/limits.ts';
import type { ObjectStore, StoredObject } from '../core/ports/object-store.ts';
import { AUDIT_LIMITS, type AuditLimits } from './audit-limits.ts';
import type { Findings } from './findings.ts';
import { PROVEN_BY_EVIDENCE } from './property.ts';

/** How an audit reads: an object that was not listed does not exist, and an object larger than its kind can be is not loaded. A part of an object is what the caller makes it. */
export type ArchiveReader = Pick<ObjectStore, 'get'>;

/** An archive as it was at one time. */
export interface ListedArchive {
  readonly objects: ArchiveReader;
  /** Every object that has a place in an archive, with its size. */
  readonly listed: ReadonlyMap<string, number>;
}

const KiB = 1024;
const MiB = 1024 * KiB;
/** A bound above the size of any honest object of each kind. For tiles and bundles: a full one, and enough to see that it is longer. */
const MAX_BYTES: Readonly<Record<ArchiveKey['kind'], number>> = {
  archive: 4 * MiB,
  schema: 1 * MiB,
  policy: 4 * LIMITS.policyBytes,
  signed: LIMITS.noteBytes,
  checkpoint: LIMITS.noteBytes,
  checkpointAt: LIMITS.noteBytes,
  coseAt: 4 * KiB,
  cosignature: LIMITS.noteBytes,
  tile: 256 * (2 + LIMITS.leafBytes) + KiB,
  events: 256 * MiB,
  evidence: 96 * MiB,
  refused: 96 * MiB,
  manifest: 8 * MiB,
  retired: 8 * MiB,
  snapshot: LIMITS.noteBytes,
  // A state file of any size is read in parts.
  state: Infinity,
  stampedNote: LIMITS.noteBytes,
  timestamp: LIMITS.stampBytes,
  stampCertificates: LIMITS.stampBytes,
};
const LISTING_TRIES = 5;
const UNREADABLE = 'the object is listed but cannot be read: it is not a plain file, or it was removed meanwhile';

/**
 * Reads the notes, lists the objects, and reads the notes again, until both readings are the same. So a growing archive is judged as it was at one time:
 * no note is newer than the listed objects, and no segment is newer than the notes. If the notes change at each try, the last listing is judged.
 */
export async function listArchive(store: ObjectStore, findings: Findings, limits = AUDIT_LIMITS): Promise<ListedArchive> {
  let sizes = await listObjects(store, limits);
  let notes = await readNotes(store, sizes, limits);
  for (let tries = 0; tries < LISTING_TRIES; tries++) {
    sizes = await listObjects(store, limits);
    const after = await readNotes(store, sizes, limits);
    const settled = sameNotes(notes, after);
    notes = after;
    if (settled) break;
  }
  if (sizes.size > limits.objects) {
    const message = `the archive has more than ${limits.objects} objects; the others were not looked at`;
    for (const property of ['ARCHIVE', ...PROVEN_BY_EVIDENCE] as const) findings.add('BEYOND_LIMIT', message, {}, { property });
  }
  const listed = placedObjects(sizes, findings);
  return { listed, objects: { get: boundedGet(store, listed, notes, findings) } };
}

/** The objects with their sizes: one more than the bound at most. */
async function listObjects(store: ObjectStore, limits: AuditLimits): Promise<Map<string, number>> {
  const sizes = new Map<string, number>();
  for await (const { key, size } of store.list('')) {
    sizes.set(key, size);
    if (sizes.size > limits.objects) break;
  }
  return sizes;
}

/** The two objects of each log that change while it grows, as long as all of them are within the bound. Others are read when they are needed. */
async function readNotes(store: ObjectStore, sizes: ReadonlyMap<string, number>, limits: AuditLimits): Promise<Map<string, StoredObject>> {
  const notes = new Map<string, StoredObject>();
  let left = limits.noteBytes;
  for (const [key, size] of sizes) {
    if (!/^logs\/[0-9]{1,16}\/(?:signed|checkpoint)$/.test(key) || size > MAX_BYTES.signed) continue;
    left -= size;
    if (left < 0) break;
    const note = await store.get(key, { start: 0, end: MAX_BYTES.signed + 1 });
    if (note !== undefined && note.bytes.length <= MAX_BYTES.signed) notes.set(key, note);
  }
  return notes;
}

function sameNotes(before: ReadonlyMap<string, StoredObject>, after: ReadonlyMap<string, StoredObject>): boolean {
  if (before.size !== after.size) return false;
  for (const [key, { bytes }] of after) {
    const other = before.get(key);
    if (other === undefined || !equal(other.bytes, bytes)) return false;
  }
  return true;
}

/** The objects that have a place in an archive. Each other key is a finding. */
function placedObjects(sizes: ReadonlyMap<string, number>, findings: Findings): Map<string, number> {
  const listed = new Map<string, number>();
  for (const [key, size] of sizes) {
    try {
      parseArchiveKey(key);
      listed.set(key, size);
    } catch {
      findings.add('UNKNOWN_OBJECT', 'no rule of the format gives this name a place', { object: key });
    }
  }
  return listed;
}

function boundedGet(
  store: ObjectStore,
  listed: ReadonlyMap<string, number>,
  notes: ReadonlyMap<string, StoredObject>,
  findings: Findings,
): ObjectStore['get'] {
  const named = new Set<string>();
  /** True the first time an object is refused: it is reported once. */
  const isNew = (object: string): boolean => {
    const first = !named.has(object);
    named.add(object);
    return first;
  };
  return async (key, part) => {
    const size = listed.get(key);
    if (size === undefined) return undefined;
    if (part !== undefined) return store.get(key, part);
    const limit = MAX_BYTES[parseArchiveKey(key).kind];
    // An object may have grown since it was listed: never more than a byte beyond the bound is read.
    const range = size > 0 ? { start: 0, end: limit + 1 } : undefined;
    const stored = size > limit ? undefined : (notes.get(key) ?? (await store.get(key, range)));
    const found = Math.max(size, stored?.bytes.length ?? 0);
    if (found > limit) {
      const message = `the object has ${found} bytes; an object of this kind has at most ${limit}`;
      if (isNew(key)) findings.add('TOO_LARGE', message, { object: key });
      return undefined;
    }
    if (stored === undefined && isNew(key)) findings.add('MISSING', UNREADABLE, { object: key }, { property: 'ARCHIVE' });
    return stored;
  };
}
