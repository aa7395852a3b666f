import type { VerifierKey } from '../core/keys/key.ts';
import type { Findings } from './findings.ts';
import type { Governance } from './governance.ts';
import { PROPERTIES, type Property } from './property.ts';
import type { PropertyVerdict, Refused, Result, ShardMoment, Verdict } from './verdict.ts';
import type { VerdictWord } from './verdict-words.ts';

/** Everything that the audit of an archive gathered. */
export interface Gathered {
  /** Undefined where the archive has no usable policy: then no key is known. */
  readonly governance: Governance | undefined;
  readonly shards: readonly ShardMoment[];
  readonly counts: Readonly<Record<Property, Readonly<Record<string, number>>>>;
  readonly refused: Refused;
  readonly findings: Findings;
  /** Why nothing is claimed of TIME, or on whose word it rests beside the pinned key. */
  readonly time: TimeBasis;
}

export type TimeBasis = { readonly unchecked: string } | { readonly basis: string };

/** The demands of the caller. */
export interface Demands {
  readonly keys: readonly VerifierKey[];
  /** Properties that must not be NOT CHECKED. */
  readonly require?: readonly Property[];
}

/** Makes the verdict of what was gathered: the result of each property, and the one word for all. */
export function judge(gathered: Gathered, demands: Demands): Verdict {
  const { governance, shards, refused, findings } = gathered;
  const properties = Object.fromEntries(PROPERTIES.map((property) => [property, propertyVerdict(property, gathered, demands.keys)]));
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

function propertyVerdict(
  property: Property,
  { governance, counts, findings, time }: Gathered,
  keys: readonly VerifierKey[],
): PropertyVerdict {
  const own = { counts: counts[property] };
  const worst = findings.worst(property);
  if (property === 'WITNESSES') return { result: 'NOT CHECKED', trust: 'this version gathers no cosignatures', ...own };
  if (property === 'TIME' && 'unchecked' in time && worst !== 'FAILED') return { result: 'NOT CHECKED', trust: time.unchecked, ...own };
  if (governance === undefined)
    return { result: worst === 'FAILED' ? 'FAILED' : 'NOT CHECKED', trust: 'the archive has no usable policy', ...own };
  const { pinned, trust: key } = trustOf(property, governance, keys);
  const trust = pinned && property === 'TIME' && 'basis' in time ? `${time.basis}, and the ${key}` : key;
  if (worst === 'FAILED') return { result: 'FAILED', trust, ...own };
  if (pinned && worst === 'NOT CHECKED') return { result: 'NOT CHECKED', trust: 'something is missing: the findings say what', ...own };
  return { result: pinned ? (worst ?? 'OK') : 'NOT CHECKED', trust, ...own };
}

/** So many log keys are named; more are counted. */
const NAMED_KEYS = 4;

/** The pinned key that a property rests on. A root key proves every property. Log keys of all shards prove the attested leaves, not who produced the events. */
function trustOf(property: Property, governance: Governance, keys: readonly VerifierKey[]): { pinned: boolean; trust: string } {
  const { root, pinnedLogs, history } = governance;
  if (root !== undefined) return { pinned: true, trust: `root key ${keyLabel(root)} (pinned)` };
  if (property !== 'SIGNATURES' && property !== 'POLICY' && pinnedLogs.every((key) => key !== undefined)) {
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
