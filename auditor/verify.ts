import { ARCHIVE_JSON } from '../core/archive/archive-keys.ts';
import { utf8Text } from '../core/base/bytes.ts';
import { canonicalJson } from '../core/base/jcs.ts';
import type { VerifierKey } from '../core/keys/key.ts';
import type { ObjectStore } from '../core/ports/object-store.ts';
import { type ArchiveReader, openArchive } from './archive-reader.ts';
import { Findings } from './findings.ts';
import { type Governance, readGovernance } from './governance.ts';
import { LaneAudit } from './lane-audit.ts';
import { PROPERTIES, type Property } from './property.ts';
import { auditShard, type ShardCounts } from './shard-audit.ts';
import type { PropertyVerdict, Result, Verdict } from './verdict.ts';

export interface VerifyOptions {
  /** Keys that the caller trusts: the root key, or log keys. They must not come from the archive. */
  readonly keys: readonly VerifierKey[];
  /** Called with the number of leaves that were checked and an estimate of all. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** Verifies an archive: reads and hashes every byte of it again. Writes nothing, and never throws because of an archive's content. */
export async function verifyArchive(store: ObjectStore, options: VerifyOptions): Promise<Verdict> {
  const findings = new Findings();
  const { objects, listed } = await openArchive(store, findings);
  const governance = await readGovernance(objects, listed, options.keys, findings);
  if (governance === undefined) return withoutPolicy(findings);
  const { origin, shards } = governance.history.latest.policy;
  await checkArchiveJson(objects, listed, governance, findings);
  const lanes = new LaneAudit(findings);
  const counts: ShardCounts[] = [];
  const total = totalLeaves(listed);
  const logs = listedByShard(listed);
  nameForeignLogs(logs, shards, findings);
  let before = 0;
  for (let shard = 0; shard < shards; shard++) {
    const onLeaves = (done: number): void => options.onProgress?.(before + done, Math.max(total, before + done));
    const log = logs.get(shard);
    if (log === undefined) {
      const message = 'the archive holds nothing of this shard: nothing was logged there yet, or all of it is gone';
      findings.add('SHARD_EMPTY', message, { shard });
      continue;
    }
    counts.push(await auditShard({ objects, listed: log, origin, shard, shards, governance, findings }, lanes, onLeaves));
    before += counts.at(-1)?.size ?? 0;
  }
  lanes.finish(governance.history.latest);
  return verdictOf(governance, options.keys, counts, lanes, findings, listed.size);
}

/** The objects of each shard's log, found in one pass over all objects. */
function listedByShard(listed: ReadonlyMap<string, number>): Map<number, Map<string, number>> {
  const logs = new Map<number, Map<string, number>>();
  for (const [key, size] of listed) {
    if (!key.startsWith('logs/')) continue;
    const shard = Number(key.slice(5, key.indexOf('/', 5)));
    const log = logs.get(shard) ?? new Map<string, number>();
    logs.set(shard, log.set(key, size));
  }
  return logs;
}

/** Reports the objects of shards that the origin does not have. */
function nameForeignLogs(logs: ReadonlyMap<number, ReadonlyMap<string, number>>, shards: number, findings: Findings): void {
  for (const [shard, listed] of logs) {
    if (shard < shards) continue;
    const message = `the origin has ${shards} shards; this object belongs to another and was not checked`;
    for (const object of listed.keys()) findings.add('UNKNOWN_OBJECT', message, { object }, { severity: 'FAILED' });
  }
}

function totalLeaves(listed: ReadonlyMap<string, number>): number {
  let bundles = 0;
  for (const key of listed.keys()) if (key.includes('/tile/entries/') && !key.includes('.p/')) bundles += 1;
  return bundles * 256;
}

/** The table of contents is a convenience. It may be missing; if it exists, it must agree with the policy. */
async function checkArchiveJson(
  objects: ArchiveReader,
  listed: ReadonlyMap<string, number>,
  { history }: Governance,
  findings: Findings,
): Promise<void> {
  if (!listed.has(ARCHIVE_JSON))
    return findings.add('ABSENT', 'the table of contents is missing; nothing depends on it', { object: ARCHIVE_JSON });
  const stored = await objects.get(ARCHIVE_JSON);
  const right = history.versions.some(({ policy }) => {
    const { origin, shards, roots, logs } = policy;
    return (
      stored !== undefined && text(stored.bytes) === canonicalJson({ origin, shards, roots: roots.keys, logs: logs.map(({ key }) => key) })
    );
  });
  if (!right)
    findings.add('ARCHIVE_JSON', 'the table of contents differs from the policy or is not in canonical form', {
      object: ARCHIVE_JSON,
    });
  return undefined;
}

function text(bytes: Uint8Array): string {
  try {
    return utf8Text(bytes);
  } catch {
    return '';
  }
}

// --- the verdict

/** The pinned key that a property rests on. A root key proves every property. Log keys of all shards prove the attested leaves, not who produced the events. */
function trustOf(
  property: Property,
  { root, pinnedLogs, history }: Governance,
  keys: readonly VerifierKey[],
): { pinned: boolean; trust: string } {
  if (root !== undefined) return { pinned: true, trust: `root key ${short(root)} (pinned)` };
  if (property !== 'SIGNATURES' && property !== 'POLICY' && pinnedLogs.every((key) => key !== undefined)) {
    return { pinned: true, trust: `log key ${pinnedLogs.map((key) => (key === undefined ? '' : short(key))).join(', ')} (pinned)` };
  }
  const named = history.versions[0]?.policy.roots.keys[0] ?? '';
  if (keys.length === 0)
    return { pinned: false, trust: `no key pinned; the archive calls ${named} its root key: get that from its operator by another way` };
  return { pinned: false, trust: 'not proven by the pinned keys; needs the root key' };
}

function short({ name, id }: VerifierKey): string {
  return `${name}+${[...id].map((byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}

function verdictOf(
  governance: Governance,
  keys: readonly VerifierKey[],
  counts: readonly ShardCounts[],
  lanes: LaneAudit,
  findings: Findings,
  objects: number,
): Verdict {
  const sum = (name: keyof ShardCounts): number => counts.reduce((total, each) => total + each[name], 0);
  const counted: Readonly<Record<Property, Readonly<Record<string, number>>>> = {
    ARCHIVE: { objects, segments: sum('segments'), tiles: sum('tiles') },
    LOG: { shards: counts.length, leaves: sum('size') },
    STREAMS: { streams: sum('streams'), links: sum('links'), events: sum('events'), retired: sum('retired') },
    SIGNATURES: { signatures: sum('signatures'), batches: sum('batches'), blocks: sum('blocks') },
    ORDER: { blocks: sum('blocks'), batches: sum('batches') },
    COMPLETE: { lanes: lanes.lanes, heartbeats: lanes.heartbeats, gaps: lanes.gaps, offsets: sum('offsets'), sampledOut: lanes.sampledOut },
    UNIQUE: {
      events: sum('events'),
      duplicates: sum('duplicates'),
      conflicts: sum('conflicts'),
      repeats: sum('repeats'),
      replays: sum('replays'),
    },
    POLICY: { versions: governance.history.versions.length },
    WITNESSES: {},
    TIME: {},
  };
  const properties = {} as Record<Property, PropertyVerdict>;
  for (const property of PROPERTIES) properties[property] = propertyVerdict(property, governance, keys, findings, counted[property]);
  if (keys.length > 0 && properties.LOG.result === 'NOT CHECKED' && governance.pinnedLogs.every((key) => key === undefined)) {
    findings.add('KEY_FOREIGN', 'none of the pinned keys is a root or log key of this archive', {});
    properties.POLICY = { ...properties.POLICY, result: 'FAILED' };
  }
  const ok =
    PROPERTIES.every((property) => properties[property].result !== 'FAILED') &&
    properties.LOG.result !== 'NOT CHECKED' &&
    counts.length > 0;
  return { ok, origin: governance.history.latest.policy.origin, properties, findings: findings.list, unlisted: findings.unlisted() };
}

function propertyVerdict(
  property: Property,
  governance: Governance,
  keys: readonly VerifierKey[],
  findings: Findings,
  counts: Readonly<Record<string, number>>,
): PropertyVerdict {
  if (property === 'WITNESSES') return { result: 'NOT CHECKED', trust: 'this version gathers no cosignatures', counts };
  if (property === 'TIME') return { result: 'NOT CHECKED', trust: 'this version gathers no timestamps', counts };
  const { pinned, trust } = trustOf(property, governance, keys);
  const worst = findings.worst(property);
  const result: Result = worst === 'FAILED' ? 'FAILED' : pinned ? (worst ?? 'OK') : 'NOT CHECKED';
  return { result, trust, counts };
}

/** Without a policy no key is known: failures are reported, and everything else is NOT CHECKED. */
function withoutPolicy(findings: Findings): Verdict {
  const properties = {} as Record<Property, PropertyVerdict>;
  for (const property of PROPERTIES)
    properties[property] = {
      result: findings.worst(property) === 'FAILED' ? 'FAILED' : 'NOT CHECKED',
      trust: 'the archive has no usable policy',
      counts: {},
    };
  return { ok: false, origin: '', properties, findings: findings.list, unlisted: findings.unlisted() };
}
