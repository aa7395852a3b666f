import { growSegment, openSegment, segmentEnds } from '../core/acceptance/segment-rule.ts';
import { logKeysOf, parseArchiveKey } from '../core/archive/archive-keys.ts';
import { equal, fromHex } from '../core/base/bytes.ts';
import { LIMITS } from '../core/base/limits.ts';
import { decodeLeaf, type Seal } from '../core/formats/leaf.ts';
import type { Checkpoint } from '../core/keys/checkpoint.ts';
import { attestedNote } from './attestation.ts';
import { type AuditedBlock, type AuditedLink, BlockAudit } from './block-audit.ts';
import type { Findings } from './findings.ts';
import type { LaneAudit } from './lane-audit.ts';
import { ManifestDraft } from './manifest-draft.ts';
import { type Governance, reason } from './policies.ts';
import { type AuditedSegment, checkSegmentListing, readManifests, readSegment } from './segment-audit.ts';
import type { ShardPlace, StoredManifest } from './shard-place.ts';
import { snapshotFaults } from './snapshot-audit.ts';
import { type LeafRun, TreeAudit } from './tree-audit.ts';
import { UniqueAudit } from './unique-audit.ts';
import type { Property } from './verdict.ts';

/** What is known of leaves only through segments. */
const BY_SEGMENT: readonly Property[] = ['STREAMS', 'SIGNATURES', 'ORDER', 'COMPLETE', 'UNIQUE'];

export interface ShardAuditOptions extends ShardPlace {
  readonly shards: number;
  readonly governance: Governance;
  readonly findings: Findings;
  readonly lanes: LaneAudit;
  readonly onLeaves: (done: number) => void;
}

/** What was looked at in one shard. */
export interface ShardCounts {
  readonly size: number;
  readonly links: number;
  readonly blocks: number;
  readonly batches: number;
  readonly signatures: number;
  readonly tiles: number;
  readonly segments: number;
  readonly offsets: number;
  readonly streams: number;
  readonly events: number;
  readonly retired: number;
  readonly duplicates: number;
  readonly conflicts: number;
  readonly repeats: number;
  readonly replays: number;
}

/** Audits one shard: one pass over its leaves, with one segment's files in memory at a time. */
export async function auditShard(options: ShardAuditOptions): Promise<ShardCounts> {
  return new ShardAudit(options).run();
}

class ShardAudit {
  readonly #o: ShardAuditOptions;
  readonly #keys: ReturnType<typeof logKeysOf>;
  readonly #tree: TreeAudit;
  readonly #unique: UniqueAudit;
  readonly #blocks: BlockAudit;
  /** Roots that were signed, by size: all must be what the leaves give there. */
  readonly #roots = new Map<number, { root: Uint8Array; object: string }[]>();
  readonly #snapshots = new Map<number, string>();
  #segments: StoredManifest[] = [];
  #segment: AuditedSegment | undefined;
  /** Keys of manifests whose segments end where a block does. */
  readonly #closed = new Set<string>();
  #draft = new ManifestDraft();
  #boundary = openSegment(0);
  /** False where an event's size is not known, and so where the open segment ends. */
  #boundaryKnown = true;
  #links: AuditedLink[] = [];
  #linkBytes = 0;
  #index = 0;
  /** Leaf from which on leaves could not be read: nothing but the tree is judged there. */
  #blindFrom: number | undefined;

  constructor(options: ShardAuditOptions) {
    this.#o = options;
    const { objects, listed, shard, governance, findings, lanes } = options;
    this.#keys = logKeysOf(shard);
    this.#tree = new TreeAudit(objects, listed, shard, findings);
    this.#unique = new UniqueAudit(shard, findings);
    this.#blocks = new BlockAudit(options, governance, findings, lanes, this.#unique);
  }

