import { sha256 } from '#crypto';
import { type BatchRules, checkHeader, judgeEvent, type ProvenHeader } from '../core/acceptance/batch-check.ts';
import { judgeLane, type LaneStep } from '../core/acceptance/lane.ts';
import { type Head, type Lane, laneKey } from '../core/acceptance/log-state.ts';
import { policyKey } from '../core/archive/archive-keys.ts';
import { equal, toHex } from '../core/base/bytes.ts';
import { REASONS, reasonName } from '../core/base/reasons.ts';
import type { ArchivedColumns } from '../core/formats/archived-event.ts';
import { type BatchHeader, decodeBatchHeader } from '../core/formats/batch.ts';
import type { BlockEvidence } from '../core/formats/block-evidence.ts';
import { isEventDigest } from '../core/formats/event.ts';
import type { EventHead } from '../core/formats/event-schema.ts';
import { decodeEvidence, type EvidenceInput, type Receipt } from '../core/formats/evidence.ts';
import { type Link, MARKS, type Seal } from '../core/formats/leaf.ts';
import { shardOf } from '../core/formats/shard.ts';
import { preAuthentication } from '../core/keys/dsse.ts';
import { verifySignature } from '../core/keys/signature.ts';
import type { PolicyInForce } from '../core/policy/policy-history.ts';
import { batchRoot } from '../core/tree/batch-tree.ts';
import type { Findings } from './findings.ts';
import type { LaneAudit } from './lane-audit.ts';
import type { Governance } from './policies.ts';
import type { UniqueAudit } from './unique-audit.ts';
import type { Property } from './verdict.ts';

const ZEROS = new Uint8Array(32);

/** A leaf as it was read, with what a block needs to know of it. */
export interface AuditedLink {
  readonly link: Link;
  readonly hash: Uint8Array;
  readonly leaf: number;
}

/** An archived row of a link; `event` null where the content was removed. */
export interface AuditedRow {
  /** Hex digest of the schema that its file has. */
  readonly schema: string;
  readonly columns: ArchivedColumns;
  readonly event: Uint8Array | null;
}

/** One block put together from leaves, evidence and events. Evidence and rows are missing where no segment holds them yet. */
export interface AuditedBlock {
  readonly links: readonly AuditedLink[];
  readonly seal: Seal;
  readonly sealBytes: Uint8Array;
  readonly sealHash: Uint8Array;
  readonly sealLeaf: number;
  /** Root of the leaves before the seal, made by the auditor. */
  readonly rootBefore: Uint8Array;
  readonly evidence: BlockEvidence | undefined;
  readonly rows: ReadonlyMap<number, AuditedRow>;
  /** False where what misses in evidence and rows has been said already. */
  readonly whole: boolean;
  /** Hex digests of the schemas whose events retention removed. */
  readonly retired: ReadonlySet<string>;
  /** Key of the evidence object and of the events object by schema, for findings. */
  readonly objects: { readonly evidence: string; events(schemaHex: string): string };
}

/** What a checked block tells the segment's derived manifest. */
export interface BlockSummary {
  readonly inputs: readonly EvidenceInput[];
  readonly headers: ReadonlyMap<number, BatchHeader>;
  readonly appendedAt: number;
  /** Leading fields of the links' events, by leaf, as far as they were read. */
  readonly heads: ReadonlyMap<number, EventHead>;
}

interface OpenBatch {
  readonly header: BatchHeader;
  readonly proven: ProvenHeader | undefined;
  readonly digests: (Uint8Array | undefined)[];
  readonly appendedAt: number;
  readonly marks: number;
  linked: boolean;
}

/** Follows one shard's log block by block and names everything that is not as the rules say. It shares no state with what made the log. */
export class BlockAudit {
  readonly #origin: string;
  readonly #shard: number;
  readonly #shards: number;
  readonly #governance: Governance;
  readonly #findings: Findings;
  readonly #lanesOfArchive: LaneAudit;
  #latestSchema: { readonly digest: Uint8Array; readonly hex: string } | undefined;
  readonly unique: UniqueAudit;
  readonly streams = new Map<string, Head>();
  /** Lanes that are held, oldest first, as acceptance forgets them. */
  readonly lanes = new Map<string, Lane>();
  nextIndex = 0;
  seal: Uint8Array = ZEROS;
  inputGeneration = 0;
  inputTo = 0;
  appendedAt = 0;
  /** Start of the dedup window after the last block. It never falls: what left the window does not come back under a policy with a longer one. */
  windowFrom = 0;
  acceptedAt = 0;
  policy: string | null = null;
  final = false;
  blocks = 0;
  links = 0;
  batches = 0;
  signatures = 0;
  retired = 0;
  offsets = 0;

