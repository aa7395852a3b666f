import { existsSync, readFileSync } from 'node:fs';
import { openFolderObjectStore } from '../adapters/folder-object-store.ts';
import { verdictText } from '../auditor/verdict-text.ts';
import { verifyArchive } from '../auditor/verify.ts';
import { LineproofError } from '../core/errors.ts';
import { parseVerifierKey, type VerifierKey } from '../core/key.ts';
import type { Verdict } from '../core/verdict.ts';
import { type Command, type Invocation, stringOptions, type Terminal } from './command.ts';
import { EXIT } from './exit-codes.ts';
import { Progress } from './progress.ts';

/** `lineproof verify`: an archive against keys that come from somewhere else. */
export const verifyCommand: Command = {
  name: 'verify',
  summary: 'Check an archive, offline, against a key that you trust',
  usage: 'verify ARCHIVE --key KEY [--json]',
  options: [
    {
      name: 'key',
      short: 'k',
      type: 'string',
      multiple: true,
      value: 'KEY',
      help: 'verifier key to trust (name+id+base64), or a file that holds one: the root key, or log keys; may be repeated',
    },
    { name: 'json', type: 'boolean', help: 'print the verdict as JSON' },
  ],
  notes: [
    'Exit code 0: every checked property is OK. 1: findings, or no key was given. 74: the archive cannot be read.',
    'A key that lies in the archive itself proves nothing: get it from the operator by another way.',
  ],
  run: async (invocation: Invocation): Promise<number> => {
    const archive = invocation.operands[0];
    if (archive === undefined || invocation.operands.length > 1)
      throw new LineproofError('USAGE', 'verify takes one archive folder; see lineproof verify --help');
    const keys = stringOptions(invocation, 'key').map(readVerifierKey);
    const verdict = await verifyFolder(archive, keys, invocation.terminal);
    invocation.terminal.stdout.write(
      invocation.options['json'] === true ? `${JSON.stringify(verdict, undefined, 2)}\n` : verdictText(verdict),
    );
    return verdict.ok ? EXIT.ok : EXIT.findings;
  },
};

/** Verifies a folder with a progress line on stderr. Throws IO_FAILED where there is no such folder. */
export async function verifyFolder(folder: string, keys: readonly VerifierKey[], terminal: Terminal): Promise<Verdict> {
  if (!existsSync(folder)) throw new LineproofError('IO_FAILED', `cannot verify ${folder}: there is no such folder`);
  const objects = await openFolderObjectStore(folder);
  const progress = new Progress(terminal.stderr);
  try {
    return await verifyArchive(objects, { keys, onProgress: (done, total) => progress.update('verifying', done, total) });
  } finally {
    progress.clear();
    await objects.close();
  }
}

/** A verifier key as typed, or the content of the file of that name. Throws USAGE. */
function readVerifierKey(given: string): VerifierKey {
  const text = existsSync(given) ? readFileSync(given, 'utf8').trim() : given;
  try {
    return parseVerifierKey(text);
  } catch (error) {
    throw new LineproofError('USAGE', `--key ${given} is neither a verifier key (name+id+base64) nor a file that holds one`, {}, error);
  }
}
