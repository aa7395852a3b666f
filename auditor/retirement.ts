import { logKeysOf } from '../core/archive/archive-keys.ts';
import type { Manifest } from '../core/archive/manifest.ts';
import { parseRetired, type Retired } from '../core/archive/retired.ts';
import { canonicalJson } from '../core/base/jcs.ts';
import { attestedPayload } from './attestation.ts';
import type { Findings } from './findings.ts';
import type { Governance } from './policies.ts';
import type { ShardPlace, StoredManifest } from './shard-place.ts';

const NOTHING: ReadonlySet<string> = new Set();

/** Names of the events files of a segment that retention removed as the policy allows; where its record says anything else, all of them must be there. */
export async function retiredObjects(
  place: ShardPlace,
  stored: StoredManifest,
  archivedUntil: number,
  governance: Governance,
  findings: Findings,
): Promise<ReadonlySet<string>> {
  const { shard } = place;
  const { first, end } = stored.manifest;
  const object = logKeysOf(shard).retired(first, end);
  const record = place.listed.has(object) ? await place.objects.get(object) : undefined;
  if (record === undefined) return NOTHING;
  const keys = governance.logKeys(shard);
  const { value, faults } = attestedPayload(record.bytes, 'retired', { shard, keys, decode: parseRetired, end: (retired) => retired.end });
  const said = faults.map(({ message }) => message);
  const fault = said[0] ?? (value === undefined ? 'it cannot be read' : retirementFault(value, stored, archivedUntil, governance));
  if (value !== undefined && fault === undefined) return new Set(value.objects.map(({ name }) => name));
  findings.fail('ARCHIVE', 'RETIRED_WRONG', `the record of retention cannot be used: ${fault}`, { shard, object, leaf: first });
  return NOTHING;
}

/** Why a record of retention does not allow what it says; undefined where it does. `archivedUntil`: the last accepted time of the archive. */
function retirementFault(
  retired: Retired,
  { manifest, digest }: StoredManifest,
  archivedUntil: number,
  { history }: Governance,
): string | undefined {
  const { origin, first, end, accepted } = manifest;
  if (retired.origin !== origin || retired.first !== first || retired.end !== end) return 'it is of another segment';
  if (retired.manifest !== digest) return 'it names another manifest';
  const keepMs = history.byDigest(retired.policy)?.policy.retention.eventsKeepMs ?? null;
  if (keepMs === null) return 'its policy lets nothing be removed';
  if (archivedUntil - accepted.to < keepMs * 1000) return 'its policy does not let it be removed so early';
  return isEventsOf(retired, manifest) ? undefined : "it lists other objects than the manifest's events files";
}

function isEventsOf(retired: Retired, manifest: Manifest): boolean {
  return retired.objects.every((object) =>
    manifest.objects.some((listed) => listed.name.endsWith('.events.avro') && canonicalJson(listed) === canonicalJson(object)),
  );
}
