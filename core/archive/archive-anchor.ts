import { laneKey } from '../acceptance/log-state.ts';
import { equal, toHex, utf8Text } from '../base/bytes.ts';
import { hasCode, LineproofError } from '../base/errors.ts';
import type { Sources } from '../chain/governance-source.ts';
import type { ArchiveAnchor, RecoveryPoint } from '../chain/recovery-point.ts';
import { type Checkpoint, parseCheckpoint } from '../keys/checkpoint.ts';
import { openEnvelope } from '../keys/dsse.ts';
import type { VerifierKey } from '../keys/key.ts';
import { openNote } from '../keys/note.ts';
import type { ObjectStore } from '../ports/object-store.ts';
import { frontierRoot } from '../tree/frontier.ts';
import { logKeysOf, parseArchiveKey } from './archive-keys.ts';
import { decodeSnapshot, type Snapshot } from './snapshot.ts';

/** A note of the log key, opened. */
export interface SignedNote extends Checkpoint {
  readonly note: string;
}

/** Opens a note of the log `origin` that one of its log keys must have signed; throws ARCHIVE_DIVERGED if none of them signed it, or if anything in it is wrong. */
export function openLogNote(bytes: Uint8Array, origin: string, keys: readonly VerifierKey[]): SignedNote {
  let opened: SignedNote;
  try {
    const note = utf8Text(bytes);
    opened = { ...parseCheckpoint(openNote(note, keys).text), note };
  } catch (cause) {
    throw new LineproofError('ARCHIVE_DIVERGED', `cannot use the archive's note of ${origin}: it does not verify`, {}, cause);
  }
  if (opened.origin !== origin)
    throw new LineproofError('ARCHIVE_DIVERGED', `cannot use the archive's note of ${origin}: it is about ${opened.origin}`);
  return opened;
}

/** The anchor for a chainer, read from the archive. A note or snapshot counts only if it verifies by one of the shard's log keys in the policy. */
export function archiveAnchor(objects: ObjectStore, sources: Sources, origin: string, shards: number): ArchiveAnchor {
  return {
    signed: async (shard) => {
      const stored = await objects.get(logKeysOf(shard).signed);
      return stored === undefined ? undefined : openLogNote(stored.bytes, `${origin}/${shard}`, sources.policies.latest.logKeys(shard));
    },
    snapshot: async (shard) => {
      const place = { origin, shard, shards };
      for (const size of await snapshotSizes(objects, shard)) {
        const point = await readSnapshot(objects, place, size, sources.policies.latest.logKeys(shard));
        if (point !== undefined) return point;
      }
      return undefined;
    },
  };
}

/** The sizes at which the archive has snapshots, newest first. */
async function snapshotSizes(objects: ObjectStore, shard: number): Promise<number[]> {
  const sizes: number[] = [];
  for await (const { key } of objects.list(logKeysOf(shard).snapshots)) {
    try {
      const place = parseArchiveKey(key);
      if (place.kind === 'snapshot') sizes.push(place.size);
    } catch (error) {
      if (!hasCode(error, 'FORMAT_INVALID')) throw error;
    }
  }
  return sizes.toSorted((a, b) => b - a);
}

interface Place {
  readonly origin: string;
  readonly shard: number;
  readonly shards: number;
}

/** The snapshot at `size`, if the log key signed it and its frontier gives the root that the log key signed for that size. */
async function readSnapshot(
  objects: ObjectStore,
  place: Place,
  size: number,
  keys: readonly VerifierKey[],
): Promise<RecoveryPoint | undefined> {
  const { snapshot: snapshotKey, checkpointAt } = logKeysOf(place.shard);
  const [stored, note] = [await objects.get(snapshotKey(size)), await objects.get(checkpointAt(size))];
  if (stored === undefined || note === undefined) return undefined;
  try {
    const snapshot = decodeSnapshot(openEnvelope(stored.bytes, 'snapshot', keys));
    const point = recoveryPoint(snapshot);
    const checkpoint = openLogNote(note.bytes, `${place.origin}/${place.shard}`, keys);
    const same =
      snapshot.origin === place.origin && snapshot.shard === place.shard && snapshot.shards === place.shards && snapshot.size === size;
    return same && checkpoint.size === size && equal(frontierRoot(point.head.frontier), checkpoint.root) ? point : undefined;
  } catch {
    // Snapshots are derived data. One that cannot be read or does not verify is skipped for an older one, or for the log's start.
    return undefined;
  }
}

function recoveryPoint(snapshot: Snapshot): RecoveryPoint {
  const { streams, lanes, frontier, policy, chainOffset, ...rest } = snapshot;
  return {
    head: { ...rest, frontier: { size: snapshot.size, hashes: frontier }, policy: policy === null ? null : toHex(policy) },
    streams: streams.map(({ stream, ...head }) => [stream, head] as const),
    lanes: lanes.map(({ producer, epoch, ...lane }) => [laneKey(producer, epoch), lane] as const),
    chainOffset,
  };
}
