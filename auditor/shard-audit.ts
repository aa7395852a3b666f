import { logKeysOf, parseArchiveKey } from '../core/archive/archive-keys.ts';
import { fromHex, toHex } from '../core/base/bytes.ts';
import type { Seal } from '../core/formats/leaf.ts';
import type { PolicyInForce } from '../core/policy/policy-history.ts';
import type { AcrossShards } from './across-shards.ts';
import type { Audit } from './audit.ts';
import type { AuditedBlock } from './audited-block.ts';
import { BlockAudit, type BlockCounts } from './block-audit.ts';
import type { KeptRoot } from './kept-notes.ts';
import { nameUnreadStamps } from './listed-stamps.ts';
import { OpenBlock } from './open-block.ts';
import { PROVEN_BY_EVIDENCE } from './property.ts';
import { type AuditedSegment, checkSegmentListing, readManifests } from './segment-audit.ts';
import { SegmentFold } from './segment-fold.ts';
import { type NoteSizes, SignedRoots } from './signed-roots.ts';
import { snapshotFaults } from './snapshot-audit.ts';
import type { StoredManifest } from './stored-manifest.ts';
import { TimeAudit } from './time-audit.ts';
import type { TimeCounts } from './time-brackets.ts';
import { type LeafRun, TreeAudit } from './tree-audit.ts';
import type { ShardMoment } from './verdict.ts';
import type { Witnessed, WitnessedShard } from './witness-audit.ts';

/** The items of one shard that were checked. */
export interface ShardCounts extends BlockCounts {
  readonly size: number;
  /** Leaves that are in no closed segment yet. */
  readonly openLeaves: number;
  readonly tiles: number;
  readonly segments: number;
}

/** The outcome of one shard; `counts` is undefined where the archive holds nothing of it. */
export interface AuditedShard {
  readonly counts: ShardCounts | undefined;
  /** Undefined where no time stamp could count. */
  readonly time?: TimeCounts | undefined;
  readonly moment: ShardMoment;
  /** Undefined where the archive holds nothing of the shard. */
  readonly witnessed: WitnessedShard | undefined;
}

/** What an audit of one shard is given beside its archive. */
export interface ShardTask {
  readonly across: AcrossShards;
  /** Notes of this shard that the reader kept. */
  readonly kept: readonly KeptRoot[];
  /** Called with the number of leaves that were read. */
  readonly onLeaves: (done: number) => void;
}

/** Audits one shard: one pass over its leaves, with one segment's files in memory at a time. */
export async function auditShard(audit: Audit, { across, kept, onLeaves }: ShardTask): Promise<AuditedShard> {
  const roots = new SignedRoots(audit);
  const notes = await roots.readNotes();
  for (const { name, size, root, signers } of kept) roots.expect(size, { root, signers, object: name });
  const manifests = await readManifests(audit);
  checkSegmentListing(audit, manifests);
  nameUnreadStamps(audit);
  checkCheckpoints(audit, roots, notes, manifests);
  const shard = new ShardAudit(audit, roots, { manifests, shown: notes.size }, across);
  await shard.run(notes, onLeaves);
  const witnessed = roots.witnesses.finish(notes.size, notes.published);
  return { counts: shard.counts(notes.size), time: shard.time(notes.size), moment: shard.moment(notes.size, witnessed.newest), witnessed };
}

/** Every segment's end must have a checkpoint and its root must be signed there; no segment goes beyond the published checkpoint. */
function checkCheckpoints(
  { shard, listed, findings }: Audit,
  roots: SignedRoots,
  { published }: NoteSizes,
  manifests: readonly StoredManifest[],
): void {
  const archived = archivedSize(manifests);
  if (published !== undefined && archived > published) roots.reportOld(`segments go to leaf ${archived}`, published);
  for (const { manifest, key, signers } of manifests) {
    const { checkpointAt, coseAt } = logKeysOf(shard);
    for (const [object, what] of [
      [checkpointAt(manifest.end), 'checkpoint'],
      [coseAt(manifest.end), 'COSE signature'],
    ] as const) {
      const place = { shard, object, leaf: manifest.end };
      if (!listed.has(object)) findings.add('MISSING', `the ${what} at the end of a segment is missing`, place, { property: 'ARCHIVE' });
    }
    roots.expect(manifest.end, { root: fromHex(manifest.root), object: key, signers });
  }
}

function archivedSize(manifests: readonly StoredManifest[]): number {
  return manifests.at(-1)?.manifest.end ?? 0;
}

class ShardAudit {
  readonly #audit: Audit;
  readonly #keys: ReturnType<typeof logKeysOf>;
  readonly #roots: SignedRoots;
  readonly #tree: TreeAudit;
  readonly #blocks: BlockAudit;
  readonly #openBlock: OpenBlock;
  readonly #across: AcrossShards;
  readonly #manifests: readonly StoredManifest[];
  readonly #segments: SegmentFold;
  readonly #time: TimeAudit | undefined;
  /** Snapshots that were not compared yet, by size. */
  readonly #snapshots: Map<number, string>;
  /** Number of leaves that were read. */
  #index = 0;
  /** The first leaf that could not be read: from there on nothing but the tree is judged. */
  #blindFrom: number | undefined;

