import { utf8 } from '../base/bytes.ts';
import { hasCode, LineproofError, messageOf } from '../base/errors.ts';
import { LIMITS } from '../base/limits.ts';
import { EVENT_TYPES } from '../formats/event.ts';
import { checkKeyName, parseVerifierKey } from '../keys/key.ts';
import { MESSAGE_KEY_NAMES, signsMessages } from '../keys/signature.ts';
import { KEY_STATUSES, REQUIRABLE_FIELDS } from './policy-document.ts';
import { MAX_DEADLINE_MS, readWitnesses } from './witnessing.ts';

const MAX_MS = 100 * 366 * 24 * 3600_000;
const MAX_ITEMS = LIMITS.policyItems;

/** Adds the faults in a policy's form to `problems`: each field's presence, type and range. If it adds none, `json` has the form of a `Policy`. */
export function checkShape(json: unknown, problems: string[]): void {
  POLICY(json, 'policy', problems);
}

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
      if (!Object.hasOwn(fields, name)) problems.push(`${path}.${name.slice(0, 40)} is not a known field`);
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
  return faultOf(check) === undefined;
}

function faultOf(check: () => void): string | undefined {
  try {
    check();
    return undefined;
  } catch (error) {
    if (hasCode(error, 'KEY_INVALID', 'FORMAT_INVALID', 'LIMIT_EXCEEDED')) return messageOf(error);
    throw error;
  }
}

const name = rule(
  'a name of 1 to 255 bytes without spaces, control characters and +',
  (value) => typeof value === 'string' && passes(() => checkKeyName(value)),
);
const verifierKey = rule(
  `an ${MESSAGE_KEY_NAMES.join(' or ')} verifier key`,
  (value) => typeof value === 'string' && passes(() => mustBe(signsMessages(parseVerifierKey(value).type))),
);
const digest = rule('64 lower-case hexadecimal digits', (value) => typeof value === 'string' && /^[0-9a-f]{64}$/.test(value));
const text = rule('a text of 1 to 4096 characters', (value) => typeof value === 'string' && value.length >= 1 && value.length <= 4096);
const pattern = rule(
  'a stream name, or a prefix that ends in one *',
  (value) => typeof value === 'string' && /^[^*]*\*?$/.test(value) && value !== '' && utf8(value).length <= LIMITS.streamBytes + 1,
);
const eventType = rule('an event type', (value) => EVENT_TYPES.some((known) => known === value));
const field = rule(`one of ${REQUIRABLE_FIELDS.join(', ')}`, (value) => REQUIRABLE_FIELDS.some((known) => known === value));
const status = rule('ACTIVE, RETIRED or COMPROMISED', (value) => KEY_STATUSES.some((known) => known === value));
const boolean = rule('true or false', (value) => typeof value === 'boolean');
const witnesses: Rule = (value, path, problems) => {
  if (typeof value !== 'string') problems.push(`${path} must be the text of a tlog-policy file without log lines`);
  else {
    const fault = faultOf(() => readWitnesses(value));
    if (fault !== undefined) problems.push(`${path}: ${fault}`);
  }
};
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
  producers: list(
    object({
      ...keyFields,
      streams: list(pattern),
      types: list(eventType),
      heartbeatMs: orNull(duration),
      maxStreams: integer(0, LIMITS.producerStreams),
      maxLanes: integer(0, LIMITS.producerLanes),
    }),
  ),
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
  retention: object({ eventsKeepMs: orNull(duration), refusedKeepMs: orNull(duration) }),
  objectLock: orNull(
    object({
      mode: rule('GOVERNANCE or COMPLIANCE', (value) => value === 'GOVERNANCE' || value === 'COMPLIANCE'),
      days: integer(1, 36_600),
    }),
  ),
  witnessing: orNull(object({ witnesses, required: boolean, deadlineMs: integer(1, MAX_DEADLINE_MS) })),
  inputGeneration: object({ generation: integer(0, 2 ** 31 - 1), firstOffsets: list(size, 1) }),
  predecessor: orNull(object({ origin: name, checkpoints: list(text, 1) })),
});
