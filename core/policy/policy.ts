import { sha256 } from '#crypto';
import { toHex, utf8 } from '../base/bytes.ts';
import { hasCode, LineproofError } from '../base/errors.ts';
import { canonicalJson, parseCanonicalJson } from '../base/jcs.ts';
import { LIMITS } from '../base/limits.ts';
import { EVENT_TYPES } from '../formats/event.ts';
import { checkKeyName, KEY_TYPE, parseVerifierKey } from '../keys/key.ts';

export type KeyStatus = 'ACTIVE' | 'RETIRED' | 'COMPROMISED';
const STATUS_ORDER: readonly KeyStatus[] = ['ACTIVE', 'RETIRED', 'COMPROMISED'];

/** A key in one role. `believed`: per shard, the size up to which a COMPROMISED key is believed; null otherwise. */
export interface KeyEntry {
  readonly key: string;
  readonly status: KeyStatus;
  readonly believed: readonly number[] | null;
}

export interface ProducerEntry extends KeyEntry {
  /** Exact names, or prefixes that end in `*`. */
  readonly streams: readonly string[];
  /** Event types; empty: all. */
  readonly types: readonly string[];
  /** Longest silence that is no finding; null: none is demanded. */
  readonly heartbeatMs: number | null;
}

/** The policy document (docs/formats.md §6). Every field is always present. */
export interface Policy {
  readonly origin: string;
  readonly shards: number;
  readonly version: number;
  /** Digest of the version before, hex; null in version 1. */
  readonly previous: string | null;
  readonly formatLevel: number;
  readonly roots: { readonly keys: readonly string[]; readonly threshold: number };
  readonly producers: readonly ProducerEntry[];
  readonly chainers: readonly KeyEntry[];
  readonly logs: readonly KeyEntry[];
  readonly readers: readonly { readonly name: string; readonly roles: readonly string[]; readonly streams: readonly string[] }[];
  readonly schemas: readonly string[];
  readonly requiredFields: readonly { readonly streams: readonly string[]; readonly fields: readonly string[] }[];
  readonly sampling: readonly { readonly streams: readonly string[]; readonly types: readonly string[]; readonly keepOneIn: number }[];
  readonly clockSkewMs: number;
  readonly dedupWindowMs: number;
  readonly laneRetentionMs: number;
  readonly segmentMaxAgeMs: number;
  readonly retention: { readonly eventsKeepMs: number | null };
  readonly objectLock: { readonly mode: string; readonly days: number } | null;
  readonly witnesses: readonly { readonly key: string; readonly url: string }[];
  readonly inputGeneration: { readonly generation: number; readonly firstOffsets: readonly number[] };
  readonly predecessor: { readonly origin: string; readonly checkpoints: readonly string[] } | null;
}

const HOUR_MS = 3600_000;
const DAY_MS = 24 * HOUR_MS;
const MAX_MS = 100 * 366 * DAY_MS;
const MAX_ITEMS = LIMITS.policyItems;
/** Fields of an event that a policy can require: those that may be absent or empty. */
export const REQUIRABLE_FIELDS = [
  'actor.onBehalfOf',
  'activity',
  'activity.runId',
  'activity.version',
  'activity.environment',
  'inputs',
  'outputs',
  'parents',
  'trace',
  'attributes',
  'facets',
] as const;

/** What a policy needs to be told; everything else has a default. */
export interface NewPolicyOptions {
  readonly origin: string;
  readonly shards: number;
  readonly roots: readonly string[];
  readonly threshold?: number;
  readonly producers: readonly {
    readonly key: string;
    readonly streams: readonly string[];
    readonly types?: readonly string[];
    readonly heartbeatMs?: number | null;
  }[];
  readonly chainers: readonly string[];
  readonly logs: readonly string[];
  readonly schemas: readonly string[];
  readonly clockSkewMs?: number;
  readonly dedupWindowMs?: number;
  readonly laneRetentionMs?: number;
  readonly segmentMaxAgeMs?: number;
}

