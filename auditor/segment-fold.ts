import { growSegment, openSegment, segmentEnds } from '../core/acceptance/segment-rule.ts';
import { logKeysOf } from '../core/archive/archive-keys.ts';
import type { PolicyInForce } from '../core/policy/policy-history.ts';
import type { Audit } from './audit.ts';
import type { AuditedBlock } from './audited-block.ts';
import type { ProvenEvidence } from './block-proof.ts';
import { ManifestDraft } from './manifest-draft.ts';
import { type AuditedSegment, readSegment } from './segment-audit.ts';
import type { StoredManifest } from './stored-manifest.ts';

/** Follows the segments of a shard block by block: where the rule of the log ends one, where the archive does, and whether its manifest is right. */
export class SegmentFold {
  readonly #audit: Audit;
  readonly #keys: ReturnType<typeof logKeysOf>;
  readonly #manifests: readonly StoredManifest[];
  /** Keys of manifests whose segments end where a block does. */
  readonly #closed = new Set<string>();
  /** The current segment, with the unread rest of its files. */
  #segment: AuditedSegment | undefined;
  /** Number of the first manifest that has not ended. */
  readonly #shown: number;
  #next = 0;
  #draft = new ManifestDraft();
  /** False where a block of the segment could not be judged: then the draft lacks it. */
  #draftWhole = true;
  #boundary = openSegment(0);
  /** False where the size of an event is unknown, and so where the rule ends the open segment. */
  #boundaryKnown = true;

  /** `shown`: leaves that the largest note covers. */
  constructor(audit: Audit, manifests: readonly StoredManifest[], shown: number) {
    this.#audit = audit;
    this.#shown = shown;
    this.#keys = logKeysOf(audit.shard);
    this.#manifests = manifests;
  }

