import { openLogNote } from '../core/archive/archive-anchor.ts';
import { equal, utf8 } from '../core/base/bytes.ts';
import { LineproofError } from '../core/base/errors.ts';
import { type Checkpoint, formatCheckpoint } from '../core/keys/checkpoint.ts';
import { encodeEnvelope, openEnvelope, type PayloadType, signEnvelope } from '../core/keys/dsse.ts';
import type { VerifierKey } from '../core/keys/key.ts';
import { type NoteSignature, signNote, withSignatures } from '../core/keys/note.ts';
import type { ObjectStore } from '../core/ports/object-store.ts';
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
  if (equal(stored.bytes, bytes) || holds(() => isSame(stored.bytes))) return stored.bytes;
  throw new LineproofError('ARCHIVE_DIVERGED', `cannot archive ${key}: other content is there already`, { key });
}

function holds(check: () => boolean): boolean {
  try {
    return check();
  } catch {
    return false;
  }
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

/** The payload of an envelope that one of `keys` signed; undefined for anything else. */
export function signedPayload(bytes: Uint8Array, type: PayloadType, keys: readonly VerifierKey[]): Uint8Array | undefined {
  try {
    return openEnvelope(bytes, type, keys);
  } catch {
    return undefined;
  }
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
