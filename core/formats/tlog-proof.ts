import { fromBase64, toBase64 } from '../base/bytes.ts';
import { LineproofError } from '../base/errors.ts';
import { CHANGED_LINE_ENDS } from '../base/format-checks.ts';
import { HASH_BYTES } from '../tree/hash.ts';

/** A C2SP tlog-proof: that one leaf is in the tree of a signed checkpoint. Reading it checks nothing but its form. */
export interface TlogProof {
  /** Opaque to the format; empty if the file has no such line. */
  readonly extra: Uint8Array;
  /** The leaf's place in the log. */
  readonly index: number;
  /** Inclusion proof, 32-byte hashes from the leaf's sibling up. */
  readonly path: readonly Uint8Array[];
  /** The signed note, verbatim. */
  readonly checkpoint: string;
}

const VERSION = 'c2sp.org/tlog-proof@v1';
/** Hashes on the longest path: a tree of 2^53 − 1 leaves is 53 high. */
const MAX_PATH = 53;

/** Text of a `.tlog-proof` file (docs/formats.md §4). */
export function formatTlogProof({ extra, index, path, checkpoint }: TlogProof): string {
  const extraLine = extra.length === 0 ? '' : `extra ${toBase64(extra)}\n`;
  return `${VERSION}\n${extraLine}index ${index}\n${path.map((hash) => `${toBase64(hash)}\n`).join('')}\n${checkpoint}`;
}

/** Reads a `.tlog-proof` file; throws FORMAT_INVALID on anything that {@link formatTlogProof} would not write. The checkpoint is not opened. */
export function parseTlogProof(text: string): TlogProof {
  if (text === '') throw invalid('it is empty');
  if (text.includes('\r')) throw invalid(CHANGED_LINE_ENDS);
  if (text.startsWith('{'))
    throw invalid('it is JSON: what lineproof prove --as json and --as in-toto write has the proof, in base64, as tlogProof');
  if (!text.startsWith(`${VERSION}\n`)) throw invalid(`it does not start with ${VERSION}`);
  const end = text.indexOf('\n\n');
  if (end < 0) throw invalid('the empty line before the checkpoint is missing');
  const lines = text.slice(VERSION.length + 1, end).split('\n');
  const extra = lines[0]?.startsWith('extra ') ? fromBase64((lines.shift() as string).slice('extra '.length)) : new Uint8Array(0);
  const index = Number(/^index (0|[1-9][0-9]{0,15})$/.exec(lines.shift() ?? '')?.[1]);
  if (!Number.isSafeInteger(index)) throw invalid('there is no index line with a number below 2^53');
  if (lines.length > MAX_PATH) throw invalid(`a path has at most ${MAX_PATH} hashes`);
  const path = lines.map(fromBase64);
  if (path.some((hash) => hash.length !== HASH_BYTES)) throw invalid('a hash of the path does not have 32 bytes');
  const proof = { extra, index, path, checkpoint: text.slice(end + 2) };
  if (!proof.checkpoint.endsWith('\n') || formatTlogProof(proof) !== text) throw invalid('it is not spelled as it must be');
  return proof;
}

function invalid(fact: string): LineproofError {
  return new LineproofError('FORMAT_INVALID', `cannot read tlog proof: ${fact}`);
}
