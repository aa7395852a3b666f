import { toHex, utf8Text } from '../base/bytes.ts';
import { LineproofError, messageOf } from '../base/errors.ts';
import { LIMITS } from '../base/limits.ts';
import { parseVerifierKey, type VerifierKey } from './key.ts';
import { KEY_TYPE } from './signature.ts';

interface Party {
  readonly key: VerifierKey;
  readonly url: string | null;
}

/** A witness, by the name that it has inside its file. */
export interface PolicyWitness extends Party {
  readonly name: string;
}

export interface WitnessGroup {
  readonly name: string;
  /** Members that must have witnessed: 1 to all. */
  readonly threshold: number;
  /** Names of witnesses and of groups above. */
  readonly members: readonly string[];
}

/** The witnesses whose cosignatures a checkpoint needs (C2SP tlog-policy). */
export interface WitnessPolicy {
  readonly logs: readonly Party[];
  readonly witnesses: readonly PolicyWitness[];
  /** In an order in which each group names only groups before it. */
  readonly groups: readonly WitnessGroup[];
  /** A witness, a group, or `none`. */
  readonly quorum: string;
}

/** ML-DSA-44 cosignatures: kept, not verified. */
const ML_DSA = 6;
const LOG_TYPES: readonly number[] = [KEY_TYPE.ed25519, ML_DSA];
const WITNESS_TYPES: readonly number[] = [KEY_TYPE.cosignature, ML_DSA];
// The specification forbids only the control characters of ASCII.
const CONTROL = /[^\P{Cc}\t\n\u0080-\u009f]/u;

function spellParty({ key, url }: Party): string {
  return url === null ? key.text : `${key.text} ${url}`;
}

/** A policy file: logs, witnesses, groups, then the quorum; no comments. */
export function formatWitnessPolicy({ logs, witnesses, groups, quorum }: WitnessPolicy): string {
  return [
    ...logs.map((log) => `log ${spellParty(log)}\n`),
    ...witnesses.map((witness) => `witness ${witness.name} ${spellParty(witness)}\n`),
    ...groups.map(({ name, threshold, members }) => `group ${name} ${threshold} ${members.join(' ')}\n`),
    `quorum ${quorum}\n`,
  ].join('');
}

/** Reads a policy file; throws FORMAT_INVALID on text that is not UTF-8, and, with the number of the line, on anything that tlog-policy does not allow. */
export function parseWitnessPolicy(bytes: Uint8Array): WitnessPolicy {
  if (bytes.length > LIMITS.policyBytes)
    throw new LineproofError('LIMIT_EXCEEDED', `cannot read witness policy: it is larger than ${LIMITS.policyBytes} bytes`);
  const text = utf8Text(bytes);
  const odd = text.search(CONTROL);
  if (odd >= 0) {
    const number = text.slice(0, odd).split('\n').length;
    const what = text[odd] === '\r' ? 'a carriage return: lines end with a newline alone' : 'a control character';
    throw invalid(`line ${number}: it holds ${what}`);
  }
  if (!text.endsWith('\n')) throw invalid('its last line does not end with a newline');
  const reader = new PolicyReader();
  for (const [i, line] of text.slice(0, -1).split('\n').entries()) {
    // Only spaces and tabs separate: other white space of Unicode may be in a name.
    const words = line.split(/[ \t]+/).filter((word) => word !== '');
    if (words.length > 0 && !words[0]?.startsWith('#')) reader.read(words, i + 1);
  }
  return reader.policy();
}

/** Whether the witnesses whose keys (`VerifierKey.text`) are in `signed` are a quorum. */
export function quorumHolds({ witnesses, groups, quorum }: WitnessPolicy, signed: ReadonlySet<string>): boolean {
  if (quorum === 'none') return true;
  const witnessed = new Set(witnesses.filter(({ key }) => signed.has(key.text)).map(({ name }) => name));
  for (const { name, threshold, members } of groups)
    if (members.filter((member) => witnessed.has(member)).length >= threshold) witnessed.add(name);
  return witnessed.has(quorum);
}

