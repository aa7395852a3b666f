import { sha256 } from '#crypto';
import type { HeaderCheck, ProvenHeader } from '../core/acceptance/batch-check.ts';
import { judgeLane, type LaneOutcome } from '../core/acceptance/lane.ts';
import { laneKey } from '../core/acceptance/log-state.ts';
import { schemaKey } from '../core/archive/archive-keys.ts';
import { isJudgedBefore, REASON_TRAITS, REASONS, type Reason, type ReasonName, reasonName } from '../core/base/reasons.ts';
import type { BatchHeader } from '../core/formats/batch.ts';
import type { EvidenceInput } from '../core/formats/evidence.ts';
import { MARKS } from '../core/formats/leaf.ts';
import { believedUntil } from '../core/policy/policy-document.ts';
import type { PolicyInForce } from '../core/policy/policy-history.ts';
import type { AcrossShards } from './across-shards.ts';
import type { Audit } from './audit.ts';
import type { AuditedBlock } from './audited-block.ts';
import type { ProvenEvidence } from './block-proof.ts';
import { headerOf, type ProvenBatch } from './proven-batch.ts';
import type { ReplayedLog } from './replayed-log.ts';
import type { UniqueAudit } from './unique-audit.ts';
import { UnsettledHeaders } from './unsettled-headers.ts';

/** What reasons reject of which no header is known. */
const NAMELESS: ReadonlySet<string> = new Set(['records', 'message']);

/** One input where it is judged. */
interface InputInBlock {
  readonly input: EvidenceInput;
  readonly check: HeaderCheck | undefined;
  readonly policy: PolicyInForce;
  readonly place: { readonly shard: number; readonly offset: number };
}

/** Checks the inputs of each block against the state: their order, their lanes, earlier acceptance of the same batch, and the reasons of rejections. */
export class InputAudit {
  readonly #audit: Audit;
  readonly #log: ReplayedLog;
  readonly #across: AcrossShards;
  readonly #unique: UniqueAudit;
  readonly #unsettled = new UnsettledHeaders();
  batches = 0;
  /** Signatures of producers. */
  signatures = 0;
  offsets = 0;

  constructor(audit: Audit, log: ReplayedLog, across: AcrossShards, unique: UniqueAudit) {
    this.#audit = audit;
    this.#log = log;
    this.#across = across;
    this.#unique = unique;
  }

  /** Checks the block's inputs in order, moves the lanes, and gives the time at which the last input was appended. */
  check(block: AuditedBlock, { inputs, checks, batches }: ProvenEvidence, policy: PolicyInForce): number {
    const { seal, sealLeaf, objects } = block;
    const { shard, findings } = this.#audit;
    let offset = seal.inputFrom;
    let { appendedAt } = this.#log.head;
    const latest = Math.max(appendedAt, seal.acceptedAt + policy.policy.clockSkewMs * 1000);
    for (const [i, input] of inputs.entries()) {
      const place = { shard, offset };
      if (input.appendedAt < appendedAt) findings.add('APPENDED_BACK', 'the input was appended before the input that it follows', place);
      if (input.appendedAt > latest)
        findings.add('APPENDED_AHEAD', 'the input was appended later than its block was made, by more than the clock skew', place);
      appendedAt = input.appendedAt;
      this.#across.lanes.consumed(shard, appendedAt);
      this.#across.refusals.take(input, checks[i]);
      const given = { input, check: checks[i], policy, place };
      if (input.outcome === 'ACCEPTED') this.#checkAccepted(given, batches.get(offset), block);
      else if (input.outcome === 'REPEATED') this.#checkRepeated(given);
      else if (input.outcome === 'REJECTED') this.#checkRejected(given);
      offset += input.span;
    }
    this.offsets += offset - seal.inputFrom;
    if (offset !== seal.inputTo) {
      const message = `the evidence accounts for the input up to ${offset}; the seal states ${seal.inputTo}`;
      findings.add('OFFSETS', message, { shard, leaf: sealLeaf, object: objects.evidence });
    }
    return appendedAt;
  }

  /** Reports what stays open at the end of the shard. */
  finish(): void {
    this.#unsettled.finish(this.#audit.findings);
  }