  constructor(
    place: { origin: string; shard: number; shards: number },
    governance: Governance,
    findings: Findings,
    lanes: LaneAudit,
    unique: UniqueAudit,
  ) {
    this.#origin = place.origin;
    this.#shard = place.shard;
    this.#shards = place.shards;
    this.#governance = governance;
    this.#findings = findings;
    this.#lanesOfArchive = lanes;
    this.unique = unique;
  }

  /** Checks the block that follows; the findings say what is wrong with it. */
  check(block: AuditedBlock): BlockSummary | undefined {
    const { seal, sealLeaf } = block;
    const policy = this.#governance.history.byDigest(toHex(seal.policy));
    this.#checkSeal(block, policy);
    for (const link of block.links) this.#checkChain(link, seal);
    // A block of a policy that is not there is judged by the one before: that misses, not everything after it.
    const known = policy ?? this.#governance.history.byDigest(this.policy ?? '') ?? this.#governance.history.latest;
    const summary = block.evidence === undefined ? undefined : this.#checkEvidence(block, block.evidence, known);
    this.blocks += 1;
    this.links += block.links.length;
    this.nextIndex = sealLeaf + 1;
    this.seal = block.sealHash;
    this.inputGeneration = seal.inputGeneration;
    this.inputTo = seal.inputTo;
    this.acceptedAt = seal.acceptedAt;
    if (policy !== undefined) this.policy = policy.hex;
    this.final = seal.final;
    if (summary !== undefined) this.appendedAt = summary.appendedAt;
    if (policy !== undefined) this.windowFrom = Math.max(this.windowFrom, windowStart(this.appendedAt, policy));
    this.#forgetLanes(known);
    return summary;
  }

  // --- the seal

  #checkSeal(block: AuditedBlock, policy: PolicyInForce | undefined): void {
    const { seal, sealLeaf, links, rootBefore } = block;
    const place = { shard: this.#shard, leaf: sealLeaf };
    const fail = this.#findings.fail.bind(this.#findings);
    if (seal.origin !== `${this.#origin}/${this.#shard}`) fail('LOG', 'SEAL_ORIGIN', `the seal is of the log ${seal.origin}`, place);
    if (seal.firstIndex !== this.nextIndex || seal.links !== links.length)
      fail(
        'LOG',
        'SEAL_INDEX',
        `the seal covers ${seal.links} links from leaf ${seal.firstIndex}, the log has ${links.length} from ${this.nextIndex}`,
        place,
      );
    if (!equal(seal.previous, this.seal)) fail('LOG', 'SEAL_PREVIOUS', 'the seal names another seal as the one before', place);
    if (!equal(seal.root, rootBefore)) fail('LOG', 'SEAL_ROOT', 'the seal states another root than the leaves before it give', place);
    if (this.final) fail('LOG', 'AFTER_FINAL', 'a block follows the final one', place);
    this.#checkInputStart(seal, policy, place);
    this.#checkPolicy(seal, policy, place);
    if (policy !== undefined) this.#checkChainer(block, policy, place);
  }

