import { realpathSync } from 'node:fs';
import { sep } from 'node:path';
import type { Demands } from '../auditor/judgement.ts';
import { PROPERTIES, type Property } from '../auditor/property.ts';
import { LineproofError } from '../core/base/errors.ts';
import { printable } from '../core/base/terminal-text.ts';
import { parseVerifierKey, type VerifierKey } from '../core/keys/key.ts';
import { KEY_TYPE } from '../core/keys/signature.ts';
import { parseWitnessPolicy, type WitnessPolicy } from '../core/keys/witness-policy.ts';
import { systemReason } from '../platform/errno.ts';
import { readSmallFile } from '../settings/small-file.ts';
import { keyFileOf } from '../settings/typed-key.ts';
import { holdsArchive } from './archive-location.ts';
import { type CommandOption, type Invocation, stringOption, stringOptions } from './command.ts';
import { readWitnessFile } from './witness-policy-file.ts';

/** What a reader brings to a verdict: never taken from what is judged. */
export interface Pins extends Demands {
  readonly origin?: string;
  /** Hex digest of the first version of the policy. */
  readonly genesis?: string;
}

/** The option of the commands that judge cosignatures. */
const WITNESS_POLICY: CommandOption = {
  name: 'witness-policy',
  type: 'string',
  multiple: true,
  value: 'FILE',
  help: 'a tlog-policy file that you trust: fail unless a quorum of its witnesses cosigned. It holds for the logs that its log lines name, or for all if it has none. May be repeated',
};

/** The options of the commands that judge evidence. */
export const PIN_OPTIONS: readonly CommandOption[] = [
  {
    name: 'key',
    short: 'k',
    type: 'string',
    multiple: true,
    value: 'KEY',
    help: 'key to trust: a root key, log keys, or for a proof the key of a producer; name+id+base64, or a file that holds it. A text with a + is always a key, never a file; @FILE is always a file. May be repeated',
  },
  { name: 'origin', type: 'string', value: 'NAME', help: 'fail unless what is judged is of this origin' },
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
  WITNESS_POLICY,
];

/** The pins of a call; `archive` is the folder that is judged, from which no key may come. Throws USAGE or KEY_UNREADABLE. */
export function pinsOf(invocation: Invocation, verb: string, archive?: string): Pins {
  const origin = stringOption(invocation, 'origin');
  const genesis = stringOption(invocation, 'genesis')?.toLowerCase();
  if (genesis !== undefined && !/^[0-9a-f]{64}$/.test(genesis))
    throw new LineproofError('USAGE', `--genesis is ${JSON.stringify(genesis.slice(0, 80))}: it must be 64 hex digits`);
  const require = stringOptions(invocation, 'require')
    .flatMap((text) => text.split(','))
    .map((text) => propertyOf(text));
  const keys = stringOptions(invocation, 'key').map((typed) => readVerifierKey(typed, verb, archive));
  const witnesses = stringOptions(invocation, 'witness-policy').map((path) => ({
    name: path,
    policy: readWitnessFile('--witness-policy', path, readerPolicy),
  }));
  return { keys, require, witnesses, ...(origin === undefined ? {} : { origin }), ...(genesis === undefined ? {} : { genesis }) };
}

/** A witness policy whose every witness can be judged: of another, a missing quorum would say nothing. Throws FORMAT_INVALID. */
function readerPolicy(bytes: Uint8Array): WitnessPolicy {
  const policy = parseWitnessPolicy(bytes);
  const unverified = policy.witnesses.find(({ key }) => key.type !== KEY_TYPE.cosignature);
  if (unverified !== undefined)
    throw new LineproofError(
      'FORMAT_INVALID',
      `this version cannot verify cosignatures by keys of type ${unverified.key.type}, as that of ${unverified.name}`,
    );
  return policy;
}

function propertyOf(text: string): Property {
  const found = PROPERTIES.find((property) => property === text.trim().toUpperCase());
  if (found !== undefined) return found;
  throw new LineproofError('USAGE', `--require is ${JSON.stringify(text.slice(0, 80))}: it must be one of ${PROPERTIES.join(', ')}`);
}

/** A verifier key as typed, or the content of the file that it names. Throws USAGE or KEY_UNREADABLE, never with a text that may be a secret. */
function readVerifierKey(typed: string, verb: string, archive: string | undefined): VerifierKey {
  const file = keyFileOf(typed);
  // The folder above an archive holds keys that are right: then the message is that it is not an archive.
  if (file !== undefined && archive !== undefined && holdsArchive(archive) && liesIn(file, archive))
    throw new LineproofError('USAGE', `--key ${file} lies in the archive, and a key from there proves nothing: get it by another way`);
  const text = file === undefined ? typed.trim() : readKey(file, typed);
  const named = file === undefined ? '' : ` ${file}`;
  if (text.startsWith('PRIVATE+KEY+'))
    throw new LineproofError('USAGE', `--key${named} is a private key; ${verb} takes the verifier key, which is beside it as .pub`);
  try {
    return parseVerifierKey(text);
  } catch (error) {
    const shown = file === undefined ? ` ${JSON.stringify(typed.slice(0, 200))}` : named;
    const form = file === undefined ? 'is not a verifier key (name+id+base64); a file whose path has a + is named as @FILE' : NEITHER;
    throw new LineproofError('USAGE', `--key${shown} ${form}`, {}, error);
  }
}

const NEITHER = 'is neither a verifier key (name+id+base64) nor a file that holds one';

function readKey(path: string, typed: string): string {
  try {
    return readSmallFile(path).trim();
  } catch (error) {
    const fact = systemReason(error);
    if (fact === 'ENOENT' && typed.startsWith('@'))
      throw new LineproofError('USAGE', `--key ${printable(typed.slice(0, 200))}: there is no such file`);
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
