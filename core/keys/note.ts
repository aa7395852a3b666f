import { concat, equal, fromBase64, toBase64, utf8 } from '../base/bytes.ts';
import { LineproofError } from '../base/errors.ts';
import { CHANGED_LINE_ENDS } from '../base/format-checks.ts';
import { LIMITS } from '../base/limits.ts';
import type { Signer } from '../ports/signer.ts';
import { verifyCosignature } from './cosignature.ts';
import { checkKeyName, type VerifierKey } from './key.ts';
import { importKey, KEY_TYPE, verifySignature } from './signature.ts';

/** One signature line of a note. */
export interface NoteSignature {
  readonly name: string;
  readonly id: Uint8Array;
  readonly signature: Uint8Array;
}

/** A note as it is written. Its signatures are claims that nobody has verified. */
export interface ClaimedNote {
  /** Ends in a newline. */
  readonly text: string;
  readonly signatures: readonly NoteSignature[];
}

/** A note that at least one of the given keys signed. */
export interface OpenNote {
  /** Ends in a newline. */
  readonly text: string;
  /** Verified signatures by the given keys; at least one. */
  readonly verified: readonly NoteSignature[];
  /** Signatures by other keys, which were not verified. */
  readonly unknown: readonly NoteSignature[];
}

const DASH = '— ';

function invalid(reason: string): LineproofError {
  return new LineproofError('FORMAT_INVALID', `cannot read note: ${reason}`);
}

/** C2SP signed-note: the text, an empty line, a line per signature. */
export function formatNote(text: string, signatures: readonly NoteSignature[]): string {
  return `${text}\n${signatures.map(formatSignature).join('')}`;
}

/** One signature line, with its newline. */
export function formatSignature({ name, id, signature }: NoteSignature): string {
  return `${DASH}${name} ${toBase64(concat(id, signature))}\n`;
}

/** A note with more signatures. Of two by one key it keeps the first. */
export function withSignatures(note: string, more: readonly NoteSignature[]): string {
  const { text, signatures } = readNote(note);
  const isNew = (line: NoteSignature): boolean => !signatures.some(({ name, id }) => name === line.name && equal(id, line.id));
  return formatNote(text, [...signatures, ...more.filter(isNew)]);
}

/** Signs `text` as the only signature of a new note. */
export async function signNote(text: string, signer: Signer): Promise<string> {
  return formatNote(text, [{ name: signer.name, id: signer.keyId, signature: await signer.sign(utf8(text)) }]);
}

/**
 * Opens a note that at least one of `keys` must have signed. Throws SIGNATURE_INVALID if none of them did, for a wrong signature by one of
 * them, and for a second signature by the same key. Throws as {@link readNote} does on a note that cannot be read.
 */
export function openNote(note: string, keys: readonly VerifierKey[]): OpenNote {
  const { text, signatures } = readNote(note);
  const seen = new Set<VerifierKey>();
  const verified: NoteSignature[] = [];
  const unknown: NoteSignature[] = [];
  for (const line of signatures) {
    const key = keys.find(({ name, id }) => name === line.name && equal(id, line.id));
    if (key === undefined) {
      unknown.push(line);
      continue;
    }
    if (seen.has(key)) throw new LineproofError('SIGNATURE_INVALID', `cannot accept note: ${key.name} signs twice`);
    seen.add(key);
    if (!verifies(key, text, line.signature))
      throw new LineproofError('SIGNATURE_INVALID', `cannot accept note: the signature of ${key.name} is wrong`);
    verified.push(line);
  }
  if (verified.length === 0) throw new LineproofError('SIGNATURE_INVALID', 'cannot accept note: none of the expected keys signed it');
  return { text, verified, unknown };
}

function verifies(key: VerifierKey, text: string, signature: Uint8Array): boolean {
  if (key.type === KEY_TYPE.cosignature) return verifyCosignature(key, text, signature);
  return verifySignature(importKey(key), utf8(text), signature);
}

/** Reads a note and verifies nothing. Throws FORMAT_INVALID on any other spelling than {@link formatNote}'s, LIMIT_EXCEEDED on too large a note. */
export function readNote(note: string): ClaimedNote {
  if (utf8(note).length > LIMITS.noteBytes)
    throw new LineproofError('LIMIT_EXCEEDED', `cannot read note: it is larger than ${LIMITS.noteBytes} bytes`);
  if (note.includes('\r')) throw invalid(CHANGED_LINE_ENDS);
  if (/[^\P{Cc}\n]|\p{Surrogate}/u.test(note)) throw invalid('it holds control characters');
  const end = note.lastIndexOf('\n\n');
  if (end < 0 || !note.endsWith('\n')) throw invalid('it has no signature lines');
  const lines = note.slice(end + 2, -1).split('\n');
  if (lines.length > LIMITS.noteSignatures)
    throw new LineproofError('LIMIT_EXCEEDED', `cannot read note: it has more than ${LIMITS.noteSignatures} signatures`);
  return { text: note.slice(0, end + 1), signatures: lines.map(parseSignature) };
}

function parseSignature(line: string): NoteSignature {
  const space = line.lastIndexOf(' ');
  if (!line.startsWith(DASH)) throw invalid('a signature line is not "— name base64"');
  const name = line.slice(DASH.length, space);
  try {
    checkKeyName(name);
  } catch (cause) {
    throw new LineproofError('FORMAT_INVALID', 'cannot read note: a signature line names no key', {}, cause);
  }
  const bytes = fromBase64(line.slice(space + 1));
  if (bytes.length < 5) throw invalid('a signature is too short');
  return { name, id: bytes.slice(0, 4), signature: bytes.slice(4) };
}
