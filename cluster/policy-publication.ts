import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readKeyFile } from '../adapters/key-files.ts';
import { LineproofError, messageOf } from '../core/base/errors.ts';
import { parseJsonText } from '../core/base/json-text.ts';
import type { Sources } from '../core/chain/governance-source.ts';
import { encodeEnvelope, signEnvelope } from '../core/keys/dsse.ts';
import { PRODUCER_CAPS } from '../core/policy/new-policy.ts';
import { encodePolicy, parsePolicy } from '../core/policy/policy.ts';
import type { Policy, ProducerEntry } from '../core/policy/policy-document.ts';
import { extendPolicies, type PolicyHistory, type PolicyInForce } from '../core/policy/policy-history.ts';
import { type Log, TOPICS } from '../core/ports/log.ts';
import type { Signer } from '../core/ports/signer.ts';
import { systemReason } from '../platform/errno.ts';

/** The policy in a file: the edited output of `policy show --json`. Throws CONFIG_INVALID, or POLICY_INVALID if it is not a policy. */
export function readPolicyFile(path: string): Policy {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const code = systemReason(error);
    throw new LineproofError('CONFIG_INVALID', `cannot read policy ${path}: ${code}`, { path });
  }
  let value: unknown;
  try {
    value = parseJsonText(text);
  } catch (error) {
    throw new LineproofError(
      'CONFIG_INVALID',
      `cannot use policy ${path}: ${messageOf(error)}; start from the output of lineproof policy show --json`,
      { path },
      error,
    );
  }
  return parsePolicy(encodePolicy(value as Policy));
}

/** The version after `latest` with the content of `edited`, which was made from `latest`. Throws POLICY_INVALID if it was made from another version, or is of another origin. */
export function nextPolicy(latest: PolicyInForce, edited: Policy): Policy {
  const { version, origin } = latest.policy;
  if (edited.origin !== origin)
    throw new LineproofError(
      'POLICY_INVALID',
      `cannot publish policy: it is of origin ${edited.origin}, and this is the log ${origin}; edit the output of lineproof policy show --json of this one`,
    );
  if (edited.version !== version)
    throw new LineproofError(
      'POLICY_INVALID',
      `cannot publish policy: it was made from version ${edited.version} and the newest is ${version}; ` +
        'edit the output of lineproof policy show --json, and leave its "version" as it is',
    );
  return { ...edited, version: version + 1, previous: latest.hex };
}

/** Entries for those of `keys` that `policy` does not name yet. Throws POLICY_INVALID for a key that it names with another status than ACTIVE. */
export function newProducers(policy: Policy, keys: readonly string[], streams: readonly string[]): readonly ProducerEntry[] {
  const known = new Map(policy.producers.map(({ key, status }) => [key, status]));
  for (const key of keys)
    if (known.has(key) && known.get(key) !== 'ACTIVE')
      throw new LineproofError(
        'POLICY_INVALID',
        `cannot admit producer ${key}: its key is ${known.get(key)}, and no status goes back; admit another name`,
      );
  return keys
    .filter((key) => !known.has(key))
    .map((key) => ({ key, status: 'ACTIVE', believed: null, streams, types: [], heartbeatMs: null, ...PRODUCER_CAPS }));
}

/** Root keys to sign with, from these files or the keys folder's root.key. Throws KEY_UNREADABLE. */
export async function readRootKeys(folder: string, paths: readonly string[]): Promise<readonly Signer[]> {
  const files = paths.length === 0 ? [join(folder, 'root.key')] : paths;
  return Promise.all(files.map((path) => readKeyFile(path)));
}

/** The envelope of `policy`, after every check that a reader of the control topic makes. Throws POLICY_INVALID. */
export async function signPolicy(history: PolicyHistory, policy: Policy, roots: readonly Signer[]): Promise<Uint8Array> {
  const envelope = encodeEnvelope(await signEnvelope('policy', encodePolicy(policy), roots));
  extendPolicies(history, envelope);
  return envelope;
}

/** Appends the next version, and reads it back as every reader will. Throws POLICY_INVALID if another version was there first. */
export async function publishPolicy(log: Log, sources: Sources, envelope: Uint8Array): Promise<PolicyInForce> {
  const { latest } = extendPolicies(sources.policies, envelope);
  await log.append(TOPICS.control, 0, [{ key: null, value: envelope }]);
  await sources.refreshPolicies();
  if (sources.policies.byDigest(latest.hex) === undefined)
    throw new LineproofError(
      'POLICY_INVALID',
      `cannot publish policy version ${latest.policy.version}: somebody else published another one at the same time, and that one is in force; see lineproof policy show`,
    );
  return latest;
}

/** One line for each difference. In a list of keys, the key identifies an entry. */
export function policyChanges(before: Policy, after: Policy): readonly string[] {
  const names = Object.keys(after) as (keyof Policy)[];
  return names
    .filter((name) => name !== 'version' && name !== 'previous')
    .flatMap((name) => {
      const [old, now] = [before[name], after[name]];
      return isKeyList(old) && isKeyList(now) ? entryChanges(name, old, now) : valueChange(name, old, now);
    });
}

interface Keyed {
  readonly key: string;
}

function isKeyList(value: unknown): value is readonly Keyed[] {
  return Array.isArray(value) && value.every((each: unknown) => typeof each === 'object' && each !== null && 'key' in each);
}

function entryChanges(name: string, before: readonly Keyed[], after: readonly Keyed[]): readonly string[] {
  const old = new Map(before.map((entry) => [entry.key, entry]));
  const kept = new Set(after.map(({ key }) => key));
  const gone = before.filter(({ key }) => !kept.has(key)).map(({ key }) => `${name}: ${key} is gone`);
  const changed = after.flatMap((entry) => {
    const was = old.get(entry.key);
    if (was === undefined) return [`${name}: ${entry.key} is new, ${JSON.stringify({ ...entry, key: undefined })}`];
    return Object.entries(entry).flatMap(([field, value]) =>
      valueChange(`${name}: ${entry.key}: ${field}`, (was as unknown as Record<string, unknown>)[field], value),
    );
  });
  return [...gone, ...changed];
}

function valueChange(name: string, before: unknown, after: unknown): readonly string[] {
  const [old, now] = [JSON.stringify(before), JSON.stringify(after)];
  return old === now ? [] : [`${name}: ${old} -> ${now}`];
}