  /** `batch` is undefined where the header cannot be read. */
  #checkAccepted(given: InputInBlock, batch: ProvenBatch | undefined, block: AuditedBlock): void {
    const { input, check, place } = given;
    if (input.batch === null) return;
    this.batches += 1;
    this.signatures += 1;
    if (check?.kind === 'hold') {
      const object = schemaKey(check.schema);
      this.#audit.findings.add('MISSING', 'the schema of the batch is not in the archive', { ...place, object }, { property: 'ARCHIVE' });
    }
    if (check?.kind === 'rejected') this.#unacceptable(check.reason, 'an accepted batch', place);
    if (batch === undefined) return;
    const { header } = batch;
    const replay = this.#unique.accepted(input.batch.header, place.offset);
    this.#unsettled.accepted(input.batch.header);
    const at = { ...place, appendedAt: input.appendedAt };
    if (!replay) {
      this.#across.lanes.accepted(header, input.batch.header, at);
      if (header.count === 0) this.#across.silence.heartbeat(header);
      this.#checkClock(header, given);
    }
    if (batch.proven !== undefined && this.#isLaneBeyondCap(header, batch.proven))
      this.#unacceptable(REASONS.LANE_CAP, 'an accepted batch', place);
    const outcome = this.#moveLane(header, given);
    if (this.#log.isWhole) this.#checkMarks(batch, block, outcome === 'GAP' ? MARKS.gapBefore : 0);
    this.#checkProducer(batch, block, input.batch.keyId);
  }

  /** A REPEATED header was accepted before, and its producer can still sign it. */
  #checkRepeated({ input, check, place }: InputInBlock): void {
    if (input.batch === null) return;
    this.signatures += 1;
    if (check?.kind === 'rejected') this.#unacceptable(check.reason, 'a repeated batch', place);
    if (this.#log.isWhole && !this.#unique.wasAccepted(input.batch.header))
      this.#audit.findings.add('REPEATED_WRONG', 'the batch is logged as repeated and was never accepted', place);
  }

  #unacceptable(reason: Reason, what: string, place: InputInBlock['place']): void {
    const name = reasonName(reason) as ReasonName;
    // A header shows nothing that breaks STREAMS: these are reasons of events.
    const property = REASON_TRAITS[name].breaks === 'SIGNATURES' ? 'SIGNATURES' : 'POLICY';
    this.#audit.findings.add('BATCH_UNACCEPTABLE', `${what} had to be rejected: ${name}`, place, { property });
  }

