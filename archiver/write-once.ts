import { sha256Stream } from '#crypto';
import { openLogNote } from '../core/archive/archive-anchor.ts';
import { readWindows } from '../core/archive/state-file.ts';
import { attempt } from '../core/base/attempt.ts';
import { equal, toHex, utf8 } from '../core/base/bytes.ts';
import { LineproofError } from '../core/base/errors.ts';
import { type Checkpoint, formatCheckpoint } from '../core/keys/checkpoint.ts';
import { signTreeHead, treeHeadSigner } from '../core/keys/cose.ts';
import { encodeEnvelope, openEnvelope, type PayloadType, signEnvelope } from '../core/keys/dsse.ts';
import type { VerifierKey } from '../core/keys/key.ts';
import { type NoteSignature, signNote, withSignatures } from '../core/keys/note.ts';
import type { ObjectStore, Pieces } from '../core/ports/object-store.ts';
import type { Signer } from '../core/ports/signer.ts';

/** The log key that signs, and all keys that may verify: after a change of keys the same content can have another signature. */
export interface LogKeys {
  readonly signer: Signer;
  readonly verifiers: readonly VerifierKey[];
}

/**
 * Writes an object that never changes, and returns the stored bytes. An object that is stored already is kept if its bytes are equal or `isSame`
 * says that its content is the same. Throws ARCHIVE_DIVERGED for any other content.
 */
export async function putOnce(
  objects: ObjectStore,
  key: string,
  bytes: Uint8Array,
  isSame: (stored: Uint8Array) => boolean = () => false,
): Promise<Uint8Array> {
  if (await objects.create(key, bytes)) return bytes;
  const stored = await objects.get(key);
  if (stored === undefined) throw new LineproofError('UNAVAILABLE', `cannot tell what is stored as ${key}`);
  if (equal(stored.bytes, bytes) || attempt(() => isSame(stored.bytes)) === true) return stored.bytes;
  throw new LineproofError('ARCHIVE_DIVERGED', `cannot archive ${key}: other content is there already`, { key });
}

/** {@link putOnce} of a DSSE envelope: the same payload, signed by a log key, is the same content. */
export async function putEnvelope(
  objects: ObjectStore,
  key: string,
  { type, payload }: { readonly type: PayloadType; readonly payload: Uint8Array },
  { signer, verifiers }: LogKeys,
): Promise<Uint8Array> {
  const bytes = encodeEnvelope(await signEnvelope(type, payload, [signer]));
  return putOnce(objects, key, bytes, (stored) => {
    const there = signedPayload(stored, type, verifiers);
    return there !== undefined && equal(there, payload);
  });
}

/** What a file is, whoever wrote it. */
export interface FileDigest {
  readonly bytes: number;
  /** Hex SHA-256. */
  readonly sha256: string;
}

/** {@link putOnce} of a large object, of which a part is in memory at a time. */
export async function putPieces(objects: ObjectStore, key: string, pieces: Pieces): Promise<FileDigest> {
  const counted = new CountedPieces(pieces);
  const isNew = await objects.create(key, counted);
  const own = counted.digest ?? (await digestOf(pieces));
  if (isNew) return own;
  const stored = await digestOf(readWindows(objects, key, Number.MAX_SAFE_INTEGER));
  if (stored.bytes === own.bytes && stored.sha256 === own.sha256) return own;
  throw new LineproofError('ARCHIVE_DIVERGED', `cannot archive ${key}: other content is there already`, { key });
}

/** Pieces, and what they are once somebody went through all of them: so that writing them is the only pass. */
class CountedPieces implements Pieces {
  readonly #pieces: Pieces;
  digest: FileDigest | undefined;

  constructor(pieces: Pieces) {
    this.#pieces = pieces;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    const digest = sha256Stream();
    let bytes = 0;
    for await (const piece of this.#pieces) {
      digest.update(piece);
      bytes += piece.length;
      yield piece;
    }
    this.digest = { bytes, sha256: toHex(digest.digest()) };
  }
}

async function digestOf(pieces: Pieces): Promise<FileDigest> {
  const counted = new CountedPieces(pieces);
  for await (const _ of counted);
  return counted.digest as FileDigest;
}

/** The payload of an envelope that one of `keys` signed; undefined for anything else. */
export function signedPayload(bytes: Uint8Array, type: PayloadType, keys: readonly VerifierKey[]): Uint8Array | undefined {
  return attempt(() => openEnvelope(bytes, type, keys));
}

/** {@link putOnce} of a note: the same tree head, signed by a log key, is the same content, whatever other signatures it has. */
export async function putNote(
  objects: ObjectStore,
  key: string,
  { checkpoint, cosignatures }: { readonly checkpoint: Checkpoint; readonly cosignatures: readonly NoteSignature[] },
  { signer, verifiers }: LogKeys,
): Promise<void> {
  const note = withSignatures(await signNote(formatCheckpoint(checkpoint), signer), cosignatures);
  await putOnce(objects, key, utf8(note), (stored) => {
    const there = openLogNote(stored, checkpoint.origin, verifiers);
    return there.size === checkpoint.size && equal(there.root, checkpoint.root);
  });
}

/** {@link putOnce} of the COSE signature of a tree head: the same head, signed by a log key, is the same content. */
export async function putTreeHead(
  objects: ObjectStore,
  key: string,
  checkpoint: Checkpoint,
  { signer, verifiers }: LogKeys,
): Promise<void> {
  const head = await signTreeHead(checkpoint, signer);
  await putOnce(objects, key, head, (stored) => treeHeadSigner(stored, checkpoint, verifiers) !== undefined);
}
