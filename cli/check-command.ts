import { join } from 'node:path';
import { checkProof } from '../auditor/proofs/proof-check.ts';
import { forksOf } from '../auditor/proofs/proof-forks.ts';
import { forksText, piecesText, proofLine, proofVerdictText } from '../auditor/proofs/proof-text.ts';
import type { ProofDemands, ProofVerdict } from '../auditor/proofs/proof-verdict.ts';
import { streamPieces } from '../auditor/proofs/stream-pieces.ts';
import { VERDICTS, type VerdictWord } from '../auditor/verdict-words.ts';
import { LineproofError } from '../core/base/errors.ts';
import { LIMITS } from '../core/base/limits.ts';
import { counted, printableLines, terminalJson } from '../core/base/terminal-text.ts';
import { errnoOf, ioError } from '../platform/errno.ts';
import { readAtMost } from '../settings/small-file.ts';
import { type Command, type Invocation, stringOption } from './command.ts';
import { EXIT } from './exit-codes.ts';
import { digestsOfFile } from './file-digests.ts';
import { PIN_OPTIONS, pinsOf } from './pinned-keys.ts';
import { Progress } from './progress.ts';
import { explained } from './verify-command.ts';

/** The operand that stands for standard input. */
const STDIN = '-';
const STDIN_DESCRIPTOR = 0;

/** The words that a proof can get, and when: a subset of those of a whole archive. */
const WORDS = {
  FAILED: 'Something in the proof is wrong, or two proofs contradict each other.',
  'NOT CHECKED':
    'A property that --require names is not proven by this file and these keys, or a root key is given and the file lacks the seal.',
  UNPROVEN: 'Nothing is wrong, and no pinned key proves that the event is in the log.',
  OK: 'A pinned key proves that the event is in the log. The lines above say what else is proven, and what is not.',
} as const satisfies Partial<Record<VerdictWord, string>>;
type Word = keyof typeof WORDS;

/** A file with its verdict. */
interface CheckedFile {
  readonly file: string;
  readonly verdict: ProofVerdict;
}

/** A file that cannot be read. */
interface UnreadFile {
  readonly file: string;
  readonly error: LineproofError;
}

/** `lineproof check`: proofs of single events against keys that come from somewhere else. */
export const checkCommand: Command = {
  name: 'check',
  summary: 'Check proofs of single events, offline, against a key that you trust',
  usage: ['check FILE... --key KEY [--origin NAME] [--genesis DIGEST] [--file PATH] [--require PROPERTY] [--json]'],
  options: [
    ...PIN_OPTIONS,
    {
      name: 'file',
      short: 'f',
      type: 'string',
      value: 'PATH',
      help: 'fail unless the event names data with the digest of this file as input or output',
    },
    { name: 'json', type: 'boolean', help: 'print the verdicts as JSON' },
  ],
  notes: [
    `FILE is a proof that lineproof prove wrote; ${STDIN} is standard input. Nothing else is read: no archive, no network.`,
    'KEY is a root key, which proves all that a proof can show; a log key, which proves that the event is in the log; or the key of a producer, which proves who signed the event. A key that came with the file proves nothing: get it from the operator by another way.',
    'Several proofs of one stream also show whether an event between them is missing.',
    'Exit codes; of several files, the first that applies to one of them:',
    ...Object.entries(WORDS).map(([word, meaning]) => `${VERDICTS[word as Word].exitCode}  ${word}: ${meaning}`),
    'Exit code 74: a file cannot be read; what the others show is printed all the same, without a verdict.',
  ],
  run: async (invocation: Invocation): Promise<number> => {
    const { operands, terminal, options } = invocation;
    if (operands.length === 0) throw new LineproofError('USAGE', 'check takes one proof or more; see lineproof check --help');
    if (operands.filter((file) => file === STDIN).length > 1)
      throw new LineproofError('USAGE', `check takes ${STDIN} once: it is read to its end`);
    const file = stringOption(invocation, 'file');
    const pins = { ...pinsOf(invocation, 'check'), ...(file === undefined ? {} : { data: await digestsOfFile(file) }) };
    const { checked, unread } = checkFiles(operands, pins, new Progress(terminal.stderr));
    if (operands.length === 1 && unread[0] !== undefined) throw unread[0].error;
    for (const { error } of unread) terminal.stderr.write(`${printableLines(`lineproof: ${error.message} [${error.code}]`)}\n`);
    terminal.stdout.write(options['json'] === true ? jsonOf(checked, unread) : textOf(checked, unread));
    return unread.length > 0 ? EXIT.io : VERDICTS[worstOf(checked)].exitCode;
  },
};