  /** Reports where the clocks of producer and log differ; nothing is decided by them. Why a batch is old, only its producer knows. */
  #checkClock(header: BatchHeader, { input, policy, place }: InputInBlock): void {
    const aheadMs = Math.round((header.createdAt - input.appendedAt) / 1000);
    const { clockSkewMs } = policy.policy;
    const { findings } = this.#audit;
    if (aheadMs > clockSkewMs) findings.add('CLOCK_SKEW', `the clock of ${header.producer} ran ${aheadMs} ms ahead of the log's`, place);
    if (-aheadMs > clockSkewMs) {
      const message = `${header.producer} dates the batch ${-aheadMs} ms before the log took it: its clock ran behind, or the batch waited`;
      findings.add('CLOCK_OR_DELAY', message, place);
    }
  }

  /** Moves the lane as acceptance does. */
  #moveLane(header: BatchHeader, { input, policy, place }: InputInBlock): LaneOutcome {
    const key = laneKey(header.producer, header.epoch);
    const hash = headerHash(input);
    const outcome = this.#judgeLane(header, input, hash, policy);
    if (this.#log.isWhole && (outcome === 'FORK' || outcome === 'REPEATED'))
      this.#audit.findings.add('LANE_WRONG', `the accepted batch does not follow its lane: ${outcome}`, place);
    this.#log.moveLane(key, { number: header.number + 1, hash, appendedAt: input.appendedAt });
    return outcome;
  }

  /** Whether the header would begin one lane more than its key may hold in the shard. */
  #isLaneBeyondCap({ producer, epoch }: BatchHeader, { producer: { entry } }: ProvenHeader): boolean {
    return this.#log.isWhole && !this.#log.lanes.has(laneKey(producer, epoch)) && this.#log.lanesOf(producer) >= entry.maxLanes;
  }

  #judgeLane(
    { producer, epoch, number, previous }: BatchHeader,
    input: EvidenceInput,
    hash: Uint8Array,
    policy: PolicyInForce,
  ): LaneOutcome {
    const lane = this.#log.lanes.get(laneKey(producer, epoch));
    return judgeLane(lane, { number, previous, hash, appendedAt: input.appendedAt }, policy.policy.laneRetentionMs * 1000);
  }

  /** The first link of a batch after a gap is marked; the marks of its other links are a matter of the block alone. */
  #checkMarks({ firstLink }: ProvenBatch, { links }: AuditedBlock, marks: number): void {
    const first = links[firstLink];
    if (first === undefined || first.link.marks === marks) return;
    const place = { shard: this.#audit.shard, leaf: first.leaf, stream: first.link.stream };
    this.#audit.findings.add('MARKS_WRONG', `the link is marked ${first.link.marks}`, place);
  }

  /** A compromised key is believed up to a size. A link is cut by its own leaf; the header, and the receipts with it, by the seal of their block. */
  #checkProducer({ header, offset }: ProvenBatch, { links, sealLeaf }: AuditedBlock, keyId: Uint8Array): void {
    const { governance, shard, findings } = this.#audit;
    const now = governance.history.latest.producer(header.producer, keyId)?.entry;
    const believed = now === undefined ? Infinity : believedUntil(now, shard);
    if (sealLeaf < believed) return;
    const first = links.find(({ link, leaf }) => link.inputOffset === offset && leaf >= believed);
    const what = first === undefined ? 'no link' : `the links from leaf ${first.leaf} on`;
    const message = `${header.producer} signed the batch, and its key is believed up to ${believed} leaves: SUSPECT are its header, and ${what}`;
    findings.add('SUSPECT', message, { shard, offset, leaf: first?.leaf ?? sealLeaf });
  }

  /** Derives the reason of a rejection again, as far as the logged bytes allow: events are not logged, so a reason that only events show is believed. */
  #checkRejected(given: InputInBlock): void {
    const { input, check, place } = given;
    if (input.batch !== null && !this.#unique.wasAccepted(input.batch.header)) this.#unsettled.refused(input, check, place);
    const stated = reasonName(input.reason);
    if (check === undefined) {
      // Evidence has the header of every message in which one can be read.
      if (stated === undefined || !NAMELESS.has(REASON_TRAITS[stated].rejects)) this.#reasonWrong(stated, 'no header was logged', place);
      return;
    }
    const derived = check.kind === 'rejected' ? (reasonName(check.reason) as ReasonName) : 'NONE';
    // Whether a header forks its lane shows without its schema.
    const isLane = stated !== undefined && REASON_TRAITS[stated].shows === 'lane' && derived === 'NONE';
    const header = isLane ? headerOf(input) : undefined;
    if (header !== undefined && stated === 'LANE_CAP') this.#checkCap(header, given);
    else if (header !== undefined) this.#checkFork(header, stated, given);
    else if (stated === undefined || !rejectionFits(stated, derived)) this.#reasonWrong(stated, `its header gives ${derived}`, place);
  }

  /** A header that was rejected as a fork does not follow its lane. A header that was accepted before may be called a fork as well. */
  #checkFork(header: BatchHeader, stated: ReasonName | undefined, { input, policy, place }: InputInBlock): void {
    const outcome = this.#judgeLane(header, input, headerHash(input), policy);
    if (this.#log.isWhole && (outcome === 'NEXT' || outcome === 'GAP'))
      this.#reasonWrong(stated, `the header follows its lane (${outcome})`, place);
  }

  /** A header that was rejected for the cap of lanes begins a lane beyond it. */
  #checkCap(header: BatchHeader, { check, place }: InputInBlock): void {
    if (check?.kind === 'proven' && this.#log.isWhole && !this.#isLaneBeyondCap(header, check.proven))
      this.#reasonWrong('LANE_CAP', 'its lane is held, or its producer may hold one more', place);
  }

  #reasonWrong(stated: ReasonName | undefined, why: string, place: InputInBlock['place']): void {
    this.#audit.findings.add('REASON_WRONG', `a batch was rejected as ${stated ?? 'unknown'}: ${why}`, place);
  }
}

function headerHash({ batch }: EvidenceInput): Uint8Array {
  return sha256(batch?.header ?? new Uint8Array(0));
}

/** Whether a batch can have been rejected as `stated` if its header alone gives `derived`; `NONE` if nothing is wrong with the header. */
function rejectionFits(stated: ReasonName, derived: ReasonName): boolean {
  const { shows } = REASON_TRAITS[stated];
  if (stated === derived) return shows === 'header' || shows === 'header or events';
  if (shows === 'events') return derived === 'NONE' || isJudgedBefore(stated, derived);
  return shows === 'header or events' && derived === 'NONE';
}
