import { counted, printable, wrapped } from '../../core/base/terminal-text.ts';
import { FINDINGS } from '../findings-table.ts';
import { PROPERTIES } from '../property.ts';
import { placeText } from '../verdict-text.ts';
import type { ProofSubject } from './proof-subject.ts';
import { isShown, type ProofVerdict, SHOWN } from './proof-verdict.ts';
import type { StreamPiece } from './stream-pieces.ts';

/** What each checked property says about the event, in words that need no glossary. */
const SAYS = {
  LOG: 'The event is in the log, at this leaf, as the log key attested.',
  SIGNATURES: 'The producer signed the event, and nobody changed it since.',
  POLICY: 'The policy allowed that producer to record it.',
  WITNESSES: 'Enough witnesses outside saw this state of the log, and saw it only grow.',
} as const;
/** Inputs and outputs of the event that are named; JSON has all. */
const SHOWN_DATA = 6;

/** A verdict about one proof for people, in lines of 80 columns. */
export function proofVerdictText(name: string, verdict: ProofVerdict): string {
  const { subject, result } = verdict;
  const lines = [
    ...wrapped(`Proof ${printable(name)}`, 2),
    ...(subject === null ? [] : subjectLines(subject, verdict)),
    '',
    ...checkedLines(verdict),
    '',
    ...(subject === null ? [] : limitLines(verdict, subject)),
    ...findingLines(verdict),
    ...wrapped(`VERDICT: ${result}${result === 'UNPROVEN' ? `: ${printable(verdict.properties.LOG.trust)}` : ''}`, 9),
  ];
  return `${lines.join('\n')}\n`;
}

/** One line for one proof of several. */
export function proofLine(name: string, { result, subject }: ProofVerdict): string {
  const what =
    subject === null ? '' : `  ${subject.type} ${printable(JSON.stringify(subject.stream))} #${subject.streamIndex}  ${subject.id}`;
  return `${result.padEnd(11)} ${printable(name)}${what}\n`;
}

function subjectLines(subject: ProofSubject, { properties, witnessed }: ProofVerdict): string[] {
  const isSigned = properties.SIGNATURES.result === 'OK';
  const rows: readonly (readonly [string, string])[] = [
    ['event', `${subject.type}, number ${subject.streamIndex} of stream ${JSON.stringify(subject.stream)}`],
    ['id', subject.id],
    ['producer', isSigned ? subject.producer : `${subject.producer}, says the file`],
    ['happened', `${subject.occurredAt}, says the producer`],
    ['accepted', `${subject.acceptedAt}, says the chainer`],
    ['log', `${subject.log}, leaf ${subject.leaf} of ${subject.size}`],
    ['root', subject.root],
    ...(witnessed === null ? [] : [['seen', `between ${witnessed.from} and ${witnessed.to}, say the witnesses`] as const]),
    ...(subject.genesis === null ? [] : [['genesis', subject.genesis] as const]),
  ];
  return [...rows, ...dataRows(subject)].flatMap(([name, value]) => wrapped(printable(`  ${name.padEnd(9)}${value}`), 11));
}

function dataRows({ data }: ProofSubject): (readonly [string, string])[] {
  const rows = data
    .slice(0, SHOWN_DATA)
    .map(({ role, name, digest }) => [role, `${JSON.stringify(name)} ${digest ?? 'without a digest'}`] as const);
  return data.length > SHOWN_DATA ? [...rows, ['', `and ${data.length - SHOWN_DATA} more inputs and outputs (--json lists all)`]] : rows;
}

function checkedLines({ properties }: ProofVerdict): string[] {
  return SHOWN.flatMap((property) => {
    const { result, trust } = properties[property];
    const head = wrapped(
      printable(`  ${property.padEnd(11)} ${result.padEnd(11)} ${result === 'OK' ? `proven by the ${trust}` : trust}`),
      26,
    );
    return result === 'OK' ? [...head, ...wrapped(`${' '.repeat(26)}${SAYS[property]}`, 26)] : head;
  });
}

/** What the file does not show, whatever the keys. */
function limitLines({ properties }: ProofVerdict, { newestPolicyVersion }: ProofSubject): string[] {
  const lines = ['Not shown by a proof of one event:'];
  for (const property of PROPERTIES)
    if (!isShown(property))
      lines.push(
        ...wrapped(
          `  ${property.padEnd(11)} ${properties[property].result === 'FAILED' ? 'FAILED: ' : ''}${properties[property].trust}`,
          14,
        ),
      );
  const newest =
    newestPolicyVersion === null
      ? 'the file holds no policy, so whether a key was reported stolen is not known'
      : `the file knows the policy up to version ${newestPolicyVersion}; whether a later one reports a key as stolen is NOT CHECKED`;
  return [...lines, ...wrapped(`  ${'(keys)'.padEnd(11)} ${newest}`, 14), ''];
}

function findingLines({ findings }: ProofVerdict): string[] {
  if (findings.length === 0) return [];
  const lines = ['Findings:'];
  for (const { severity, code, property, message, place } of findings) {
    const { meaning, advice } = FINDINGS[code];
    lines.push(
      ...wrapped(`  ${severity}  ${code}  (${property})`, 4),
      ...wrapped(`    ${meaning}`, 4),
      ...wrapped(`    What to do: ${advice}`, 4),
      ...wrapped(`    - ${printable(message)}${placeText(place)}`, 6),
    );
  }
  return [...lines, ''];
}

/** How proofs that are right by themselves contradict each other. */
export function forksText(forks: readonly string[]): string {
  if (forks.length === 0) return '';
  const head = 'Proofs contradict each other: a log key attested two histories. Keep all of them, and ask the owner of the log.';
  return `${[...wrapped(head), ...forks.flatMap((fork) => wrapped(`  - ${printable(fork)}`, 4))].join('\n')}\n`;
}

/** What several proofs show together about their streams. */
export function piecesText(pieces: readonly StreamPiece[]): string {
  const lines = pieces.flatMap(({ log, stream, from, to, whole }) => {
    const span = from === to ? `number ${from}` : `numbers ${from} to ${to}`;
    const says = whole ? 'each names the one before it: no event between them is missing' : 'one event, so no order is shown';
    return wrapped(`  ${printable(JSON.stringify(stream))} (${printable(log)}): ${span}, ${counted(to - from + 1, 'event')}; ${says}`, 4);
  });
  return lines.length === 0 ? '' : `Pieces of streams:\n${lines.join('\n')}\n`;
}