  async run(): Promise<ShardCounts> {
    const { governance, shard, findings, listed } = this.#o;
    const { published, size } = await this.#readNotes();
    this.#segments = await readManifests(this.#o, governance, findings);
    checkSegmentListing(this.#o, this.#segments, findings);
    const archived = this.#segments.at(-1)?.manifest.end ?? 0;
    if (published !== undefined && archived > published) this.#checkpointOld(`segments go to leaf ${archived}`, published);
    for (const { manifest, key } of this.#segments) {
      const object = this.#keys.checkpointAt(manifest.end);
      if (!listed.has(object))
        findings.fail('ARCHIVE', 'MISSING', 'the end of a segment has a checkpoint of its own', { shard, object, leaf: manifest.end });
      this.#expectRoot(manifest.end, fromHex(manifest.root), key);
    }
    this.#tree.checkRequired(size);
    if (published !== undefined) this.#tree.checkRequired(published);
    await this.#walk(size);
    if (this.#blindFrom !== undefined) await this.#readUnjudged();
    this.#checkEnd(size, archived);
    return this.#counts(size);
  }

  /** Accepted time of the newest archived block, microseconds. */
  get #archivedUntil(): number {
    return this.#segments.at(-1)?.manifest.accepted.to ?? 0;
  }

  // --- what was signed

  /** Reads `signed`, `checkpoint` and all `checkpoints/…`; leaves are checked up to the largest size that was rightly signed. */
  async #readNotes(): Promise<{ published: number | undefined; size: number }> {
    const { listed } = this.#o;
    const signed = await this.#readNote(this.#keys.signed);
    const checkpoint = await this.#readNote(this.#keys.checkpoint);
    let largest = 0;
    for (const key of listed.keys()) {
      const named = parseArchiveKey(key);
      if (named.kind === 'snapshot') this.#snapshots.set(named.size, key);
      if (named.kind === 'checkpointAt') largest = Math.max(largest, (await this.#readPlacedNote(key, named.size)) ?? 0);
    }
    if (checkpoint !== undefined && largest > checkpoint.size) this.#checkpointOld(`checkpoints/${largest} is newer`, checkpoint.size);
    if (checkpoint !== undefined && signed !== undefined) this.#compareNotes(signed, checkpoint);
    return { published: checkpoint?.size, size: Math.max(signed?.size ?? 0, checkpoint?.size ?? 0, largest) };
  }

  async #readPlacedNote(key: string, size: number): Promise<number | undefined> {
    const note = await this.#readNote(key);
    if (note !== undefined && note.size !== size) {
      const place = { shard: this.#o.shard, object: key };
      this.#o.findings.fail('ARCHIVE', 'CHECKPOINT_PLACE', `the checkpoint covers ${note.size} leaves, its name says otherwise`, place);
    }
    return note?.size;
  }

  #compareNotes(signed: Checkpoint, checkpoint: Checkpoint): void {
    const { shard, findings } = this.#o;
    if (signed.size < checkpoint.size) {
      const message = `the newest signed note covers ${signed.size} leaves, the published checkpoint ${checkpoint.size}: it was set back`;
      findings.fail('ARCHIVE', 'SIGNED_OLD', message, { shard, object: this.#keys.signed });
    } else if (signed.size > checkpoint.size) {
      const message = `the published checkpoint covers ${checkpoint.size} leaves, ${signed.size} are signed: it is not published yet, or was set back`;
      findings.note('ARCHIVE', 'CHECKPOINT_BEHIND', message, { shard, object: this.#keys.checkpoint });
    }
  }

  #checkpointOld(what: string, published: number): void {
    const message = `the checkpoint covers ${published} leaves, ${what}: it was set back`;
    this.#o.findings.fail('ARCHIVE', 'CHECKPOINT_OLD', message, { shard: this.#o.shard, object: this.#keys.checkpoint });
  }

  async #readNote(object: string): Promise<Checkpoint | undefined> {
    const { objects, origin, shard, governance, findings } = this.#o;
    const place = { shard, object };
    const stored = await objects.get(object);
    if (stored === undefined) {
      findings.fail('ARCHIVE', 'MISSING', 'the log has no such note', place);
      return undefined;
    }
    const { value, faults } = attestedNote(stored.bytes, `${origin}/${shard}`, shard, governance.logKeys(shard));
    for (const { code, message } of faults) findings.fail('LOG', `NOTE_${code}`, `the note cannot be used: ${message}`, place);
    if (value !== undefined) this.#expectRoot(value.size, value.root, object);
    return value;
  }

  #expectRoot(size: number, root: Uint8Array, object: string): void {
    const stated = this.#roots.get(size);
    if (stated === undefined) this.#roots.set(size, [{ root, object }]);
    else stated.push({ root, object });
  }

  /** Compares the root of the leaves taken so far with everything that was signed for this size. */
  #checkRoots(size: number): void {
    const signed = this.#roots.get(size);
    if (signed === undefined) return;
    const root = this.#tree.root();
    for (const { root: stated, object } of signed) {
      if (equal(stated, root)) continue;
      const message = `the first ${size} leaves give another root than it states`;
      this.#o.findings.fail('LOG', 'ROOT_WRONG', message, { shard: this.#o.shard, object, leaf: size });
    }
  }

  // --- leaves

  async #walk(size: number): Promise<void> {
    this.#checkRoots(0);
    for await (const run of this.#tree.leaves(size, this.#roots.get(size)?.[0]?.root)) {
      if (run.leaves === undefined) this.#goBlind(run.first);
      let taken = 0;
      for (const [i, hash] of run.hashes.entries()) {
        const leaf = run.first + i;
        const seal = this.#readLeaf(run, i);
        if (seal === undefined && !this.#roots.has(leaf + 1)) continue;
        // The root before a seal, and at a size that was signed, is needed: the tree takes the leaves up to here.
        await this.#tree.take(run.hashes.slice(taken, i));
        if (seal !== undefined) await this.#checkBlock(seal, (run.leaves as readonly Uint8Array[])[i] as Uint8Array, { hash, leaf });
        await this.#tree.take([hash]);
        taken = i + 1;
        this.#index = leaf + 1;
        this.#checkRoots(this.#index);
        if (seal !== undefined) await this.#endSegment(seal.acceptedAt);
      }
      await this.#tree.take(run.hashes.slice(taken));
      this.#index = run.first + run.hashes.length;
      this.#o.onLeaves(this.#index);
    }
    if (this.#index < size) this.#goBlind(this.#index);
    else await this.#tree.finish();
  }

  /** From here on leaves are missing: what rests on them is not shown, and so it fails. */
  #goBlind(leaf: number): void {
    if (this.#blindFrom !== undefined) return;
    this.#blindFrom = leaf;
    const { findings, shard } = this.#o;
    for (const property of ['LOG', ...BY_SEGMENT] as const)
      findings.fail(property, 'LEAVES_MISSING', `leaves from ${leaf} on cannot be read`, { shard, leaf });
  }

  /** Reads one leaf; a seal is given back, a link waits for its seal. */
  #readLeaf({ leaves, hashes, first, object }: LeafRun, i: number): Seal | undefined {
    if (leaves === undefined || this.#blindFrom !== undefined) return undefined;
    const leaf = first + i;
    const bytes = leaves[i] as Uint8Array;
    try {
      const decoded = decodeLeaf(bytes);
      if (decoded.kind === 'seal') return decoded;
      if (this.#takesLink(bytes, leaf)) this.#links.push({ link: decoded, hash: hashes[i] as Uint8Array, leaf });
    } catch (error) {
      this.#o.findings.fail('LOG', 'LEAF_INVALID', `the leaf cannot be read: ${reason(error)}`, { shard: this.#o.shard, object, leaf });
    }
    return undefined;
  }

  /** Whether a block can hold one link more: leaves without seals must not fill the memory. */
  #takesLink(bytes: Uint8Array, leaf: number): boolean {
    const before = this.#linkBytes;
    this.#linkBytes += bytes.length;
    if (this.#linkBytes <= LIMITS.blockBytes) return true;
    const message = `links of more than ${LIMITS.blockBytes} bytes follow each other without a seal`;
    if (before <= LIMITS.blockBytes) this.#o.findings.fail('LOG', 'BLOCK_TOO_LARGE', message, { shard: this.#o.shard, leaf });
    return false;
  }

  async #checkBlock(seal: Seal, sealBytes: Uint8Array, { hash, leaf }: { hash: Uint8Array; leaf: number }): Promise<void> {
    const segment = await this.#segmentAt(leaf);
    const { first, end } = segment?.manifest ?? { first: 0, end: 0 };
    const block: AuditedBlock = {
      links: this.#links,
      seal,
      sealBytes,
      sealHash: hash,
      sealLeaf: leaf,
      rootBefore: this.#tree.root(),
      evidence: segment?.evidence.get(leaf),
      rows: segment?.rows ?? new Map(),
      whole: segment?.whole ?? true,
      retired: segment?.retired ?? new Set(),
      objects: { evidence: this.#keys.evidence(first, end), events: (hex) => this.#keys.events(first, end, hex) },
    };
    if (segment?.whole === true && block.evidence === undefined) {
      const place = { shard: this.#o.shard, leaf, object: block.objects.evidence };
      this.#o.findings.fail('ARCHIVE', 'EVIDENCE_MISSING', 'the evidence file has no record of this block', place);
    }
    const summary = this.#blocks.check(block);
    if (summary !== undefined) this.#draft.add(block, summary, this.#o.governance);
    this.#grow(block);
    segment?.evidence.delete(leaf);
    for (const link of this.#links) segment?.rows.delete(link.leaf);
    this.#links = [];
    this.#linkBytes = 0;
  }

  #grow({ links, rows, seal }: AuditedBlock): void {
    let eventBytes = 0;
    for (const { leaf } of links) {
      const event = rows.get(leaf)?.event;
      if (event === undefined || event === null) this.#boundaryKnown = false;
      else eventBytes += event.length;
    }
    this.#boundary = growSegment(this.#boundary, { leaves: links.length + 1, eventBytes, acceptedAt: seal.acceptedAt });
  }

  /** The segment that a leaf lies in; read when it is another than the one at hand. */
  async #segmentAt(leaf: number): Promise<AuditedSegment | undefined> {
    if (this.#segment !== undefined && leaf < this.#segment.manifest.end) return this.#segment;
    const next = this.#segments.find(({ manifest }) => manifest.first <= leaf && leaf < manifest.end);
    this.#segment =
      next === undefined ? undefined : await readSegment(this.#o, next, this.#archivedUntil, this.#o.governance, this.#o.findings);
    return this.#segment;
  }

  /** After a seal: the log alone says whether a segment ends here; the archive must have cut there too. */
  async #endSegment(acceptedAt: number): Promise<void> {
    const segment = this.#segment;
    const policy = this.#blocks.policy === null ? undefined : this.#o.governance.history.byDigest(this.#blocks.policy);
    const ends = policy !== undefined && segmentEnds(this.#boundary, acceptedAt, policy.policy.segmentMaxAgeMs);
    if (segment === undefined) {
      if (ends) this.#segmentMissing();
      return;
    }
    const { manifest, key } = segment;
    const cut = manifest.end === this.#index;
    if (ends !== cut && (ends || this.#boundaryKnown)) {
      const message = `by the log's own rule a segment ${ends ? 'ends' : 'does not end'} at leaf ${this.#index}`;
      this.#o.findings.fail('ARCHIVE', 'SEGMENT_END', message, { shard: this.#o.shard, object: key, leaf: this.#index });
    }
    if (cut) await this.#closeSegment(segment);
  }

  /** Leaves that no manifest covers make a whole segment by the log's own rule. */
  #segmentMissing(): void {
    const { findings, shard, listed } = this.#o;
    const object = this.#keys.manifest(this.#boundary.first, this.#index);
    const message = `leaves ${this.#boundary.first} to ${this.#index - 1} make a segment, and it has no manifest (while an archiver runs: not yet)`;
    if (!listed.has(object)) findings.fail('ARCHIVE', 'MISSING', message, { shard, object, leaf: this.#boundary.first });
    this.#boundary = openSegment(this.#index);
    this.#boundaryKnown = true;
  }

  async #closeSegment({ manifest, key, whole, retired, evidence, rows }: AuditedSegment): Promise<void> {
    const { findings, shard } = this.#o;
    for (const leaf of evidence.keys())
      findings.fail('ARCHIVE', 'RECORD_EXTRA', 'the evidence file has a record of no block', {
        shard,
        leaf,
        object: this.#keys.evidence(manifest.first, manifest.end),
      });
    for (const [leaf, { schema }] of rows)
      findings.fail('ARCHIVE', 'RECORD_EXTRA', 'the events file has a record of no link', {
        shard,
        leaf,
        object: this.#keys.events(manifest.first, manifest.end, schema),
      });
    if (whole) {
      const fields = this.#draft
        .differences(manifest, this.#tree.root(), this.#index)
        .filter((field) => retired.size === 0 || field !== 'occurred');
      for (const field of fields)
        findings.fail('ARCHIVE', 'MANIFEST_FIELD', `the manifest's field ${field} is not what the log gives`, { shard, object: key });
    }
    this.#closed.add(key);
    this.#draft = new ManifestDraft();
    this.#boundary = openSegment(this.#index);
    this.#boundaryKnown = true;
    this.#segment = undefined;
    await this.#checkSnapshot(this.#index);
  }

  /** Holds a snapshot of this size against the state that the leaves give. */
  async #checkSnapshot(end: number): Promise<void> {
    const { objects, shard, findings, governance } = this.#o;
    const object = this.#snapshots.get(end);
    const stored = object === undefined ? undefined : await objects.get(object);
    this.#snapshots.delete(end);
    if (object === undefined || stored === undefined) return;
    for (const fault of snapshotFaults(stored.bytes, shard, this.#blocks, this.#tree.frontier(), governance)) {
      findings.fail('ARCHIVE', 'SNAPSHOT_WRONG', `the snapshot cannot be used: ${fault}`, { shard, object, leaf: end });
    }
  }

  /** Segments that could not be held against leaves: their files at least against their manifests. */
  async #readUnjudged(): Promise<void> {
    const { governance, findings } = this.#o;
    const from = this.#segment?.manifest.end ?? this.#boundary.first;
    for (const each of this.#segments)
      if (each.manifest.first >= from) await readSegment(this.#o, each, this.#archivedUntil, governance, findings);
  }

  // --- the end

  #checkEnd(size: number, archived: number): void {
    const { shard, findings } = this.#o;
    if (this.#links.length > 0) findings.fail('LOG', 'UNSEALED', 'the last leaves are links without a seal', { shard, leaf: size });
    if (archived < size) {
      const message = `still open: leaves ${archived} to ${size - 1} are in no closed segment yet, without which this is not shown for them`;
      for (const property of BY_SEGMENT) findings.open(property, 'SEGMENT_OPEN', message, { shard, leaf: archived });
    }
    for (const { manifest, key } of this.#segments) {
      // What such a segment holds was held against no block, or not all of it.
      if (this.#blindFrom !== undefined || this.#closed.has(key)) continue;
      findings.fail('ARCHIVE', 'SEGMENT_END', 'no block that a checkpoint covers ends where the segment does', {
        shard,
        object: key,
        leaf: manifest.end,
      });
    }
    for (const [end, object] of this.#snapshots) {
      const place = { shard, object, leaf: end };
      if (end > archived)
        findings.note('ARCHIVE', 'BEYOND_CHECKPOINT', 'the snapshot is of a size that no segment ends at yet: not checked', place);
      else if (this.#blindFrom === undefined) findings.fail('ARCHIVE', 'SNAPSHOT_WRONG', 'no segment ends where the snapshot does', place);
    }
  }

  #counts(size: number): ShardCounts {
    const { links, blocks, batches, signatures, offsets, streams, retired } = this.#blocks;
    const { events, duplicates, conflicts, repeats, replays } = this.#unique;
    const tiles = this.#tree.checkedTiles;
    const segments = this.#segments.length;
    return {
      size,
      links,
      blocks,
      batches,
      signatures,
      tiles,
      segments,
      offsets,
      streams: streams.size,
      events,
      retired,
      duplicates,
      conflicts,
      repeats,
      replays,
    };
  }
}