function active(key: string): KeyEntry {
  return { key, status: 'ACTIVE', believed: null };
}

/** Version 1 of a policy, with the defaults of a cluster: dedup window 1 h, segments of 1 h. */
export function newPolicy(options: NewPolicyOptions): Policy {
  const clockSkewMs = options.clockSkewMs ?? 5 * 60_000;
  const dedupWindowMs = options.dedupWindowMs ?? HOUR_MS;
  return {
    origin: options.origin,
    shards: options.shards,
    version: 1,
    previous: null,
    formatLevel: 1,
    roots: { keys: options.roots, threshold: options.threshold ?? 1 },
    producers: options.producers.map(({ key, streams, types, heartbeatMs }) => ({
      ...active(key),
      streams,
      types: types ?? [],
      heartbeatMs: heartbeatMs ?? null,
    })),
    chainers: options.chainers.map(active),
    logs: options.logs.map(active),
    readers: [],
    schemas: options.schemas,
    requiredFields: [],
    sampling: [],
    clockSkewMs,
    dedupWindowMs,
    laneRetentionMs: options.laneRetentionMs ?? Math.max(7 * DAY_MS, 3 * (dedupWindowMs + clockSkewMs)),
    segmentMaxAgeMs: options.segmentMaxAgeMs ?? HOUR_MS,
    retention: { eventsKeepMs: null },
    objectLock: null,
    witnesses: [],
    inputGeneration: { generation: 0, firstOffsets: Array.from({ length: options.shards }, () => 0) },
    predecessor: null,
  };
}

/** The payload: canonical JSON. Throws POLICY_INVALID as {@link parsePolicy} does, so that no policy is signed that nobody accepts. */
export function encodePolicy(policy: Policy): Uint8Array {
  const payload = utf8(canonicalJson(policy));
  parsePolicy(payload);
  return payload;
}

/** `H` of the payload: what seals name. */
export function policyDigest(payload: Uint8Array): Uint8Array {
  return sha256(payload);
}

/** Reads a payload; throws one POLICY_INVALID that lists every problem. */
export function parsePolicy(payload: Uint8Array): Policy {
  if (payload.length > LIMITS.policyBytes)
    throw new LineproofError('POLICY_INVALID', `cannot use policy: it is larger than ${LIMITS.policyBytes} bytes`);
  let json: unknown;
  try {
    json = parseCanonicalJson(payload);
  } catch (cause) {
    throw new LineproofError('POLICY_INVALID', 'cannot use policy: it is no canonical JSON', {}, cause);
  }
  const problems: string[] = [];
  POLICY(json, 'policy', problems);
  if (problems.length === 0) checkMeaning(json as Policy, problems);
  if (problems.length > 0)
    throw new LineproofError(
      'POLICY_INVALID',
      `cannot use policy:\n${problems
        .slice(0, 50)
        .map((problem) => `  - ${problem}`)
        .join('\n')}`,
    );
  return json as Policy;
}

// --- shape: each rule names what is wrong and where

type Rule = (value: unknown, path: string, problems: string[]) => void;

function rule(what: string, holds: (value: unknown) => boolean): Rule {
  return (value, path, problems) => {
    if (!holds(value)) problems.push(`${path} must be ${what}`);
  };
}

function object(fields: Readonly<Record<string, Rule>>): Rule {
  return (value, path, problems) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      problems.push(`${path} must be an object`);
      return;
    }
    for (const name of Object.keys(value))
      if (!Object.hasOwn(fields, name)) problems.push(`${path}.${name.slice(0, 40)} is no known field`);
    for (const [name, check] of Object.entries(fields)) {
      if (Object.hasOwn(value, name)) check((value as Record<string, unknown>)[name], `${path}.${name}`, problems);
      else problems.push(`${path}.${name} is missing`);
    }
  };
}

