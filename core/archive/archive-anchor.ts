import { sha256Stream } from '#crypto';
import { type Lane, laneKey, type StreamEnd } from '../acceptance/log-state.ts';
import { attempt, holds } from '../base/attempt.ts';
import { equal, toHex, utf8Text } from '../base/bytes.ts';
import { hasCode, LineproofError } from '../base/errors.ts';
import { mustHold } from '../base/format-checks.ts';
import { sharedTexts } from '../base/shared-texts.ts';
import type { Sources } from '../chain/governance-source.ts';
import type { ArchiveAnchor, RecoveryPoint } from '../chain/recovery-point.ts';
import { type Checkpoint, parseCheckpoint } from '../keys/checkpoint.ts';
import { openEnvelope } from '../keys/dsse.ts';
import type { VerifierKey } from '../keys/key.ts';
import { openNote } from '../keys/note.ts';
import type { ObjectStore } from '../ports/object-store.ts';
import { frontierRoot } from '../tree/frontier.ts';
import { logKeysOf, parseArchiveKey } from './archive-keys.ts';
import { parseSnapshotStatement, type SnapshotHead, type StateRecord, snapshotLogHead } from './snapshot.ts';
import { readWindows, StateDecoder } from './state-file.ts';

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
    snapshot: async (shard) => (await newestSnapshot(objects, sources, { origin, shard, shards }, () => new StateCollector()))?.point(),
  };
}

/** The size of the newest snapshot that verifies to its last byte, 0 if there is none. Holds a part of it at a time. */
export async function newestSnapshotSize(objects: ObjectStore, sources: Sources, place: SnapshotPlace): Promise<number> {
  return (await newestSnapshot(objects, sources, place, () => new StateReader()))?.head?.size ?? 0;
}

async function newestSnapshot<R extends StateReader>(
  objects: ObjectStore,
  { policies }: Sources,
  place: SnapshotPlace,
  reader: () => R,
): Promise<R | undefined> {
  for (const size of await snapshotSizes(objects, place.shard)) {
    const found = await readSnapshot({ objects, keys: policies.latest.logKeys(place.shard) }, place, size, reader());
    if (found !== undefined) return found;
  }
  return undefined;
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

/** The log that a snapshot must be of. */
export interface SnapshotPlace {
  readonly origin: string;
  readonly shard: number;
  readonly shards: number;
}

/** Reads a state file, and keeps its head. */
class StateReader {
  readonly #decoder = new StateDecoder();
  readonly #digest = sha256Stream();
  head: SnapshotHead | undefined;

  /** Takes the next bytes; throws what {@link StateDecoder} throws. */
  take(bytes: Uint8Array): void {
    this.#digest.update(bytes);
    for (const record of this.#decoder.take(bytes)) this.see(record);
  }

  /** Throws FORMAT_INVALID if the file is not whole, or not the one with this digest. */
  finish(sha256: string): void {
    this.#decoder.end();
    mustHold(toHex(this.#digest.digest()) === sha256, 'cannot take snapshot: its file is not the one that its statement names');
  }

  see({ branch, value }: StateRecord): void {
    if (branch === 'SnapshotHead') this.head = value;
  }
}

/** Keeps the whole state. Hashes are copied: a view would keep the bytes around it in memory. */
class StateCollector extends StateReader {
  readonly #streams = new Map<string, StreamEnd>();
  readonly #lanes = new Map<string, Lane>();
  readonly #shared = sharedTexts();

  override see(record: StateRecord): void {
    const { branch, value } = record;
    if (branch === 'SnapshotHead')
      super.see({ branch, value: { ...value, frontier: value.frontier.map((hash) => hash.slice()), seal: value.seal.slice() } });
    else if (branch === 'StreamHead') {
      const { stream, index, hash, logIndex, producer } = value;
      this.#streams.set(stream, { index, hash: hash.slice(), logIndex, producer: this.#shared(producer) });
    } else {
      const { producer, epoch, number, hash, appendedAt } = value;
      this.#lanes.set(laneKey(producer, epoch), { number, hash: hash.slice(), appendedAt });
    }
  }

  point(): RecoveryPoint | undefined {
    if (this.head === undefined) return undefined;
    return { head: snapshotLogHead(this.head), streams: this.#streams, lanes: this.#lanes, chainOffset: this.head.chainOffset };
  }
}

/**
 * Lets `reader` read the snapshot at `size`, if the log key signed its statement, its file is the one that the statement names, and its frontier gives the
 * root that the log key signed for that size. Snapshots are derived data: undefined for one that cannot be read or does not verify, so that the caller takes
 * an older one, or begins at the log's start. Throws what the store throws.
 */
async function readSnapshot<R extends StateReader>(
  { objects, keys }: { readonly objects: ObjectStore; readonly keys: readonly VerifierKey[] },
  place: SnapshotPlace,
  size: number,
  reader: R,
): Promise<R | undefined> {
  const names = logKeysOf(place.shard);
  const [stored, note] = [await objects.get(names.snapshot(size)), await objects.get(names.checkpointAt(size))];
  if (stored === undefined || note === undefined) return undefined;
  const origin = `${place.origin}/${place.shard}`;
  const statement = attempt(() => parseSnapshotStatement(openEnvelope(stored.bytes, 'snapshot', keys)));
  if (statement === undefined || statement.origin !== origin || statement.size !== size) return undefined;
  for await (const window of readWindows(objects, names.state(size), statement.bytes))
    if (!holds(() => reader.take(window))) return undefined;
  const isRight = holds(() => {
    reader.finish(statement.sha256);
    mustFitInto(place, openLogNote(note.bytes, origin, keys), reader.head, size);
  });
  return isRight ? reader : undefined;
}

/** Throws FORMAT_INVALID unless the head is of this log and size, and gives the root of the note. */
function mustFitInto({ origin, shard, shards }: SnapshotPlace, note: Checkpoint, head: SnapshotHead | undefined, size: number): void {
  mustHold(
    head !== undefined && head.origin === origin && head.shard === shard && head.shards === shards,
    'cannot take snapshot: it is of another log',
  );
  const root = frontierRoot(snapshotLogHead(head).frontier);
  mustHold(head.size === size && note.size === size && equal(root, note.root), 'cannot take snapshot: its note is of another tree');
}
