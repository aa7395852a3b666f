import { sha256 } from '#crypto';
import { policyKey, schemaKey } from '../core/archive/archive-keys.ts';
import { parseManifest } from '../core/archive/manifest.ts';
import { toHex, utf8Text } from '../core/base/bytes.ts';
import { messageOf } from '../core/base/errors.ts';
import { compileEventSchema, type EventSchema } from '../core/formats/event-schema.ts';
import { decodeEnvelope, envelopeSigners } from '../core/keys/dsse.ts';
import type { VerifierKey } from '../core/keys/key.ts';
import { parsePolicy } from '../core/policy/policy.ts';
import type { Policy } from '../core/policy/policy-document.ts';
import { extendPolicies, type KeyInForce, type PolicyHistory } from '../core/policy/policy-history.ts';
import type { ArchiveReader } from './archive-reader.ts';
import type { Findings } from './findings.ts';

/** The archive's policies and schemas, and the pinned keys that prove them. */
export interface Governance {
  readonly history: PolicyHistory;
  readonly schemas: ReadonlyMap<string, EventSchema>;
  /** The pinned root key that signed a version, and so proves all versions; undefined where no pinned key did. */
  readonly root: VerifierKey | undefined;
  /** The pinned log key of each shard, where the policy lists one. */
  readonly pinnedLogs: readonly (VerifierKey | undefined)[];
  /** Keys that attest a shard: with a pinned root key all of the policy's; else the shard's pinned keys alone; else all of the policy's, which prove nothing. */
  logKeys(shard: number): readonly KeyInForce[];
}

/** A policy of the archive that can be read. */
interface StoredPolicy {
  readonly key: string;
  readonly policy: Policy;
  readonly bytes: Uint8Array;
}

/** Reads all policy versions and schemas of the archive. Undefined where no version can be used: then nothing else can be judged. */
export async function readGovernance(
  objects: ArchiveReader,
  listed: ReadonlyMap<string, number>,
  pinned: readonly VerifierKey[],
  findings: Findings,
): Promise<Governance | undefined> {
  const stored = await readPolicies(objects, listed, findings);
  const history = openHistory(stored, findings);
  if (history === undefined) {
    if (stored.length === 0) await nameMissing(objects, listed, findings);
    return undefined;
  }
  const root = pinnedRoot(stored.slice(0, history.versions.length), pinned);
  const { latest } = history;
  const pinnedLogs = Array.from({ length: latest.policy.shards }, (_, shard) =>
    latest.logKeys(shard).find(({ text }) => pinned.some((key) => key.text === text)),
  );
  return {
    history,
    schemas: await readSchemas(objects, listed, findings),
    root,
    pinnedLogs,
    logKeys: (shard) => {
      const keys = latest.logs(shard);
      if (root !== undefined || pinnedLogs[shard] === undefined) return keys;
      return keys.filter(({ verifier }) => pinned.some(({ text }) => text === verifier.text));
    },
  };
}

/** The policies whose digests are their names, in the order of versions. */
async function readPolicies(objects: ArchiveReader, listed: ReadonlyMap<string, number>, findings: Findings): Promise<StoredPolicy[]> {
  const policies: StoredPolicy[] = [];
  for (const key of listed.keys()) {
    const stored = key.startsWith('policies/') ? await objects.get(key) : undefined;
    if (stored === undefined) continue;
    try {
      const { payload } = decodeEnvelope(stored.bytes, 'policy');
      if (policyKey(toHex(sha256(payload))) !== key) throw new Error('its digest is not its name');
      policies.push({ key, policy: parsePolicy(payload), bytes: stored.bytes });
    } catch (error) {
      findings.add('POLICY_INVALID', `the policy cannot be used: ${errorText(error)}`, { object: key });
    }
  }
  return policies.toSorted((a, b) => a.policy.version - b.policy.version);
}

/** Reports the policies that the manifests name, where the archive holds none. No signature can be checked then, but the missing objects can be named. */
async function nameMissing(objects: ArchiveReader, listed: ReadonlyMap<string, number>, findings: Findings): Promise<void> {
  const missing = new Set<string>();
  for (const key of listed.keys()) {
    if (!key.endsWith('.manifest.json')) continue;
    try {
      const { payload } = decodeEnvelope((await objects.get(key))?.bytes ?? new Uint8Array(0), 'manifest');
      for (const hex of parseManifest(payload).policies) missing.add(policyKey(hex));
    } catch {
      // Without a policy no manifest is judged.
    }
  }
  for (const object of missing.size === 0 ? ['policies/'] : missing)
    if (!listed.has(object))
      findings.add('MISSING', 'the archive holds no policy; its segments name this one', { object }, { property: 'POLICY' });
}

/** The versions that follow from each other, from 1 on. The first that does not is a finding, and later ones are not used. */
function openHistory(stored: readonly StoredPolicy[], findings: Findings): PolicyHistory | undefined {
  let history: PolicyHistory | undefined;
  const keys = new Set(stored.map(({ key }) => key));
  for (const { key, policy, bytes } of stored) {
    if (policy.previous !== null && !keys.has(policyKey(policy.previous))) {
      const message = `version ${policy.version} of the policy names this version as the one before it, and the archive does not hold it`;
      findings.add('MISSING', message, { object: policyKey(policy.previous) }, { property: 'POLICY' });
    }
    try {
      history = extendPolicies(history, bytes);
    } catch (error) {
      findings.add('POLICY_CHAIN', `the policy does not follow from the version before it: ${errorText(error)}`, { object: key });
      break;
    }
  }
  return history;
}

/** The pinned key that is among a version's root keys and signed that version. Being listed alone proves nothing. */
export function pinnedRoot(
  stored: readonly Pick<StoredPolicy, 'policy' | 'bytes'>[],
  pinned: readonly VerifierKey[],
): VerifierKey | undefined {
  for (const { policy, bytes } of stored) {
    const keys = pinned.filter(({ text }) => policy.roots.keys.includes(text));
    const signed = keys.length === 0 ? [] : envelopeSigners(decodeEnvelope(bytes, 'policy'), keys);
    if (signed[0] !== undefined) return signed[0];
  }
  return undefined;
}

async function readSchemas(
  objects: ArchiveReader,
  listed: ReadonlyMap<string, number>,
  findings: Findings,
): Promise<Map<string, EventSchema>> {
  const schemas = new Map<string, EventSchema>();
  for (const key of listed.keys()) {
    const stored = key.startsWith('schemas/') ? await objects.get(key) : undefined;
    if (stored === undefined) continue;
    if (schemaKey(toHex(sha256(stored.bytes))) !== key) {
      findings.add('SCHEMA_DIGEST', 'the schema does not have the digest that its name states', { object: key });
      continue;
    }
    try {
      const schema = compileEventSchema(utf8Text(stored.bytes));
      if (schemaKey(schema.hex) !== key) throw new Error('it is not in canonical form');
      schemas.set(schema.hex, schema);
    } catch (error) {
      findings.add('SCHEMA_INVALID', `the schema cannot be used: ${errorText(error)}`, { object: key });
    }
  }
  return schemas;
}

/** The message of an error, on one line. */
export function errorText(error: unknown): string {
  return messageOf(error).replaceAll(/\s+/g, ' ').slice(0, 300);
}