function list(item: Rule, min = 0): Rule {
  return (value, path, problems) => {
    if (!Array.isArray(value) || value.length < min || value.length > MAX_ITEMS) {
      problems.push(`${path} must be a list of ${min} to ${MAX_ITEMS} items`);
      return;
    }
    for (const [i, each] of value.entries()) item(each, `${path}[${i}]`, problems);
  };
}

function orNull(check: Rule): Rule {
  return (value, path, problems) => {
    if (value !== null) check(value, path, problems);
  };
}

function integer(min: number, max: number): Rule {
  return rule(
    `a whole number from ${min} to ${max}`,
    (value) => typeof value === 'number' && Number.isSafeInteger(value) && value >= min && value <= max,
  );
}

function passes(check: () => void): boolean {
  try {
    check();
    return true;
  } catch (error) {
    if (hasCode(error, 'KEY_INVALID') || hasCode(error, 'FORMAT_INVALID')) return false;
    throw error;
  }
}

const name = rule(
  'a name of 1 to 255 bytes without spaces, control characters and +',
  (value) => typeof value === 'string' && passes(() => checkKeyName(value)),
);
const verifierKey = rule(
  'an Ed25519 verifier key',
  (value) => typeof value === 'string' && passes(() => mustBe(parseVerifierKey(value).type === KEY_TYPE.ed25519)),
);
const anyKey = rule('a verifier key', (value) => typeof value === 'string' && passes(() => parseVerifierKey(value)));
const digest = rule('64 lower-case hexadecimal digits', (value) => typeof value === 'string' && /^[0-9a-f]{64}$/.test(value));
const text = rule('a text of 1 to 4096 characters', (value) => typeof value === 'string' && value.length >= 1 && value.length <= 4096);
const pattern = rule(
  'a stream name, or a prefix that ends in one *',
  (value) => typeof value === 'string' && /^[^*]*\*?$/.test(value) && value !== '' && utf8(value).length <= LIMITS.streamBytes + 1,
);
const eventType = rule('an event type', (value) => EVENT_TYPES.some((known) => known === value));
const field = rule(`one of ${REQUIRABLE_FIELDS.join(', ')}`, (value) => REQUIRABLE_FIELDS.some((known) => known === value));
const status = rule('ACTIVE, RETIRED or COMPROMISED', (value) => STATUS_ORDER.some((known) => known === value));
const size = integer(0, Number.MAX_SAFE_INTEGER);
const duration = integer(1, MAX_MS);
const keyFields = { key: verifierKey, status, believed: orNull(list(size, 1)) };

function mustBe(holds: boolean): void {
  if (!holds) throw new LineproofError('KEY_INVALID', 'another type of key');
}

const POLICY = object({
  origin: name,
  shards: integer(1, MAX_ITEMS),
  version: integer(1, Number.MAX_SAFE_INTEGER),
  previous: orNull(digest),
  formatLevel: integer(1, 1_000_000),
  roots: object({ keys: list(verifierKey, 1), threshold: integer(1, MAX_ITEMS) }),
  producers: list(object({ ...keyFields, streams: list(pattern), types: list(eventType), heartbeatMs: orNull(duration) })),
  chainers: list(object(keyFields), 1),
  logs: list(object(keyFields), 1),
  readers: list(object({ name: text, roles: list(text), streams: list(pattern) })),
  schemas: list(digest, 1),
  requiredFields: list(object({ streams: list(pattern, 1), fields: list(field, 1) })),
  sampling: list(object({ streams: list(pattern, 1), types: list(eventType), keepOneIn: integer(1, 1_000_000) })),
  clockSkewMs: integer(0, MAX_MS),
  dedupWindowMs: duration,
  laneRetentionMs: duration,
  segmentMaxAgeMs: duration,
  retention: object({ eventsKeepMs: orNull(duration) }),
  objectLock: orNull(
    object({
      mode: rule('GOVERNANCE or COMPLIANCE', (value) => value === 'GOVERNANCE' || value === 'COMPLIANCE'),
      days: integer(1, 36_600),
    }),
  ),
  witnesses: list(object({ key: anyKey, url: text })),
  inputGeneration: object({ generation: integer(0, 2 ** 31 - 1), firstOffsets: list(size, 1) }),
  predecessor: orNull(object({ origin: name, checkpoints: list(text, 1) })),
});

