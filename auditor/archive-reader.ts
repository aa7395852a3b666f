import { type ArchiveKey, parseArchiveKey } from '../core/archive/archive-keys.ts';
import { equal } from '../core/base/bytes.ts';
import { LIMITS } from '../core/base/limits.ts';
import type { ObjectStore, StoredObject } from '../core/ports/object-store.ts';
import type { Findings } from './findings.ts';

/** How the audit reads: what was not listed is not there, and nothing is loaded that is larger than its kind can be. */
export type ArchiveReader = Pick<ObjectStore, 'get'>;

/** An archive as it stood at one time. */
export interface OpenedArchive {
  readonly objects: ArchiveReader;
  /** Every object that has a place in an archive, with its size. */
  readonly listed: ReadonlyMap<string, number>;
}

const KiB = 1024;
const MiB = 1024 * KiB;
/** More than an honest object of each kind can have; tiles and bundles: a full one, and what shows that it is longer. */
const MAX_BYTES: Readonly<Record<ArchiveKey['kind'], number>> = {
  archive: 4 * MiB,
  schema: 1 * MiB,
  policy: 4 * LIMITS.policyBytes,
  signed: LIMITS.noteBytes,
  checkpoint: LIMITS.noteBytes,
  checkpointAt: LIMITS.noteBytes,
  tile: 256 * (2 + LIMITS.leafBytes) + KiB,
  events: 256 * MiB,
  evidence: 512 * MiB,
  manifest: 64 * MiB,
  retired: 64 * MiB,
  snapshot: 512 * MiB,
  timestamp: 64 * KiB,
};
const LISTING_TRIES = 5;

/**
 * Lists an archive between two readings of its notes that say the same, so that one which grows meanwhile is judged as it stood:
 * no note is newer than the objects that were listed, and no segment is newer than the notes. An archive that changes faster is judged as it was seen last.
 */
export async function openArchive(store: ObjectStore, findings: Findings): Promise<OpenedArchive> {
  let sizes = await listObjects(store);
  let notes = await readNotes(store, sizes);
  for (let tries = 0; tries < LISTING_TRIES; tries++) {
    sizes = await listObjects(store);
    const after = await readNotes(store, sizes);
    const settled = sameNotes(notes, after);
    notes = after;
    if (settled) break;
  }
  const listed = placedObjects(sizes, findings);
  return { listed, objects: { get: boundedGet(store, listed, notes, findings) } };
}

async function listObjects(store: ObjectStore): Promise<Map<string, number>> {
  const sizes = new Map<string, number>();
  for await (const { key, size } of store.list('')) sizes.set(key, size);
  return sizes;
}

/** The two objects of each log that are replaced while it grows. */
async function readNotes(store: ObjectStore, sizes: ReadonlyMap<string, number>): Promise<Map<string, StoredObject>> {
  const notes = new Map<string, StoredObject>();
  for (const [key, size] of sizes) {
    if (!/^logs\/[0-9]{1,16}\/(?:signed|checkpoint)$/.test(key) || size > MAX_BYTES.signed) continue;
    const note = await store.get(key);
    if (note !== undefined) notes.set(key, note);
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

/** What has a place in an archive. A key that has none is named. */
function placedObjects(sizes: ReadonlyMap<string, number>, findings: Findings): Map<string, number> {
  const listed = new Map<string, number>();
  for (const [key, size] of sizes) {
    try {
      parseArchiveKey(key);
      listed.set(key, size);
    } catch {
      const message = 'the object has no place in an archive: not checked';
      // A stranger's file beside the archive's folders harms nobody; inside them only the archive has a say.
      if (/^(?:logs|policies|schemas)\//.test(key)) findings.fail('ARCHIVE', 'UNKNOWN_OBJECT', message, { object: key });
      else findings.note('ARCHIVE', 'UNKNOWN_OBJECT', message, { object: key });
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
  const refuse = (code: string, message: string, object: string): undefined => {
    if (!named.has(object)) findings.fail('ARCHIVE', code, message, { object });
    named.add(object);
    return undefined;
  };
  return async (key) => {
    const size = listed.get(key);
    if (size === undefined) return undefined;
    const limit = MAX_BYTES[parseArchiveKey(key).kind];
    if (size > limit) return refuse('TOO_LARGE', `the object has ${size} bytes, more than the ${limit} that any such object has`, key);
    const stored = notes.get(key) ?? (await store.get(key));
    return stored ?? refuse('MISSING', 'the object is listed and cannot be had: it is no plain file, or was removed meanwhile', key);
  };
}