  constructor(
    audit: Audit,
    roots: SignedRoots,
    { manifests, shown }: { readonly manifests: readonly StoredManifest[]; readonly shown: number },
    across: AcrossShards,
  ) {
    this.#audit = audit;
    this.#keys = logKeysOf(audit.shard);
    this.#roots = roots;
    this.#tree = new TreeAudit(audit);
    this.#across = across;
    this.#blocks = new BlockAudit(audit, across);
    this.#openBlock = new OpenBlock(audit);
    this.#manifests = manifests;
    this.#segments = new SegmentFold(audit, manifests, shown);
    this.#time = audit.stampRoots && new TimeAudit(audit, audit.stampRoots);
    this.#snapshots = listedSnapshots(audit);
  }

  async run({ published, size }: NoteSizes, onLeaves: (done: number) => void): Promise<void> {
    this.#tree.checkRequired(size);
    if (published !== undefined) this.#tree.checkRequired(published);
    this.#checkRoots(0);
    reportHalfSnapshots(this.#audit);
    for await (const run of this.#tree.leaves(size, this.#roots.at(size))) {
      await this.#readRun(run);
      onLeaves(this.#index);
    }
    if (this.#index < size) this.#goBlind(this.#index);
    else await this.#tree.finish();
    if (this.#blindFrom !== undefined) await this.#segments.readRest();
    this.#blocks.finish(archivedSize(this.#manifests));
    this.#time?.finish(size, this.#blindFrom);
    this.#checkEnd(size);
  }

  #checkRoots(size: number): void {
    this.#roots.check(size, () => this.#tree.root(), this.#policyInForce());
  }

  /** The policy of the last block; before the first, version 1. Undefined where only log keys are pinned: then no policy is proven. */
  #policyInForce(): PolicyInForce | undefined {
    const { policy } = this.#blocks.log.head;
    const { history, root, pinnedLogs } = this.#audit.governance;
    if (root === undefined && pinnedLogs[this.#audit.shard] !== undefined) return undefined;
    return (policy === null ? undefined : history.byDigest(policy)) ?? history.versions[0];
  }

  async #readRun(run: LeafRun): Promise<void> {
    if (run.leaves === undefined) this.#goBlind(run.first);
    let taken = 0;
    for (const [i, hash] of run.hashes.entries()) {
      const leaf = run.first + i;
      const seal = this.#blindFrom === undefined ? this.#openBlock.read(run, i) : undefined;
      if (seal === undefined && !this.#roots.has(leaf + 1)) continue;
      // The root before a seal, and the root at a size that was signed, is needed: the tree takes the leaves up to here.
      await this.#tree.take(run.hashes.slice(taken, i));
      if (seal !== undefined) await this.#checkBlock(seal, (run.leaves as readonly Uint8Array[])[i] as Uint8Array, { hash, leaf });
      await this.#tree.take([hash]);
      taken = i + 1;
      this.#index = leaf + 1;
      this.#checkRoots(this.#index);
      if (seal !== undefined) await this.#endBlock(seal.acceptedAt);
    }
    await this.#tree.take(run.hashes.slice(taken));
    this.#index = run.first + run.hashes.length;
  }

  /** From here on leaves are missing: the log fails, and what rests on the leaves is not shown. */
  #goBlind(leaf: number): void {
    if (this.#blindFrom !== undefined) return;
    this.#blindFrom = leaf;
    const { findings, shard } = this.#audit;
    const message = `leaves from ${leaf} on cannot be read`;
    findings.add('LEAVES_MISSING', message, { shard, leaf });
    for (const property of PROVEN_BY_EVIDENCE)
      if (property !== 'LOG') findings.add('UNSHOWN', `${message}, so that this is not shown from there on`, { shard, leaf }, { property });
    this.#lose();
  }

  /** Some of the shard's evidence is missing: what that may have shown is held against nobody. */
  #lose(): void {
    this.#across.lanes.lose(this.#audit.shard);
    this.#across.silence.lose(this.#audit.shard);
  }

  /** Takes a block of a closed segment. */
  #takeClosed({ policy, acceptedAt }: Seal, hasEvidence: boolean): void {
    if (!hasEvidence) this.#lose();
    const named = this.#audit.governance.history.byDigest(toHex(policy));
    if (named !== undefined) this.#across.silence.block(this.#audit.shard, acceptedAt, named);
  }

  async #checkBlock(seal: Seal, sealBytes: Uint8Array, { hash, leaf }: { hash: Uint8Array; leaf: number }): Promise<void> {
    const segment = await this.#segments.at(leaf);
    const { first, end } = segment?.manifest ?? { first: 0, end: 0 };
    const block: AuditedBlock = {
      links: this.#openBlock.close(),
      seal,
      sealBytes,
      sealHash: hash,
      sealLeaf: leaf,
      rootBefore: this.#tree.root(),
      evidence: segment?.evidence.get(leaf),
      rows: segment?.rows ?? new Map(),
      refused: refusedOf(segment, leaf),
      whole: segment?.whole ?? true,
      retired: segment?.retired ?? new Set(),
      objects: {
        evidence: this.#keys.evidence(first, end),
        refused: this.#keys.refused(first, end),
        events: (hex) => this.#keys.events(first, end, hex),
      },
    };
    if (segment?.whole === true && block.evidence === undefined) {
      const place = { shard: this.#audit.shard, leaf, object: block.objects.evidence };
      this.#audit.findings.add('EVIDENCE_MISSING', 'the evidence file has no record of this block', place);
    }
    const evidence = this.#blocks.check(block);
    if (leaf < archivedSize(this.#manifests)) this.#takeClosed(seal, evidence !== undefined);
    this.#segments.take(block, evidence);
  }

  async #endBlock(acceptedAt: number): Promise<void> {
    await this.#time?.block({ size: this.#index, acceptedAt, root: () => this.#tree.root() });
    const { policy } = this.#blocks.log.head;
    if (this.#segments.endBlock(this.#index, acceptedAt, policy, () => this.#tree.root())) await this.#checkSnapshot(this.#index);
  }

  /** Compares a snapshot of this size with the state that the leaves give. */
  async #checkSnapshot(end: number): Promise<void> {
    const { objects, shard, findings } = this.#audit;
    const object = this.#snapshots.get(end);
    const stored = object === undefined ? undefined : await objects.get(object);
    this.#snapshots.delete(end);
    // A state that lacks evidence says nothing about a snapshot.
    if (object === undefined || stored === undefined || !this.#blocks.log.isWhole) return;
    const given = { log: this.#blocks.log, frontier: this.#tree.frontier(), policy: this.#policyInForce() };
    for (const { object: name, message } of await snapshotFaults(stored.bytes, this.#audit, given))
      findings.add('SNAPSHOT_WRONG', `the snapshot cannot be used: ${message}`, { shard, object: name, leaf: end });
  }

  #checkEnd(size: number): void {
    const { shard, findings } = this.#audit;
    const archived = archivedSize(this.#manifests);
    // Behind missing evidence, a segment whose manifest is missing may end there.
    const hasHole = (this.#blocks.log.lostFrom ?? archived) < archived;
    if (this.#blindFrom === undefined && !this.#openBlock.isEmpty)
      findings.add('UNSEALED', 'the last leaves are links without a seal', { shard, leaf: size });
    if (archived < size) {
      const message = `leaves ${archived} to ${size - 1} are in no closed segment yet, so that they have no evidence: nothing is claimed about them`;
      for (const property of PROVEN_BY_EVIDENCE) findings.add('SEGMENT_OPEN', message, { shard, leaf: archived }, { property });
    }
    if (this.#blindFrom === undefined) this.#segments.reportUnclosed();
    for (const [end, object] of this.#snapshots) {
      const place = { shard, object, leaf: end };
      if (end > archived)
        findings.add('BEYOND_CHECKPOINT', 'no segment ends at the size of the snapshot yet, so it was not checked', place);
      else if (this.#blindFrom === undefined && !hasHole)
        findings.add('SNAPSHOT_WRONG', 'no segment ends at the size of the snapshot', place);
    }
  }

  moment(size: number, witnessed: Witnessed | null): ShardMoment {
    const { acceptedAt } = this.#blocks.log.head;
    return {
      shard: this.#audit.shard,
      size,
      root: this.#index === size && size > 0 ? toHex(this.#tree.root()) : null,
      acceptedAt: acceptedAt === 0 ? null : new Date(acceptedAt / 1000).toISOString(),
      archived: archivedSize(this.#manifests),
      witnessed,
    };
  }

  time(size: number): TimeCounts | undefined {
    return this.#time?.counts(size);
  }

  counts(size: number): ShardCounts {
    return {
      ...this.#blocks.counts(),
      size,
      openLeaves: Math.max(0, size - archivedSize(this.#manifests)),
      tiles: this.#tree.checkedTiles,
      segments: this.#manifests.length,
    };
  }
}

/** A block without a record refused nothing, where the file of refused events is whole. */
function refusedOf(segment: AuditedSegment | undefined, leaf: number): readonly Uint8Array[] | undefined {
  return segment?.refused.get(leaf) ?? (segment?.refusedWhole === true ? [] : undefined);
}

/** A process may have died between the file and its statement; and both may be removed. */
function reportHalfSnapshots({ listed, shard, findings }: Audit): void {
  const keys = logKeysOf(shard);
  for (const object of listed.keys()) {
    const named = parseArchiveKey(object);
    if (named.kind !== 'snapshot' && named.kind !== 'state') continue;
    const [other, what] = named.kind === 'state' ? [keys.snapshot(named.size), 'statement'] : [keys.state(named.size), 'state'];
    if (!listed.has(other))
      findings.add('SNAPSHOT_HALF', `the snapshot has no ${what}, so that nobody can use it`, { shard, object, leaf: named.size });
  }
}

function listedSnapshots({ listed }: Audit): Map<number, string> {
  const snapshots = new Map<number, string>();
  for (const key of listed.keys()) {
    const named = parseArchiveKey(key);
    if (named.kind === 'snapshot') snapshots.set(named.size, key);
  }
  return snapshots;
}