/** Checks each file that can be read. The others are named, and those that could be read are told all the same. */
function checkFiles(
  files: readonly string[],
  pins: ProofDemands,
  progress: Progress,
): { readonly checked: CheckedFile[]; readonly unread: UnreadFile[] } {
  const checked: CheckedFile[] = [];
  const unread: UnreadFile[] = [];
  for (const [i, file] of files.entries()) {
    progress.update('checking', i, files.length);
    try {
      checked.push({ file, verdict: checkProof(readProofFile(file), pins) });
    } catch (error) {
      if (!(error instanceof LineproofError)) throw error;
      unread.push({ file, error });
    }
  }
  progress.clear();
  return { checked, unread };
}

/** One byte more than a proof may have: then the file is judged as too large, not as unreadable. */
function readProofFile(file: string): Uint8Array {
  try {
    return readAtMost(file === STDIN ? STDIN_DESCRIPTOR : file, LIMITS.proofBytes + 1);
  } catch (error) {
    if (errnoOf(error) === 'EISDIR')
      throw new LineproofError(
        'IO_FAILED',
        `cannot read proof ${file}: it is a folder; name the proofs in it, such as ${join(file, '*.tlog-proof')}`,
      );
    throw ioError(`read proof ${file === STDIN ? 'from standard input' : file}`, error);
  }
}

/** Contradictions between proofs that are right by themselves. */
function forksAmong(checked: readonly CheckedFile[]): string[] {
  return forksOf(checked.map(({ verdict }) => verdict));
}

/** The first word that applies to one of the proofs, or to all together. */
function worstOf(checked: readonly CheckedFile[]): VerdictWord {
  if (forksAmong(checked).length > 0) return 'FAILED';
  const words = Object.keys(WORDS) as Word[];
  return words.find((word) => checked.some(({ verdict }) => verdict.result === word)) ?? 'OK';
}

function jsonOf(checked: readonly CheckedFile[], unread: readonly UnreadFile[]): string {
  const proofs = checked.map(({ file, verdict }) => ({ file, ...explained(verdict) }));
  const streams = streamPieces(checked.map(({ verdict }) => verdict));
  const result = unread.length > 0 ? null : worstOf(checked);
  const unreadable = unread.map(({ file, error }) => ({ file, error: { code: error.code, message: error.message } }));
  return `${terminalJson({ result, proofs, streams, contradictions: forksAmong(checked), unreadable }, 2)}\n`;
}

/** One proof is told in full; of several, a line for each, those in full that are not OK, and what they show together. */
function textOf(checked: readonly CheckedFile[], unread: readonly UnreadFile[]): string {
  const [only, ...others] = checked;
  if (only !== undefined && others.length === 0 && unread.length === 0) return proofVerdictText(only.file, only.verdict);
  const bad = checked.filter(({ verdict }) => !verdict.ok).map(({ file, verdict }) => `${proofVerdictText(file, verdict)}\n`);
  const lines = checked.map(({ file, verdict }) => proofLine(file, verdict));
  const pieces = piecesText(streamPieces(checked.map(({ verdict }) => verdict)));
  const verdict =
    unread.length > 0
      ? `NO VERDICT: ${counted(unread.length, 'file')} of ${checked.length + unread.length} cannot be read\n`
      : `VERDICT: ${worstOf(checked)} (${counted(checked.length, 'proof')})\n`;
  return `${bad.join('')}${lines.join('')}${pieces}${forksText(forksAmong(checked))}${verdict}`;
}
