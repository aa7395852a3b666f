import { realpathSync } from 'node:fs';
import { sep } from 'node:path';
import { FINDINGS } from '../auditor/findings-table.ts';
import { PROPERTIES, type Property } from '../auditor/property.ts';
import type { Verdict } from '../auditor/verdict.ts';
import { verdictText } from '../auditor/verdict-text.ts';
import { VERDICTS } from '../auditor/verdict-words.ts';
import { type VerifyOptions, verifyArchive } from '../auditor/verify.ts';
import { LineproofError } from '../core/base/errors.ts';
import { terminalJson } from '../core/base/terminal-text.ts';
import { parseVerifierKey, type VerifierKey } from '../core/keys/key.ts';
import type { ObjectStore } from '../core/ports/object-store.ts';
import { systemReason } from '../platform/errno.ts';
import { readSmallFile } from '../settings/small-file.ts';
import { keyFileOf } from '../settings/typed-key.ts';
import { holdsArchive, openArchive, READING_SETTINGS } from './archive-location.ts';
import { type Command, type Invocation, stringOption, stringOptions, type Terminal } from './command.ts';
import { Progress } from './progress.ts';

/** `lineproof verify`: an archive against keys that come from somewhere else. */
export const verifyCommand: Command = {
  name: 'verify',
  summary: 'Check an archive, offline, against a key that you trust',
  usage: ['verify ARCHIVE --key KEY [--origin NAME] [--genesis DIGEST] [--require PROPERTY] [--json]'],
  options: [
    {
      name: 'key',
      short: 'k',
      type: 'string',
      multiple: true,
      value: 'KEY',
      help: 'key to trust: the root key, or log keys; name+id+base64, or a file that holds it. A text with a + is always a key, never a file; @FILE is always a file. May be repeated',
    },
    { name: 'origin', type: 'string', value: 'NAME', help: 'fail unless the archive is of this origin' },
    {
      name: 'genesis',
      type: 'string',
      value: 'DIGEST',
      help: 'fail unless the first version of the policy has this digest (64 hex digits, which a verdict prints): it tells two systems under one root key apart',
    },
    {
      name: 'require',
      type: 'string',
      multiple: true,
      value: 'PROPERTY',
      help: `exit with 3 if this property is NOT CHECKED; may be repeated: ${PROPERTIES.join(', ')}`,
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
    const options = optionsOf(invocation, archive);
    const verdict = await verifyStore(await openArchive(archive, 'verify', invocation), options, invocation.terminal);
    invocation.terminal.stdout.write(
      invocation.options['json'] === true ? `${terminalJson(verdictJson(verdict), 2)}\n` : verdictText(verdict),
    );
    return VERDICTS[verdict.result].exitCode;
  },
};

/** A verdict for programs, with the meaning of each code in it. */
export function verdictJson(verdict: Verdict): Verdict & { readonly codes: Readonly<Record<string, unknown>> } {
  const codes = [...new Set(verdict.findings.map(({ code }) => code))].toSorted();
  const explained = codes.map((code) => [code, { meaning: FINDINGS[code].meaning, advice: FINDINGS[code].advice }]);
  return { ...verdict, codes: Object.fromEntries(explained) };
}

/** The options of a call. Throws USAGE or KEY_UNREADABLE. */
function optionsOf(invocation: Invocation, archive: string): VerifyOptions {
  const origin = stringOption(invocation, 'origin');
  const genesis = stringOption(invocation, 'genesis')?.toLowerCase();
  if (genesis !== undefined && !/^[0-9a-f]{64}$/.test(genesis))
    throw new LineproofError('USAGE', `--genesis is ${JSON.stringify(genesis.slice(0, 80))}: it must be 64 hex digits`);
  const require = stringOptions(invocation, 'require')
    .flatMap((text) => text.split(','))
    .map((text) => propertyOf(text));
  const keys = stringOptions(invocation, 'key').map((typed) => readVerifierKey(typed, archive));
  return { keys, require, ...(origin === undefined ? {} : { origin }), ...(genesis === undefined ? {} : { genesis }) };
}

function propertyOf(text: string): Property {
  const found = PROPERTIES.find((property) => property === text.trim().toUpperCase());
  if (found !== undefined) return found;
  throw new LineproofError('USAGE', `--require is ${JSON.stringify(text.slice(0, 80))}: it must be one of ${PROPERTIES.join(', ')}`);
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

/** A verifier key as typed, or the content of the file that it names. Throws USAGE or KEY_UNREADABLE, never with a text that may be a secret. */
function readVerifierKey(typed: string, archive: string): VerifierKey {
  const file = keyFileOf(typed);
  // The folder above an archive holds keys that are right: then the message is that it is not an archive.
  if (file !== undefined && holdsArchive(archive) && liesIn(file, archive))
    throw new LineproofError('USAGE', `--key ${file} lies in the archive, and a key from there proves nothing: get it by another way`);
  const text = file === undefined ? typed : readKey(file);
  const named = file === undefined ? '' : ` ${file}`;
  if (text.startsWith('PRIVATE+KEY+'))
    throw new LineproofError('USAGE', `--key${named} is a private key; verify takes the verifier key, which is beside it as .pub`);
  try {
    return parseVerifierKey(text);
  } catch (error) {
    const shown = file === undefined ? ` ${JSON.stringify(typed.slice(0, 200))}` : named;
    const form = file === undefined ? 'is not a verifier key (name+id+base64); a file whose path has a + is named as @FILE' : NEITHER;
    throw new LineproofError('USAGE', `--key${shown} ${form}`, {}, error);
  }
}

const NEITHER = 'is neither a verifier key (name+id+base64) nor a file that holds one';

function readKey(path: string): string {
  try {
    return readSmallFile(path).trim();
  } catch (error) {
    const fact = systemReason(error);
    if (fact === 'ENOENT') throw new LineproofError('USAGE', `--key ${JSON.stringify(path.slice(0, 200))} ${NEITHER}`);
    throw new LineproofError('KEY_UNREADABLE', `cannot read key file ${path}: ${fact}`, { path });
  }
}

/** Whether a file lies in a folder, links followed. False where one of them cannot be found: then nothing is read from it. */
function liesIn(file: string, folder: string): boolean {
  try {
    const [inner, outer] = [realpathSync(file), realpathSync(folder)];
    return inner.startsWith(outer.endsWith(sep) ? outer : `${outer}${sep}`);
  } catch {
    return false;
  }
}
