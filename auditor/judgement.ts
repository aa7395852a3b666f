import type { VerifierKey } from '../core/keys/key.ts';
import type { Findings } from './findings.ts';
import type { Governance } from './governance.ts';
import { PROPERTIES, type Property } from './property.ts';
import type { PropertyVerdict, Refused, Result, ShardMoment, Verdict } from './verdict.ts';
import type { VerdictWord } from './verdict-words.ts';
import { type ReaderWitnesses, readerTrust } from './witness-trust.ts';

/** Everything that the audit of an archive gathered. */
export interface Gathered {
  /** Undefined where the archive has no usable policy: then no key is known. */
  readonly governance: Governance | undefined;
  readonly shards: readonly ShardMoment[];
  readonly counts: Readonly<Record<Property, Readonly<Record<string, number>>>>;
  readonly refused: Refused;
  readonly findings: Findings;
  /** Whether a policy demanded witnesses of any shard. */
  readonly isWitnessed: boolean;
  /** Why nothing is claimed of TIME, or on whose word it rests beside the pinned key. */
  readonly time: TimeBasis;
}

export type TimeBasis = { readonly unchecked: string } | { readonly basis: string };

/** The demands of the caller. */
export interface Demands {
  readonly keys: readonly VerifierKey[];
  /** Properties that must not be NOT CHECKED. */
  readonly require?: readonly Property[];
  /** Witness policies whose quorum the notes must have. */
  readonly witnesses?: readonly ReaderWitnesses[];
}

/** Makes the verdict of what was gathered: the result of each property, and the one word for all. */
export function judge(gathered: Gathered, demands: Demands): Verdict {
  const { governance, shards, refused, findings } = gathered;
  const properties = Object.fromEntries(PROPERTIES.map((property) => [property, propertyVerdict(property, gathered, demands)]));
  const lacking = lackingOf(properties as Verdict['properties'], findings, demands.require ?? []);
  const result = wordOf(properties as Verdict['properties'], gathered, demands.keys, lacking);
  return {
    result,
    ok: result === 'OK' || result === 'OPEN',
    origin: governance?.history.latest.policy.origin ?? '',
    genesis: governance?.history.versions[0]?.hex ?? null,
    shards,
    properties: properties as Verdict['properties'],
    lacking,
    refused,
    findings: findings.list,
    unlisted: findings.unlisted(),
  };
}

/** The properties that were asked for and are NOT CHECKED, and those of which a part could not be checked. */
function lackingOf(properties: Verdict['properties'], findings: Findings, required: readonly Property[]): readonly Property[] {
  const isAskedFor = (property: Property): boolean => required.includes(property) && properties[property].result === 'NOT CHECKED';
  return PROPERTIES.filter((property) => isAskedFor(property) || findings.worst(property) === 'NOT CHECKED');
}

/** The first word of the table that applies. */
function wordOf(
  properties: Verdict['properties'],
  { governance, shards }: Gathered,
  keys: readonly VerifierKey[],
  lacking: readonly Property[],
): VerdictWord {
  const has = (result: Result): boolean => PROPERTIES.some((property) => properties[property].result === result);
  if (has('FAILED')) return 'FAILED';
  if (lacking.length > 0) return 'NOT CHECKED';
  if (governance === undefined || !trustOf('LOG', governance, keys).pinned || shards.every(({ root }) => root === null)) return 'UNPROVEN';
  return has('OPEN') ? 'OPEN' : 'OK';
}

function propertyVerdict(property: Property, gathered: Gathered, { keys, witnesses = [] }: Demands): PropertyVerdict {
  const { governance, counts, findings, time } = gathered;
  const own = { counts: counts[property] };
  const worst = findings.worst(property);
  if (property === 'TIME' && 'unchecked' in time && worst !== 'FAILED') return { result: 'NOT CHECKED', trust: time.unchecked, ...own };
  if (governance === undefined)
    return { result: worst === 'FAILED' ? 'FAILED' : 'NOT CHECKED', trust: 'the archive has no usable policy', ...own };
  if (property === 'WITNESSES' && worst !== 'FAILED' && !gathered.isWitnessed)
    return { result: 'NOT CHECKED', trust: unwitnessed(governance, keys, witnesses), ...own };
  const { pinned, trust: key } =
    property === 'WITNESSES' && witnesses.length > 0
      ? { pinned: true, trust: readerTrust(witnesses) }
      : trustOf(property, governance, keys);
  const trust = pinned && property === 'TIME' && 'basis' in time ? `${time.basis}, and the ${key}` : key;
  if (worst === 'FAILED') return { result: 'FAILED', trust, ...own };
  if (pinned && worst === 'NOT CHECKED') return { result: 'NOT CHECKED', trust: 'something is missing: the findings say what', ...own };
  return { result: pinned ? (worst ?? 'OK') : 'NOT CHECKED', trust, ...own };
}

/** Why nothing is said of witnesses. */
function unwitnessed({ history, root }: Governance, keys: readonly VerifierKey[], witnesses: readonly ReaderWitnesses[]): string {
  if (witnesses.length > 0) return 'the witness policy that was given demands no witness of these logs';
  if (history.latest.witnesses === null) return 'the policy names no witnesses';
  if (history.latest.witnesses.quorum === 'none') return 'the policy demands no witness';
  if (root !== undefined) return 'the policy names witnesses, and there is no log yet';
  return keys.length === 0
    ? 'no key pinned: the policy that names the witnesses is not proven'
    : 'not proven by the pinned keys; needs the root key, or a witness policy of your own';
}

/** So many log keys are named; more are counted. */
const NAMED_KEYS = 4;

/** The pinned key that a property rests on. A root key proves every property. Log keys of all shards prove the attested leaves, not who produced the events. */
function trustOf(property: Property, governance: Governance, keys: readonly VerifierKey[]): { pinned: boolean; trust: string } {
  const { root, pinnedLogs, history } = governance;
  if (root !== undefined) return { pinned: true, trust: `root key ${keyLabel(root)} (pinned)` };
  if (property !== 'SIGNATURES' && property !== 'POLICY' && property !== 'WITNESSES' && pinnedLogs.every((key) => key !== undefined)) {
    const named = pinnedLogs.length > NAMED_KEYS ? `${pinnedLogs.length} log keys` : `log key ${pinnedLogs.map(keyLabel).join(', ')}`;
    return { pinned: true, trust: `${named} (pinned)` };
  }
  const named = history.versions[0]?.policy.roots.keys[0] ?? '';
  if (keys.length === 0)
    return { pinned: false, trust: `no key pinned; the archive calls ${named} its root key: get that from its operator by another way` };
  return { pinned: false, trust: 'not proven by the pinned keys; needs the root key' };
}

/** Name and id of a key, as texts show it. */
export function keyLabel({ name, id }: VerifierKey): string {
  return `${name}+${[...id].map((byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}