  #checkInputStart(seal: Seal, policy: PolicyInForce | undefined, place: { shard: number; leaf: number }): void {
    if (seal.inputGeneration === this.inputGeneration) {
      if (seal.inputFrom !== this.inputTo)
        this.#findings.fail(
          'COMPLETE',
          'INPUT_HOLE',
          `the block consumes the input from ${seal.inputFrom} on, the one before ended at ${this.inputTo}`,
          place,
        );
      return;
    }
    const named = policy?.policy.inputGeneration;
    if (
      named?.generation !== seal.inputGeneration ||
      named.firstOffsets[this.#shard] !== seal.inputFrom ||
      seal.inputGeneration < this.inputGeneration
    ) {
      this.#findings.fail('COMPLETE', 'INPUT_GENERATION', 'the block goes on in another input topic than the policy names', place);
    }
  }

  #checkPolicy(seal: Seal, policy: PolicyInForce | undefined, place: { shard: number; leaf: number }): void {
    const hex = toHex(seal.policy);
    if (policy === undefined)
      return this.#findings.fail('POLICY', 'POLICY_MISSING', 'the seal names a policy that the archive does not hold', {
        ...place,
        object: policyKey(hex),
      });
    if (this.policy !== null && this.policy !== hex && !this.#governance.history.descends(hex, this.policy))
      this.#findings.fail('POLICY', 'POLICY_BACK', 'the seal names an earlier policy than the one before', place);
    if (seal.acceptedAt < this.acceptedAt && this.policy === hex)
      this.#findings.fail('ORDER', 'ACCEPTED_BACK', 'the block was accepted before the one that it follows', place);
    if (policy.policy.formatLevel > 1)
      this.#findings.fail('POLICY', 'FORMAT_LEVEL', 'the policy demands a later version of this program', place);
    return undefined;
  }

  #checkChainer(block: AuditedBlock, policy: PolicyInForce, place: { shard: number; leaf: number }): void {
    if (block.evidence === undefined) return;
    const { keyId, signature } = block.evidence;
    const chainer = policy.chainer(block.seal.chainer, keyId);
    this.signatures += 1;
    if (chainer === undefined)
      this.#findings.fail(
        'SIGNATURES',
        'CHAINER_UNKNOWN',
        `the seal is signed by ${block.seal.chainer}, which is no chainer of the policy`,
        place,
      );
    else if (!chainer.active)
      this.#findings.fail(
        'SIGNATURES',
        'CHAINER_NOT_ACTIVE',
        `the seal is signed by ${block.seal.chainer}, whose key is ${chainer.entry.status} in its policy`,
        place,
      );
    else if (!verifySignature(chainer.key, preAuthentication('block', block.sealBytes), signature))
      this.#findings.fail('SIGNATURES', 'SEAL_SIGNATURE', 'the signature over the seal is wrong', place);
    const now = this.#governance.history.latest.chainer(block.seal.chainer, keyId)?.entry;
    if (now?.status === 'COMPROMISED' && block.sealLeaf >= (now.believed?.[this.#shard] ?? 0))
      this.#findings.fail(
        'SIGNATURES',
        'SUSPECT',
        `the seal is signed by ${block.seal.chainer} after the size up to which the key is believed`,
        place,
      );
  }

  // --- streams

  #checkChain({ link, hash, leaf }: AuditedLink, seal: Seal): void {
    const place = { shard: this.#shard, leaf, stream: link.stream };
    const end = this.streams.get(link.stream);
    if (shardOf(link.stream, this.#shards) !== this.#shard)
      this.#findings.fail('STREAMS', 'STREAM_SHARD', 'the stream belongs to another shard', place);
    if (link.index !== (end === undefined ? 0 : end.index + 1))
      this.#findings.fail(
        'STREAMS',
        'STREAM_INDEX',
        `the link has position ${link.index}, ${end === undefined ? 0 : end.index + 1} follows`,
        place,
      );
    if (!equal(link.previous, end?.hash ?? ZEROS))
      this.#findings.fail('STREAMS', 'STREAM_PREVIOUS', 'the link names another link as the one before', place);
    if (link.acceptedAt !== seal.acceptedAt) this.#findings.fail('ORDER', 'LINK_TIME', 'the link has another time than its block', place);
    this.streams.set(link.stream, { index: link.index, hash, logIndex: leaf });
  }

  // --- evidence

  #checkEvidence(block: AuditedBlock, evidence: BlockEvidence, policy: PolicyInForce): BlockSummary | undefined {
    const { seal, sealLeaf, objects } = block;
    const place = { shard: this.#shard, leaf: sealLeaf, object: objects.evidence };
    if (!equal(sha256(evidence.evidence), seal.evidence)) {
      this.#findings.fail('ARCHIVE', 'EVIDENCE_DIGEST', 'the evidence is not what the seal names', place);
      return undefined;
    }
    let inputs: readonly EvidenceInput[];
    try {
      inputs = decodeEvidence(evidence.evidence);
    } catch {
      this.#findings.fail('ARCHIVE', 'EVIDENCE_FORMAT', 'the evidence cannot be read', place);
      return undefined;
    }
    const rules: BatchRules = {
      origin: this.#origin,
      shard: this.#shard,
      shards: this.#shards,
      policy,
      eventSchema: (hex) => this.#governance.schemas.get(hex),
    };
    const batches = new Map<number, OpenBatch>();
    const headers = new Map<number, BatchHeader>();
    let offset = seal.inputFrom;
    let { appendedAt } = this;
    const receipts: { receipt: Receipt; offset: number }[] = [];
    for (const input of inputs) {
      if (input.appendedAt < appendedAt)
        this.#findings.fail('ORDER', 'APPENDED_BACK', 'the input was appended before the one that it follows', {
          shard: this.#shard,
          offset,
        });
      appendedAt = input.appendedAt;
      this.#lanesOfArchive.consumed(this.#shard, appendedAt);
      const batch = this.#checkInput(input, offset, rules);
      for (const receipt of input.receipts) receipts.push({ receipt, offset });
      if (batch !== undefined) {
        batches.set(offset, batch);
        headers.set(offset, batch.header);
      }
      offset += input.span;
    }
    this.offsets += offset - seal.inputFrom;
    if (offset !== seal.inputTo)
      this.#findings.fail(
        'COMPLETE',
        'OFFSETS',
        `the evidence accounts for the input up to ${offset}, the seal says ${seal.inputTo}`,
        place,
      );
    const heads = this.#checkLinks(block, batches, rules);
    this.#checkOriginals(block, receipts);
    for (const [at, batch] of batches) this.#checkRoot(batch, at);
    return { inputs, headers, appendedAt, heads };
  }

  #checkInput(input: EvidenceInput, offset: number, rules: BatchRules): OpenBatch | undefined {
    if (input.outcome === 'ACCEPTED') return this.#checkAccepted(input, offset, rules);
    if (input.outcome === 'REPEATED') this.#checkRepeated(input, offset, rules);
    if (input.outcome === 'REJECTED') this.#checkRejected(input, offset, rules);
    return undefined;
  }

  /** A REPEATED header was accepted before, and whoever sent it again could sign it again. */
  #checkRepeated(input: EvidenceInput, offset: number, rules: BatchRules): void {
    if (input.batch === null) return;
    const place = { shard: this.#shard, offset };
    const check = checkHeader(input.batch, rules);
    this.signatures += 1;
    if (check.kind === 'rejected') this.#unacceptable(check.reason, 'a repeated batch is not acceptable', place);
    if (!this.unique.wasAccepted(input.batch.header))
      this.#findings.fail('UNIQUE', 'REPEATED_WRONG', 'the batch is logged as repeated and was never accepted', place);
  }

  #unacceptable(why: number, what: string, place: { shard: number; offset: number }): void {
    const property =
      why === REASONS.SIGNATURE_WRONG || why === REASONS.KEY_UNKNOWN || why === REASONS.KEY_NOT_ACTIVE ? 'SIGNATURES' : 'POLICY';
    this.#findings.fail(property, 'BATCH_UNACCEPTABLE', `${what}: ${reasonName(why)}`, place);
  }

  /** A producer's clock decides nothing; where it and the input's differ, that is reported. Behind may as well be late: only the producer knows. */
  #checkClock(header: BatchHeader, input: EvidenceInput, policy: PolicyInForce, place: { shard: number; offset: number }): void {
    const aheadMs = Math.round((header.createdAt - input.appendedAt) / 1000);
    const { clockSkewMs } = policy.policy;
    if (aheadMs > clockSkewMs)
      this.#findings.note('ORDER', 'CLOCK_SKEW', `the clock of ${header.producer} ran ${aheadMs} ms ahead of the input's`, place);
    if (-aheadMs > clockSkewMs) {
      const message = `${header.producer} dates the batch ${-aheadMs} ms before the input took it: its clock ran behind, or the batch waited so long`;
      this.#findings.note('ORDER', 'CLOCK_OR_DELAY', message, place);
    }
  }

  #checkAccepted(input: EvidenceInput, offset: number, rules: BatchRules): OpenBatch | undefined {
    const place = { shard: this.#shard, offset };
    if (input.batch === null) return undefined;
    const check = checkHeader(input.batch, rules);
    this.batches += 1;
    this.signatures += 1;
    if (check.kind === 'hold')
      this.#findings.fail('ARCHIVE', 'MISSING', 'the schema of the batch is not in the archive', {
        ...place,
        object: `schemas/${check.schema}.avsc`,
      });
    if (check.kind === 'rejected') this.#unacceptable(check.reason, 'an accepted batch is not acceptable', place);
    const header = check.kind === 'proven' ? check.proven.header : headerOf(input.batch.header);
    if (header === undefined) return undefined;
    const replay = this.unique.accepted(input.batch.header, offset);
    const at = { shard: this.#shard, offset, appendedAt: input.appendedAt };
    this.#lanesOfArchive.accepted(header, input.batch.header, at, rules.policy, replay);
    if (!replay) this.#checkClock(header, input, rules.policy, place);
    const gap = this.#moveLane(header, input, rules.policy, place);
    this.#checkProducer(header, input.batch.keyId, place);
    const digests = new Array<Uint8Array | undefined>(header.count).fill(undefined);
    const batch: OpenBatch = {
      header,
      proven: check.kind === 'proven' ? check.proven : undefined,
      digests,
      appendedAt: input.appendedAt,
      marks: gap ? MARKS.gapBefore : 0,
      linked: false,
    };
    for (const receipt of input.receipts) this.#place(batch, receipt.position, receipt.digest, offset);
    return batch;
  }

  /** Moves the lane as acceptance does; true where the header does not follow the lane. */
  #moveLane(header: BatchHeader, input: EvidenceInput, policy: PolicyInForce, place: { shard: number; offset: number }): boolean {
    const key = laneKey(header.producer, header.epoch);
    const step = laneStep(header, input);
    const outcome = judgeLane(this.lanes.get(key), step, policy.policy.laneRetentionMs * 1000);
    if (outcome === 'FORK' || outcome === 'REPEATED')
      this.#findings.fail('ORDER', 'LANE_WRONG', `an accepted batch does not stand in its lane: ${outcome}`, place);
    this.lanes.delete(key);
    this.lanes.set(key, { number: header.number + 1, hash: step.hash, appendedAt: input.appendedAt });
    return outcome === 'GAP';
  }

  #forgetLanes(policy: PolicyInForce): void {
    const from = this.appendedAt - policy.policy.laneRetentionMs * 1000;
    for (const [key, { appendedAt }] of this.lanes) {
      if (appendedAt >= from) break;
      this.lanes.delete(key);
    }
  }

  #checkProducer(header: BatchHeader, keyId: Uint8Array, place: { shard: number; offset: number }): void {
    const now = this.#governance.history.latest.producer(header.producer, keyId)?.entry;
    if (now?.status === 'COMPROMISED' && this.nextIndex >= (now.believed?.[this.#shard] ?? 0))
      this.#findings.fail(
        'SIGNATURES',
        'SUSPECT',
        `the batch is signed by ${header.producer} after the size up to which the key is believed`,
        place,
      );
  }

  /** Derives a rejection's reason again as far as the logged bytes allow: those that rest on events the header does not show. */
  #checkRejected(input: EvidenceInput, offset: number, rules: BatchRules): void {
    if (input.batch === null) {
      // What has a header at all is rejected with it.
      if (input.reason > REASONS.BATCH_MALFORMED) this.#reasonWrong(input.reason, 'no header was logged', offset);
      return;
    }
    const check = checkHeader(input.batch, rules);
    const derived: number = check.kind === 'rejected' ? check.reason : REASONS.NONE;
    const stated = input.reason;
    // Whether a header forks its lane shows without its schema.
    const header = stated === REASONS.LANE_FORK && derived === REASONS.NONE ? headerOf(input.batch.header) : undefined;
    if (header !== undefined) return this.#checkFork(header, input, offset, rules.policy);
    if (!rejectionFits(stated, derived)) this.#reasonWrong(stated, `its header gives ${reasonName(derived) ?? derived}`, offset);
    return undefined;
  }

  /** A header that was rejected as a fork does not follow its lane. One that was accepted before may be called either. */
  #checkFork(header: BatchHeader, input: EvidenceInput, offset: number, policy: PolicyInForce): void {
    const outcome = judgeLane(
      this.lanes.get(laneKey(header.producer, header.epoch)),
      laneStep(header, input),
      policy.policy.laneRetentionMs * 1000,
    );
    if (outcome !== 'NEXT' && outcome !== 'GAP') return;
    this.#reasonWrong(REASONS.LANE_FORK, `the header follows its lane (${outcome})`, offset);
  }

  #reasonWrong(stated: number, why: string, offset: number): void {
    this.#findings.fail('POLICY', 'REASON_WRONG', `a batch was rejected as ${reasonName(stated) ?? stated}: ${why}`, {
      shard: this.#shard,
      offset,
    });
  }

  // --- links against batches and events

  #checkLinks(block: AuditedBlock, batches: ReadonlyMap<number, OpenBatch>, rules: BatchRules): Map<number, EventHead> {
    const heads = new Map<number, EventHead>();
    let before: Link | undefined;
    for (const audited of block.links) {
      const { link, leaf } = audited;
      const place = { shard: this.#shard, leaf, stream: link.stream };
      const batch = batches.get(link.inputOffset);
      if (batch === undefined) {
        this.#findings.fail(
          'SIGNATURES',
          'LINK_WITHOUT_BATCH',
          `the link names input offset ${link.inputOffset}, where no batch was accepted`,
          place,
        );
        continue;
      }
      if (
        before !== undefined &&
        (before.inputOffset > link.inputOffset || (before.inputOffset === link.inputOffset && before.position >= link.position))
      )
        this.#findings.fail('ORDER', 'LINK_ORDER', 'the link does not stand in the order of the input', place);
      if (link.marks !== (batch.linked ? 0 : batch.marks))
        this.#findings.fail('POLICY', 'MARKS_WRONG', `the link is marked ${link.marks}`, place);
      if (!equal(link.schema, batch.header.schema))
        this.#findings.fail('STREAMS', 'LINK_SCHEMA', 'the link names another schema than its batch', place);
      batch.linked = true;
      before = link;
      this.#place(batch, link.position, link.event, link.inputOffset);
      const head = this.#checkRow(audited, batch, block, rules);
      if (head !== undefined) heads.set(leaf, head);
    }
    return heads;
  }

  /** Follows each receipt to its original, which must be linked before it: links and receipts of a block take turns. */
  #checkOriginals(block: AuditedBlock, receipts: readonly { receipt: Receipt; offset: number }[]): void {
    let passed = 0;
    for (const { receipt, offset } of receipts) {
      for (
        let link = block.links[passed]?.link;
        link !== undefined && isBefore(link, offset, receipt.position);
        link = block.links[++passed]?.link
      );
      this.unique.receipt(receipt, offset, block.seal.firstIndex + passed);
    }
  }

  #place(batch: OpenBatch, position: number, digest: Uint8Array, offset: number): void {
    if (position >= batch.digests.length || batch.digests[position] !== undefined)
      this.#findings.fail('COMPLETE', 'POSITION', `position ${position} of the batch is taken twice or is not there`, {
        shard: this.#shard,
        offset,
      });
    else batch.digests[position] = digest;
  }

  #checkRoot(batch: OpenBatch, offset: number): void {
    const digests = batch.digests.filter((digest) => digest !== undefined);
    const place = { shard: this.#shard, offset };
    if (digests.length !== batch.header.count)
      this.#findings.fail(
        'COMPLETE',
        'EVENTS_MISSING',
        `${batch.header.count - digests.length} events of the batch have neither link nor receipt`,
        place,
      );
    else if (!equal(batchRoot(digests), batch.header.root))
      this.#findings.fail('SIGNATURES', 'BATCH_ROOT', 'links and receipts do not give the root that the producer signed', place);
  }

  /** The leading fields of the link's event, where the batch's schema gives them. */
  #checkRow({ link, hash, leaf }: AuditedLink, batch: OpenBatch, block: AuditedBlock, rules: BatchRules): EventHead | undefined {
    const schema = this.#schemaHex(link.schema);
    const fail = (property: Property, code: string, message: string): undefined => {
      this.#findings.fail(property, code, message, { shard: this.#shard, leaf, stream: link.stream, object: block.objects.events(schema) });
    };
    const row = block.rows.get(leaf);
    if (row === undefined) {
      this.unique.unknown(leaf);
      if (block.retired.has(schema)) this.retired += 1;
      else if (block.whole) fail('ARCHIVE', 'EVENT_MISSING', 'the events file has no record of this leaf');
      return undefined;
    }
    const { columns, event } = row;
    const right =
      row.schema === schema &&
      columns.streamIndex === link.index &&
      columns.acceptedAt === link.acceptedAt &&
      columns.producer === batch.header.producer &&
      equal(columns.epoch, batch.header.epoch) &&
      columns.seq === batch.header.firstSeq + link.position &&
      columns.inputOffset === link.inputOffset &&
      columns.position === link.position &&
      columns.marks === link.marks &&
      equal(columns.leafHash, hash);
    if (!right) fail('ARCHIVE', 'COLUMN_WRONG', 'a derived column is not what the log gives');
    if (event === null) this.unique.unknown(leaf);
    if (event === null)
      return fail('STREAMS', 'EVENT_REMOVED', 'the content was removed, and nothing in the archive says that it might be');
    if (!isEventDigest(link.event, link.schema, event))
      return fail('STREAMS', 'EVENT_DIGEST', 'the archived event is not the one that was linked');
    if (batch.proven === undefined) return undefined;
    const { head, reason } = judgeEvent(event, link.event, batch.proven, rules);
    if (reason !== REASONS.NONE) fail(propertyOf(reason), 'EVENT_UNACCEPTABLE', `a linked event is not acceptable: ${reasonName(reason)}`);
    if (head === undefined) return undefined;
    if (head.stream !== link.stream) fail('STREAMS', 'EVENT_STREAM', `the event is of stream ${JSON.stringify(head.stream)}`);
    const { appendedAt } = batch;
    const from = Math.max(this.windowFrom, windowStart(appendedAt, rules.policy));
    this.unique.link({ stream: link.stream, id: head.id, digest: link.event, leaf, appendedAt }, from);
    return head;
  }

  /** Hex of a schema's digest; links name the same one again and again. */
  #schemaHex(schema: Uint8Array): string {
    if (this.#latestSchema === undefined || !equal(this.#latestSchema.digest, schema))
      this.#latestSchema = { digest: schema.slice(), hex: toHex(schema) };
    return this.#latestSchema.hex;
  }
}