  /** Accepted time of the newest archived block, microseconds. */
  get #archivedUntil(): number {
    return this.#manifests.at(-1)?.manifest.accepted.to ?? 0;
  }

  /** The segment that a leaf lies in. It is read when it is not at hand. */
  async at(leaf: number): Promise<AuditedSegment | undefined> {
    if (this.#segment !== undefined && leaf < this.#segment.manifest.end) return this.#segment;
    // Leaves only rise, and so do the first leaves of manifests: what ended once is not looked at again.
    while ((this.#manifests[this.#next]?.manifest.end ?? leaf + 1) <= leaf) this.#next += 1;
    const next = this.#manifests[this.#next];
    this.#segment =
      next === undefined || next.manifest.first > leaf ? undefined : await readSegment(this.#audit, next, this.#archivedUntil);
    return this.#segment;
  }

  /** Takes a block that was checked, and lets go of its records. */
  take(block: AuditedBlock, evidence: ProvenEvidence | undefined): void {
    if (evidence === undefined) this.#draftWhole = false;
    else this.#draft.add(block, evidence, this.#audit.governance);
    this.#grow(block);
    this.#segment?.evidence.delete(block.sealLeaf);
    this.#segment?.refused.delete(block.sealLeaf);
    for (const { leaf } of block.links) this.#segment?.rows.delete(leaf);
  }

  #grow({ links, rows, seal, refused, evidence }: AuditedBlock): void {
    let eventBytes = 0;
    for (const { leaf } of links) {
      const event = rows.get(leaf)?.event;
      if (event === undefined || event === null) this.#boundaryKnown = false;
      else eventBytes += event.length;
    }
    if (refused === undefined || evidence === undefined) this.#boundaryKnown = false;
    this.#boundary = growSegment(this.#boundary, {
      leaves: links.length + 1,
      eventBytes,
      refusedBytes: refused?.reduce((sum, { length }) => sum + length, 0) ?? 0,
      evidenceBytes: evidence?.evidence.length ?? 0,
      acceptedAt: seal.acceptedAt,
    });
  }

  /**
   * After the seal that ends at leaf `index`: the log alone says whether a segment ends here, and the archive must have cut there too. `policyHex` is the
   * policy of the last seal whose policy is known. True where a segment of the archive ends here; `root` gives the root of the leaves so far.
   */
  endBlock(index: number, acceptedAt: number, policyHex: string | null, root: () => Uint8Array): boolean {
    const policy = policyHex === null ? undefined : this.#audit.governance.history.byDigest(policyHex);
    const ends = policy !== undefined && segmentEnds(this.#boundary, acceptedAt, policy.policy.segmentMaxAgeMs);
    if (this.#segment === undefined) {
      if (ends) this.#segmentMissing(index, policy);
      return false;
    }
    const { manifest, key } = this.#segment;
    const cut = manifest.end === index;
    if (ends !== cut && (ends || this.#boundaryKnown)) {
      const message = `by the rule of the log a segment ${ends ? 'ends' : 'does not end'} at leaf ${index}`;
      this.#audit.findings.add('SEGMENT_END', message, { shard: this.#audit.shard, object: key, leaf: index });
    }
    if (cut) this.#close(this.#segment, index, root());
    return cut;
  }

  /** Leaves that no manifest covers make a whole segment by the rule of the log. */
  #segmentMissing(index: number, policy: PolicyInForce): void {
    const { findings, shard, listed } = this.#audit;
    const { first } = this.#boundary;
    const object = this.#keys.manifest(first, index);
    const message = `leaves ${first} to ${index - 1} make a segment that has no manifest (while an archiver runs: not yet)`;
    // An archiver waits with the manifest for the witnesses of the note at its end, and signs nothing further meanwhile.
    const isWaiting = index === this.#shown && policy.witnesses !== null;
    if (!listed.has(object) && !isWaiting) findings.add('MISSING', message, { shard, object, leaf: first }, { property: 'ARCHIVE' });
    this.#begin(index);
  }

  #close(segment: AuditedSegment, index: number, root: Uint8Array): void {
    this.#reportExtra(segment);
    if (segment.whole && this.#draftWhole) this.#compareManifest(segment, index, root);
    this.#closed.add(segment.key);
    this.#segment = undefined;
    this.#begin(index);
  }

  #begin(index: number): void {
    this.#draft = new ManifestDraft();
    this.#draftWhole = true;
    this.#boundary = openSegment(index);
    this.#boundaryKnown = true;
  }

  #reportExtra({ manifest: { first, end }, evidence, rows, refused }: AuditedSegment): void {
    const { findings, shard } = this.#audit;
    for (const leaf of refused.keys()) {
      const object = this.#keys.refused(first, end);
      findings.add('RECORD_EXTRA', 'the file of refused events has a record that belongs to no block', { shard, leaf, object });
    }
    for (const leaf of evidence.keys()) {
      const object = this.#keys.evidence(first, end);
      findings.add('RECORD_EXTRA', 'the evidence file has a record that belongs to no block', { shard, leaf, object });
    }
    for (const [leaf, { schema }] of rows) {
      const object = this.#keys.events(first, end, schema);
      findings.add('RECORD_EXTRA', 'the events file has a record that belongs to no link', { shard, leaf, object });
    }
  }

  #compareManifest({ manifest, key, retired }: AuditedSegment, index: number, root: Uint8Array): void {
    const { findings, shard } = this.#audit;
    for (const field of this.#draft.differences(manifest, root, index)) {
      // The times of removed events are unknown.
      if (field === 'occurred' && retired.size > 0) continue;
      findings.add('MANIFEST_FIELD', `the manifest's field ${field} is not what the log gives`, { shard, object: key });
    }
  }

  /** Reads the segments from the open one on, whose leaves cannot be read: their files are compared with their manifests at least. */
  async readRest(): Promise<void> {
    const from = this.#segment?.manifest.end ?? this.#boundary.first;
    for (const each of this.#manifests) if (each.manifest.first >= from) await readSegment(this.#audit, each, this.#archivedUntil);
  }

  /** Reports each segment that ends where no block does: its records were compared with no block, or not all of them were. */
  reportUnclosed(): void {
    const { findings, shard } = this.#audit;
    for (const { manifest, key } of this.#manifests) {
      if (this.#closed.has(key)) continue;
      const message = 'no block that a checkpoint covers ends where the segment does';
      findings.add('SEGMENT_END', message, { shard, object: key, leaf: manifest.end });
    }
  }
}
