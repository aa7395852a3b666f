import { sha256 } from '#crypto';
import { policyKey, schemaKey } from '../core/archive/archive-keys.ts';
import { parseManifest } from '../core/archive/manifest.ts';
import { toHex, utf8Text } from '../core/base/bytes.ts';
import { compileEventSchema, type EventSchema } from '../core/formats/event-schema.ts';
import { decodeEnvelope, envelopeSigners } from '../core/keys/dsse.ts';
import type { VerifierKey } from '../core/keys/key.ts';
import { parsePolicy } from '../core/policy/policy.ts';
import type { Policy } from '../core/policy/policy-document.ts';
import { extendPolicies, type KeyInForce, type PolicyHistory } from '../core/policy/policy-history.ts';
import type { ArchiveReader } from './archive-reader.ts';
import type { Findings } from './findings.ts';

/** The archive's policies and schemas, and what the pinned keys say of them. */
export interface Governance {
  readonly history: PolicyHistory;
  readonly schemas: ReadonlyMap<string, EventSchema>;
  /** The pinned root key that signed a version, and so proves every version before and after it; undefined where none did. */
  readonly root: VerifierKey | undefined;
  /** The pinned log key of each shard that the policies name, where one is pinned. */
  readonly pinnedLogs: readonly (VerifierKey | undefined)[];
  /** Keys that attest a shard: the policy's where its root key is pinned, else the pinned ones alone, else (nothing is proven then) the policy's. */
  logKeys(shard: number): readonly KeyInForce[];
}

/** A policy object of the archive that can be read. */
interface StoredPolicy {
  readonly key: string;
  readonly policy: Policy;
  readonly bytes: Uint8Array;
}

/** Reads every policy version and schema in the archive. Undefined where no version can be used: then nothing else can be judged. */
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

/** Every policy object that is what its name says, in the order of versions. */
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
      findings.fail('POLICY', 'POLICY_INVALID', `the policy cannot be used: ${reason(error)}`, { object: key });
    }
  }
  return policies.toSorted((a, b) => a.policy.version - b.policy.version);
}

/** Which policies the manifests name, when there is none: nobody's signature can be checked then, and what misses can be told all the same. */
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
      findings.fail('POLICY', 'MISSING', 'the archive holds no policy, and this one is named by its segments', { object });
}

/** The versions that follow from each other, from 1 on; the first that does not is named, and what it would have proven is not. */
function openHistory(stored: readonly StoredPolicy[], findings: Findings): PolicyHistory | undefined {
  let history: PolicyHistory | undefined;
  for (const { key, policy, bytes } of stored) {
    if (policy.previous !== null && !stored.some((each) => each.key === policyKey(policy.previous ?? ''))) {
      findings.fail('POLICY', 'MISSING', `version ${policy.version} of the policy names this one as the one before`, {
        object: policyKey(policy.previous),
      });
    }
    try {
      history = extendPolicies(history, bytes);
    } catch (error) {
      findings.fail('POLICY', 'POLICY_CHAIN', `the policy does not follow from the one before: ${reason(error)}`, { object: key });
      break;
    }
  }
  return history;
}

/** The pinned key that stands among a version's root keys and signed that version: standing there alone proves nothing. */
function pinnedRoot(stored: readonly StoredPolicy[], pinned: readonly VerifierKey[]): VerifierKey | undefined {
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
      findings.fail('ARCHIVE', 'SCHEMA_DIGEST', 'the schema does not have the digest that it is named by', { object: key });
      continue;
    }
    try {
      const schema = compileEventSchema(utf8Text(stored.bytes));
      if (schemaKey(schema.hex) !== key) throw new Error('it is not in canonical form');
      schemas.set(schema.hex, schema);
    } catch (error) {
      findings.fail('ARCHIVE', 'SCHEMA_INVALID', `the schema cannot be used: ${reason(error)}`, { object: key });
    }
  }
  return schemas;
}

/** What an error says, on one line. */
export function reason(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).replaceAll(/\s+/g, ' ').slice(0, 300);
}