/** Where the dedup window begins for what was appended at `appendedAt`. */
function windowStart(appendedAt: number, { policy }: PolicyInForce): number {
  return appendedAt - policy.dedupWindowMs * 1000;
}

function headerOf(bytes: Uint8Array): BatchHeader | undefined {
  try {
    return decodeBatchHeader(bytes);
  } catch {
    return undefined;
  }
}

/** Whether a link stands before a place in the input. */
function isBefore(link: Link, offset: number, position: number): boolean {
  return link.inputOffset < offset || (link.inputOffset === offset && link.position < position);
}

function laneStep(header: BatchHeader, input: EvidenceInput): LaneStep {
  return { number: header.number, previous: header.previous, hash: sha256(input.batch?.header ?? ZEROS), appendedAt: input.appendedAt };
}

/** The property that something which must have been rejected breaks: who may sign what, how streams are made of events, or what the policy demands. */
function propertyOf(reason: number): Property {
  if (SIGNERS.includes(reason)) return 'SIGNATURES';
  return EVENTS.includes(reason) ? 'STREAMS' : 'POLICY';
}

const SIGNERS: readonly number[] = [
  REASONS.KEY_UNKNOWN,
  REASONS.KEY_NOT_ACTIVE,
  REASONS.SIGNATURE_WRONG,
  REASONS.STREAM_NOT_PERMITTED,
  REASONS.TYPE_NOT_PERMITTED,
];
const EVENTS: readonly number[] = [REASONS.EVENT_TOO_LARGE, REASONS.EVENT_MALFORMED, REASONS.EVENT_INVALID, REASONS.STREAM_WRONG_SHARD];

/** Reasons that a header alone shows, in the order in which they are looked for. */
const SHOWN_BY_HEADER: readonly number[] = [
  REASONS.HEADER_MALFORMED,
  REASONS.ORIGIN_WRONG,
  REASONS.SHARD_WRONG,
  REASONS.BATCH_TOO_LARGE,
  REASONS.LANES_WRONG,
  REASONS.KEY_UNKNOWN,
  REASONS.KEY_NOT_ACTIVE,
  REASONS.SIGNATURE_WRONG,
  REASONS.SCHEMA_NOT_IN_FORCE,
];

/** Whether a batch can have been rejected as `stated` when its header shows `derived` (NONE: nothing wrong). */
function rejectionFits(stated: number, derived: number): boolean {
  if (stated === derived) return SHOWN_BY_HEADER.includes(stated);
  // The number of events is looked at between the batch's place and its key.
  if (stated === REASONS.COUNT_WRONG) return derived === REASONS.NONE || derived > REASONS.COUNT_WRONG;
  return derived === REASONS.NONE && (stated === REASONS.ROOT_WRONG || stated === REASONS.BATCH_TOO_LARGE);
}