function invalid(reason: string): LineproofError {
  return new LineproofError('FORMAT_INVALID', `cannot read witness policy: ${reason}`);
}

/** The lines read so far. */
class PolicyReader {
  readonly #logs: Party[] = [];
  readonly #witnesses: PolicyWitness[] = [];
  readonly #groups: WitnessGroup[] = [];
  readonly #names = new Set(['none']);
  readonly #members = new Set<string>();
  readonly #keys = new Set<string>();
  #quorum: string | undefined;
  #line = 0;

  read([keyword, ...words]: readonly string[], line: number): void {
    this.#line = line;
    if (keyword === 'log') this.#logs.push(this.#party(words, 'log', LOG_TYPES));
    else if (keyword === 'witness') this.#witness(words);
    else if (keyword === 'group') this.#group(words);
    else if (keyword === 'quorum') this.#setQuorum(words);
    else throw this.#wrong(`it starts with ${JSON.stringify(keyword?.slice(0, 40))}, not with log, witness, group or quorum`);
  }

  policy(): WitnessPolicy {
    if (this.#quorum === undefined) throw invalid('there is no quorum line');
    return { logs: this.#logs, witnesses: this.#witnesses, groups: this.#groups, quorum: this.#quorum };
  }

  #wrong(reason: string): LineproofError {
    return invalid(`line ${this.#line}: ${reason}`);
  }

  #party([text = '', url, ...rest]: readonly string[], role: string, types: readonly number[]): Party {
    if (rest.length > 0) throw this.#wrong('it has too many words');
    let key: VerifierKey;
    try {
      key = parseVerifierKey(text);
    } catch (cause) {
      const why = messageOf(cause);
      throw new LineproofError('FORMAT_INVALID', `cannot read witness policy: line ${this.#line} has no usable key: ${why}`, {}, cause);
    }
    if (!types.includes(key.type)) throw this.#wrong(`a ${role} cannot have a key of type ${key.type}`);
    const material = `${role} ${toHex(key.publicKey)}`;
    if (this.#keys.has(material)) throw this.#wrong(`its key is that of another ${role}`);
    this.#keys.add(material);
    return { key, url: url ?? null };
  }

  #define(name: string | undefined): string {
    if (name === undefined || this.#names.has(name)) throw this.#wrong('its name is missing or was used before');
    return name;
  }

  #witness([word, ...words]: readonly string[]): void {
    const name = this.#define(word);
    this.#witnesses.push({ name, ...this.#party(words, 'witness', WITNESS_TYPES) });
    this.#names.add(name);
  }

  #group([word, count = '', ...members]: readonly string[]): void {
    const name = this.#define(word);
    for (const member of members) {
      if (member === 'none' || !this.#names.has(member)) throw this.#wrong(`${JSON.stringify(member)} is not defined above`);
      if (this.#members.has(member)) throw this.#wrong(`${JSON.stringify(member)} is in a group already`);
      this.#members.add(member);
    }
    const threshold = count === 'any' ? 1 : count === 'all' ? members.length : /^[1-9][0-9]{0,5}$/.test(count) ? Number(count) : 0;
    if (threshold < 1 || threshold > members.length) throw this.#wrong('its threshold is not any, all, or a number from 1 to its members');
    this.#groups.push({ name, threshold, members });
    this.#names.add(name);
  }

  #setQuorum([name = '', ...rest]: readonly string[]): void {
    if (this.#quorum !== undefined) throw this.#wrong('there is a quorum line already');
    if (rest.length > 0 || !this.#names.has(name))
      throw this.#wrong(`${JSON.stringify([name, ...rest].join(' ').slice(0, 80))} is not the name of a witness or group above, or none`);
    this.#quorum = name;
  }
}
