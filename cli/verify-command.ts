import { systemClock } from '../adapters/system-clock.ts';
import { FINDINGS } from '../auditor/findings-table.ts';
import type { Finding, Verdict } from '../auditor/verdict.ts';
import { verdictText } from '../auditor/verdict-text.ts';
import { VERDICTS } from '../auditor/verdict-words.ts';
import { type VerifyOptions, verifyArchive } from '../auditor/verify.ts';
import { LineproofError } from '../core/base/errors.ts';
import { terminalJson } from '../core/base/terminal-text.ts';
import type { ObjectStore } from '../core/ports/object-store.ts';
import { openArchive, READING_SETTINGS } from './archive-location.ts';
import { type Command, type Invocation, stringOptions, type Terminal } from './command.ts';
import { readKeptNote, readStampRoots } from './kept-files.ts';
import { PIN_OPTIONS, pinsOf } from './pinned-keys.ts';
import { Progress } from './progress.ts';

/** `lineproof verify`: an archive against keys that come from somewhere else. */
export const verifyCommand: Command = {
  name: 'verify',
  summary: 'Check an archive, offline, against a key that you trust',
  usage: ['verify ARCHIVE --key KEY [--origin NAME] [--genesis DIGEST] [--since FILE] [--tsa-root FILE] [--require PROPERTY] [--json]'],
  options: [
    ...PIN_OPTIONS,
    {
      name: 'since',
      type: 'string',
      multiple: true,
      value: 'FILE',
      help: 'a note that you kept from earlier (a copy of logs/SHARD/checkpoint, or a proof, which holds one): fail unless the history that it attests is the beginning of what is shown. May be repeated',
    },
    {
      name: 'tsa-root',
      type: 'string',
      multiple: true,
      value: 'FILE',
      help: "certificates (PEM) of time-stamp authorities' roots that you trust: then the policy's do not count. May be repeated",
    },
    { name: 'json', type: 'boolean', help: 'print the verdict as JSON' },
  ],
  settings: READING_SETTINGS,
  notes: [
    'ARCHIVE is a folder, or s3://BUCKET[/PREFIX].',
    'Exit codes; the first that applies is the verdict:',
    ...Object.entries(VERDICTS).map(([word, { exitCode, meaning }]) => `${exitCode}  ${word}: ${meaning.replaceAll('`', '')}`),
    'Exit code 74: the archive cannot be read.',
    'A key from the archive itself proves nothing: get the key from the operator by another way.',
    'Copy an archive while nothing writes to it, or from a snapshot of its disk: a copy whose segments are newer than its notes looks as if the notes had been set back. An archive that is being written can be verified where it is.',
  ],
  run: async (invocation: Invocation): Promise<number> => {
    const archive = invocation.operands[0];
    if (archive === undefined || invocation.operands.length > 1)
      throw new LineproofError('USAGE', 'verify takes one archive; see lineproof verify --help');
    const options = {
      ...pinsOf(invocation, 'verify', archive),
      since: stringOptions(invocation, 'since').map(readKeptNote),
      stampRoots: stringOptions(invocation, 'tsa-root').flatMap(readStampRoots),
      now: systemClock.nowMicros(),
    };
    const verdict = await verifyStore(await openArchive(archive, 'verify', invocation), options, invocation.terminal);
    invocation.terminal.stdout.write(
      invocation.options['json'] === true ? `${terminalJson(explained(verdict), 2)}\n` : verdictText(verdict),
    );
    return VERDICTS[verdict.result].exitCode;
  },
};

/** A verdict for programs, with the meaning of each code in it. */
export function explained<V extends { readonly findings: readonly Finding[] }>(
  verdict: V,
): V & { readonly codes: Readonly<Record<string, unknown>> } {
  const codes = [...new Set(verdict.findings.map(({ code }) => code))].toSorted();
  const meanings = codes.map((code) => [code, { meaning: FINDINGS[code].meaning, advice: FINDINGS[code].advice }]);
  return { ...verdict, codes: Object.fromEntries(meanings) };
}

/** Verifies an archive with a progress line on stderr, and closes it. */
export async function verifyStore(objects: ObjectStore, options: VerifyOptions, terminal: Terminal): Promise<Verdict> {
  const progress = new Progress(terminal.stderr);
  try {
    return await verifyArchive(objects, { ...options, onProgress: (done, total) => progress.update('verifying', done, total) });
  } finally {
    progress.clear();
    await objects.close();
  }
}
