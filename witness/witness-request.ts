import { fromBase64 } from '../core/base/bytes.ts';
import { LineproofError } from '../core/base/errors.ts';
import { type ClaimedNote, readNote } from '../core/keys/note.ts';
import { ADD_CHECKPOINT } from '../core/ports/witness.ts';

/** The state of a log, as the first lines of its checkpoint claim it. */
export interface ClaimedCheckpoint {
  readonly origin: string;
  readonly size: number;
  readonly root: Uint8Array;
}

/** A question to a witness (C2SP tlog-witness, add-checkpoint). Everything in it is a claim. */
export interface WitnessRequest {
  readonly oldSize: number;
  readonly proof: readonly Uint8Array[];
  readonly note: ClaimedNote;
  readonly checkpoint: ClaimedCheckpoint;
}

const SIZE = /^(?:0|[1-9][0-9]{0,15})$/;

function invalid(reason: string): LineproofError {
  return new LineproofError('FORMAT_INVALID', `cannot read the question: ${reason}`);
}

/** Reads a question; throws FORMAT_INVALID or LIMIT_EXCEEDED unless it is `old <size>`, lines of a proof, an empty line and a note of a checkpoint. */
export function readWitnessRequest(body: string): WitnessRequest {
  const end = body.indexOf('\n\n');
  if (end < 0) throw invalid('there is no empty line behind the proof');
  const [first = '', ...lines] = body.slice(0, end).split('\n');
  if (!first.startsWith('old ')) throw invalid('its first line is not "old <size>"');
  if (lines.length > ADD_CHECKPOINT.proofLines) throw invalid(`its proof has more than ${ADD_CHECKPOINT.proofLines} lines`);
  const proof = lines.map((line) => fromBase64(line));
  if (proof.some((hash) => hash.length !== 32)) throw invalid('a line of its proof is not a hash');
  const note = readNote(body.slice(end + 2));
  return { oldSize: sizeOf(first.slice(4)), proof, note, checkpoint: readClaimed(note.text) };
}

function sizeOf(text: string): number {
  const size = SIZE.test(text) ? Number(text) : -1;
  if (size < 0 || !Number.isSafeInteger(size)) throw invalid('a size is not a whole number below 2^53');
  return size;
}

/** The checkpoint in a note of any log: lines behind the third, which only their log understands, may be there. */
export function readClaimed(text: string): ClaimedCheckpoint {
  const [origin = '', size = '', root = '', ...more] = text.slice(0, -1).split('\n');
  if (origin === '' || more.includes('')) throw invalid('its note is not a checkpoint');
  const bytes = fromBase64(root);
  if (bytes.length !== 32) throw invalid('the root in its checkpoint is not a hash');
  return { origin, size: sizeOf(size), root: bytes };
}
