import { equal } from '../base/bytes.ts';
import { cosignatureTime, verifyCosignature } from './cosignature.ts';
import type { VerifierKey } from './key.ts';
import type { NoteSignature } from './note.ts';
import { KEY_TYPE } from './signature.ts';
import { quorumHolds, type WitnessPolicy } from './witness-policy.ts';

/** A witness key with its cosignature of a text, which holds. */
export interface Cosigner {
  readonly key: VerifierKey;
  /** Seconds since 1970, by the witness's clock. */
  readonly time: number;
  readonly line: NoteSignature;
}

/** The signature lines of a note as far as they are of witnesses. */
export interface Cosigners {
  readonly good: readonly Cosigner[];
  /** Lines of a known key that do not hold, with the fact. None of that key's lines counts. */
  readonly wrong: readonly { readonly key: VerifierKey; readonly fact: string }[];
  /** Lines of no key in `keys` that this version can verify. */
  readonly unknown: readonly NoteSignature[];
}

/**
 * Judges a note's signature lines by the keys of witnesses. A key is known by its name and id; a line of it must hold, be the only one, and state a time.
 * Of a key whose type this version cannot verify nobody can tell that: its lines are as those of strangers.
 */
export function cosignersOf(text: string, lines: readonly NoteSignature[], named: readonly VerifierKey[]): Cosigners {
  const keys = named.filter(({ type }) => type === KEY_TYPE.cosignature);
  const good: Cosigner[] = [];
  const wrong: { key: VerifierKey; fact: string }[] = [];
  const isOf = (line: NoteSignature, { name, id }: VerifierKey): boolean => line.name === name && equal(line.id, id);
  for (const key of keys) {
    const [line, ...more] = lines.filter((each) => isOf(each, key));
    if (line === undefined) continue;
    const time = cosignatureTime(line.signature);
    if (more.length > 0) wrong.push({ key, fact: 'it cosigns twice' });
    else if (!verifyCosignature(key, text, line.signature)) wrong.push({ key, fact: 'its cosignature is wrong' });
    else if (time === undefined || time === 0) wrong.push({ key, fact: 'its cosignature states no time' });
    else good.push({ key, time, line });
  }
  return { good, wrong, unknown: lines.filter((line) => !keys.some((key) => isOf(line, key))) };
}

/** Whether these witnesses are a quorum: by distinct public keys, since a policy refuses two witnesses with one. */
export function isQuorum(policy: WitnessPolicy, cosigners: readonly Cosigner[]): boolean {
  return quorumHolds(policy, new Set(cosigners.map(({ key }) => key.text)));
}
