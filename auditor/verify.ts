import { ARCHIVE_JSON } from '../core/archive/archive-keys.ts';
import { utf8Text } from '../core/base/bytes.ts';
import { canonicalJson } from '../core/base/jcs.ts';
import type { VerifierKey } from '../core/keys/key.ts';
import type { ObjectStore } from '../core/ports/object-store.ts';
import type { AcrossShards } from './across-shards.ts';
import { type ArchiveReader, listArchive } from './archive-reader.ts';
import { AUDIT_LIMITS, type AuditLimits } from './audit-limits.ts';
import { Findings } from './findings.ts';
import { type Governance, readGovernance } from './governance.ts';
import { type Demands, type Gathered, judge } from './judgement.ts';
import { checkKeptSizes, type KeptNote, type KeptRoot, openKeptNotes } from './kept-notes.ts';
import { LaneAudit } from './lane-audit.ts';
import { Refusals } from './refusals.ts';
import { type AuditedShard, auditShard, type ShardCounts } from './shard-audit.ts';
import { SilenceAudit } from './silence-audit.ts';
import type { Verdict } from './verdict.ts';
import type { WitnessedShard } from './witness-audit.ts';
import { type WitnessTrust, witnessTrust } from './witness-trust.ts';

export interface VerifyOptions extends Demands {
  /** Keys that the caller trusts: the root key, or log keys. They must not come from the archive. */
  readonly keys: readonly VerifierKey[];
  /** The origin that the archive must be of. */
  readonly origin?: string;
  /** Hex digest of the first version of the policy, which must be the archive's. */
  readonly genesis?: string;
  /** Notes that the caller kept from earlier: the history that they attest must be the beginning of what is shown. */
  readonly since?: readonly KeptNote[];
  /** Bounds of memory, where they are not the usual ones. */
  readonly limits?: AuditLimits;
  /** Called with the number of leaves that were checked and an estimate of all. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** Verifies an archive: reads and hashes again every byte that a result rests on. Writes nothing, and never throws because of an archive's content. */
export async function verifyArchive(store: ObjectStore, options: VerifyOptions): Promise<Verdict> {
  const findings = new Findings();
  const { objects, listed } = await listArchive(store, findings, options.limits);
  const governance = await readGovernance(objects, listed, options.keys, findings);
  const across = { lanes: new LaneAudit(findings), silence: new SilenceAudit(findings), refusals: new Refusals() };
  if (governance === undefined)
    return judge(
      {
        governance,
        shards: [],
        counts: countsOf([], across.lanes, 0, 0),
        refused: across.refusals.report(),
        findings,
        isWitnessed: false,
      },
      options,
    );
  checkDemands(governance, options, findings);
  await checkArchiveJson(objects, listed, governance, findings);
  const kept = openKeptNotes(options.since ?? [], governance, findings);
  const limits = options.limits ?? AUDIT_LIMITS;
  const witnesses = witnessTrust(governance.history, governance.root !== undefined, options.witnesses ?? []);
  const audited = await auditShards({ objects, listed, governance, findings, across, limits, kept, witnesses }, options);
  const { clockSkewMs, shards: count } = governance.history.latest.policy;
  across.lanes.finish(clockSkewMs);
  across.silence.finish(count);
  const shards = audited.map(({ moment }) => moment);
  checkKeptSizes(kept, new Map(shards.map(({ shard, size }) => [shard, size])), findings);
  const counts = countsOf(
    audited.flatMap(({ counts: each }) => (each === undefined ? [] : [each])),
    across.lanes,
    listed.size,
    governance.history.versions.length,
  );
  const LOG = kept.length === 0 ? counts.LOG : { ...counts.LOG, keptNotes: kept.length };
  const witnessed = audited.flatMap((each) => each.witnessed ?? []);
  const isWitnessed = witnessed.some(({ isDemanded }) => isDemanded);
  const WITNESSES = isWitnessed ? witnessCounts(witnessed) : {};
  return judge(
    { governance, shards, counts: { ...counts, LOG, WITNESSES }, refused: across.refusals.report(), findings, isWitnessed },
    options,
  );
}

function witnessCounts(shards: readonly WitnessedShard[]): Record<string, number> {
  const sum = (name: 'cosignatures' | 'quorums'): number => shards.reduce((total, each) => total + each[name], 0);
  return { quorums: sum('quorums'), cosignatures: sum('cosignatures') };
}

interface WholeAudit {
  readonly objects: ArchiveReader;
  readonly listed: ReadonlyMap<string, number>;
  readonly governance: Governance;
  readonly findings: Findings;
  readonly across: AcrossShards;
  readonly limits: AuditLimits;
  readonly kept: readonly KeptRoot[];
  readonly witnesses: WitnessTrust;
}

async function auditShards({ across, kept, ...sources }: WholeAudit, { onProgress }: VerifyOptions): Promise<AuditedShard[]> {
  const { listed, governance, findings } = sources;
  const { origin, shards } = governance.history.latest.policy;
  const total = totalLeaves(listed);
  const logs = listedByShard(listed);
  nameForeignLogs(logs, shards, findings);
  const audited: AuditedShard[] = [];
  let before = 0;
  for (let shard = 0; shard < shards; shard++) {
    const onLeaves = (done: number): void => onProgress?.(before + done, Math.max(total, before + done));
    const log = logs.get(shard);
    if (log === undefined) {
      const message = 'the archive holds nothing of this shard: nothing was logged there yet, or all of it is gone';
      findings.add('SHARD_EMPTY', message, { shard });
      audited.push({
        counts: undefined,
        witnessed: undefined,
        moment: { shard, size: 0, root: null, acceptedAt: null, archived: 0, witnessed: null },
      });
      continue;
    }
    const own = kept.filter((note) => note.shard === shard);
    const each = await auditShard({ ...sources, listed: log, origin, shard, shards }, { across, kept: own, onLeaves });
    audited.push(each);
    before += each.moment.size;
  }
  return audited;
}

/** Compares the archive with what the caller demands: a pinned key of its policies, an origin, a first version. */
function checkDemands({ history, root, pinnedLogs }: Governance, { keys, origin, genesis }: VerifyOptions, findings: Findings): void {
  if (keys.length > 0 && root === undefined && pinnedLogs.every((key) => key === undefined))
    findings.add('KEY_FOREIGN', 'none of the pinned keys is a root or log key of this archive', {});
  const own = history.latest.policy.origin;
  if (origin !== undefined && origin !== own) findings.add('ORIGIN_FOREIGN', `the archive is of ${own}, not of ${origin}`, {});
  const first = history.versions[0]?.hex;
  if (genesis !== undefined && genesis !== first)
    findings.add('GENESIS_FOREIGN', `the first version of the policy has the digest ${first}, not ${genesis}`, {});
}

function countsOf(counts: readonly ShardCounts[], lanes: LaneAudit, objects: number, versions: number): Gathered['counts'] {
  const sum = (name: keyof ShardCounts): number => counts.reduce((total, each) => total + each[name], 0);
  return {
    ARCHIVE: { objects, segments: sum('segments'), tiles: sum('tiles') },
    LOG: { shards: counts.length, leaves: sum('size'), openLeaves: sum('openLeaves') },
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
    POLICY: { versions },
    WITNESSES: {},
    TIME: {},
  };
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
    const message = `the origin has ${shards} shards; this object belongs to another`;
    for (const object of listed.keys()) findings.add('UNKNOWN_OBJECT', message, { object });
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