// --- meaning: what the fields say together

function checkMeaning(policy: Policy, problems: string[]): void {
  const { shards, roots } = policy;
  const keys = [...policy.producers, ...policy.chainers, ...policy.logs];
  if ((policy.version === 1) !== (policy.previous === null)) problems.push('policy.previous must be null in version 1, and only there');
  const signers = new Set(roots.keys.map((key) => toHex(parseVerifierKey(key).publicKey)));
  if (roots.threshold > signers.size) problems.push('policy.roots.threshold must not exceed the number of public keys of the roots');
  if (policy.inputGeneration.firstOffsets.length !== shards)
    problems.push('policy.inputGeneration.firstOffsets must have one offset per shard');
  if (policy.laneRetentionMs < 2 * (policy.dedupWindowMs + policy.clockSkewMs))
    problems.push('policy.laneRetentionMs must be at least twice dedupWindowMs + clockSkewMs');
  for (const { key, status: state, believed } of keys) {
    if ((state === 'COMPROMISED') !== (believed !== null))
      problems.push(`${key}: believed must be given for COMPROMISED keys, and only for them`);
    if (believed !== null && believed.length !== shards) problems.push(`${key}: believed must have one size per shard`);
  }
  checkLogNames(policy, problems);
  checkRoles(policy, problems);
}

function checkLogNames({ origin, shards, logs }: Policy, problems: string[]): void {
  const names = new Set(Array.from({ length: shards }, (_, shard) => `${origin}/${shard}`));
  const served = new Set<string>();
  for (const { key } of logs) {
    const owner = parseVerifierKey(key).name;
    if (!names.has(owner)) problems.push(`${key}: a log key is named <origin>/<shard>`);
    served.add(owner);
  }
  if (served.size < shards) problems.push('policy.logs must have a key for every shard');
}

/** No public key in two roles; no two keys with the same name and id. */
function checkRoles(policy: Policy, problems: string[]): void {
  const roles = new Map<string, string>();
  const names = new Set<string>();
  const groups: [string, readonly string[]][] = [
    ['roots', policy.roots.keys],
    ['producers', policy.producers.map(({ key }) => key)],
    ['chainers', policy.chainers.map(({ key }) => key)],
    ['logs', policy.logs.map(({ key }) => key)],
    ['witnesses', policy.witnesses.map(({ key }) => key)],
  ];
  for (const [role, keys] of groups) {
    for (const key of keys) {
      const { name: owner, id, publicKey } = parseVerifierKey(key);
      const material = toHex(publicKey);
      const label = `${owner}+${toHex(id)}`;
      if ((roles.get(material) ?? role) !== role)
        problems.push(`${label}: one public key has two roles, ${roles.get(material)} and ${role}`);
      // Two names for one root key would count it twice against the threshold.
      if (role === 'roots' && roles.has(material)) problems.push(`${label}: this public key is among the roots already`);
      if (names.has(label)) problems.push(`${label}: two keys have this name and id`);
      roles.set(material, role);
      names.add(label);
    }
  }
}

/** Whether a key's status may go from one to the other. */
export function statusMayGo(from: KeyStatus, to: KeyStatus): boolean {
  return STATUS_ORDER.indexOf(to) >= STATUS_ORDER.indexOf(from);
}

/** Whether a stream is matched by one of the patterns. The system's own streams only by a pattern that names them as such. */
export function matchesStream(patterns: readonly string[], stream: string): boolean {
  const own = stream.startsWith('lineproof/');
  return patterns.some((each) => {
    if (own && !each.startsWith('lineproof/')) return false;
    return each.endsWith('*') ? stream.startsWith(each.slice(0, -1)) : stream === each;
  });
}
