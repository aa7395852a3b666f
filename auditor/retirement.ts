import { logKeysOf } from '../core/archive/archive-keys.ts';
import { parseRetired, type Retired } from '../core/archive/retired.ts';
import { canonicalJson } from '../core/base/jcs.ts';
import type { VerifierKey } from '../core/keys/key.ts';
import type { Policy } from '../core/policy/policy-document.ts';
import { attestedPayload } from './attestation.ts';
import type { Audit } from './audit.ts';
import type { Governance } from './governance.ts';
import type { StoredManifest } from './stored-manifest.ts';

const NOTHING: ReadonlySet<string> = new Set();

/** Names of the files of a segment, of its events and of its refused events, that retention removed as the policy allows. A record that cannot be used allows none to be missing. */
export async function retiredObjects(audit: Audit, stored: StoredManifest, archivedUntil: number): Promise<ReadonlySet<string>> {
  const { shard, governance, findings } = audit;
  const { first, end } = stored.manifest;
  const object = logKeysOf(shard).retired(first, end);
  const record = audit.listed.has(object) ? await audit.objects.get(object) : undefined;
  if (record === undefined) return NOTHING;
  const keys = governance.logKeys(shard);
  const { value, faults, signers } = attestedPayload(record.bytes, 'retired', {
    shard,
    keys,
    decode: parseRetired,
    end: (retired) => retired.end,
  });
  const said = [...faults.map(({ message }) => message), ...(isSignedInUse(governance, shard, signers) ? [] : [OUT_OF_USE])];
  const fault = said[0] ?? (value === undefined ? 'it cannot be read' : retirementFault(value, stored, archivedUntil, governance));
  if (value !== undefined && fault === undefined) return new Set(value.objects.map(({ name }) => name));
  findings.add('RETIRED_WRONG', `the record of removed events cannot be used: ${fault}`, { shard, object, leaf: first });
  return NOTHING;
}

const OUT_OF_USE = 'no log key signed it that the newest policy calls ACTIVE, and nothing tells when it was signed';

/** Whether one of the signers is ACTIVE in the newest policy. Where only log keys are pinned, no policy is proven: each of them is in use. */
function isSignedInUse({ history, root, pinnedLogs }: Governance, shard: number, signers: readonly VerifierKey[]): boolean {
  if (root === undefined && pinnedLogs[shard] !== undefined) return true;
  const active = history.latest.policy.logs.filter(({ status }) => status === 'ACTIVE');
  return signers.some(({ text }) => active.some(({ key }) => key === text));
}

/** Why the record does not allow the removal that it states; undefined where it does. `archivedUntil`: the last accepted time of the archive. */
function retirementFault(
  retired: Retired,
  { manifest, digest }: StoredManifest,
  archivedUntil: number,
  { history }: Governance,
): string | undefined {
  const { origin, first, end, accepted } = manifest;
  if (retired.origin !== origin || retired.first !== first || retired.end !== end) return 'it belongs to another segment';
  if (retired.manifest !== digest) return 'it names another manifest';
  const retention = history.byDigest(retired.policy)?.policy.retention;
  for (const object of retired.objects) {
    const kept = manifest.objects.some((listed) => canonicalJson(listed) === canonicalJson(object)) ? keptAs(object.name) : undefined;
    if (kept === undefined) return "it lists other objects than the manifest's events files and file of refused events";
    const keepMs = retention?.[kept] ?? null;
    if (keepMs === null) return 'its policy allows no removal';
    if (archivedUntil - accepted.to < keepMs * 1000) return 'its policy does not allow a removal so early';
  }
  return undefined;
}

/** The time of the policy that an object is kept for; undefined for objects that always stay. */
function keptAs(name: string): keyof Policy['retention'] | undefined {
  if (name.endsWith('.events.avro')) return 'eventsKeepMs';
  return name.endsWith('.refused.avro') ? 'refusedKeepMs' : undefined;
}
