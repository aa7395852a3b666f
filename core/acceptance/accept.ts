import { sha256 } from '#crypto';
import { unframe } from '../avro/framing.ts';
import { equal, toHex } from '../base/bytes.ts';
import { REASONS } from '../base/reasons.ts';
import type { BatchHeader } from '../formats/batch.ts';
import { type Block, decodeBlock } from '../formats/block.ts';
import { isEventDigest } from '../formats/event.ts';
import type { EventHead, EventSchema } from '../formats/event-schema.ts';
import { decodeEvidence, type EvidenceInput, type Receipt } from '../formats/evidence.ts';
import { decodeLeaf, type Link, MARKS, type Seal } from '../formats/leaf.ts';
import { FORMAT_LEVEL } from '../policy/format-level.ts';
import type { PolicyHistory, PolicyInForce } from '../policy/policy-history.ts';
import { batchRoot } from '../tree/batch-tree.ts';
import { extendFrontier, frontierRoot } from '../tree/frontier.ts';
import { leafHash } from '../tree/hash.ts';
import { ACCEPTANCE_RULES, type AcceptanceRule } from './acceptance-rules.ts';
import { type BatchProof, type BatchRules, checkHeader, isReceiptOf, judgeEvent, type ProvenHeader } from './batch-check.ts';
import { type CappedEvent, checkCappedLane, checkStreamCaps, type OpenState } from './caps.ts';
import { judgeLane } from './lane.ts';
import { type Lane, type LogDelta, type LogHead, type LogView, laneKey, type StreamEnd } from './log-state.ts';
import { Openings } from './openings.ts';
import { decoded, must, Refusal, Wait } from './refusal.ts';
import { isSealSignedBy, isSealSignedByAny } from './seal-signature.ts';

const ZEROS = new Uint8Array(32);

/** Everything that acceptance may look at besides the state: the policies and the event schemas that are known. */
export interface AcceptContext {
  readonly policies: PolicyHistory;
  eventSchema(hex: string): EventSchema | undefined;
}

/** An accepted block, decoded once for all later work. */
export interface AcceptedBlock {
  readonly kind: 'accepted';
  readonly block: Block;
  readonly seal: Seal;
  readonly links: readonly Link[];
  /** Leading fields of the links' events. */
  readonly heads: readonly EventHead[];
  /** Headers of the ACCEPTED batches, by input offset. */
  readonly headers: ReadonlyMap<number, BatchHeader>;
  /** Leaf hashes of the links and, last, of the seal. */
  readonly leafHashes: readonly Uint8Array[];
  readonly inputs: readonly EvidenceInput[];
  readonly delta: LogDelta;
}

export type Acceptance =
  | AcceptedBlock
  | { readonly kind: 'refused'; readonly rule: AcceptanceRule }
  /**
   * The reader does not know the named policy or schema yet. It waits for it and never skips the block if `signed`: if a chainer key that the reader
   * knows signed the seal. Otherwise anybody may have made the block, and it counts only if the policy can be read now.
   */
  | { readonly kind: 'wait'; readonly missing: 'policy' | 'schema'; readonly digest: string; readonly signed: boolean }
  /** Signed by a chainer key, yet in a format that this reader does not know: the reader stops. */
  | { readonly kind: 'stop'; readonly rule: AcceptanceRule };

/**
 * The acceptance function: whether the Kafka value `value` is the block that follows `view`, and which changes it makes.
 * A pure function of state and block: every reader of the chain decides the same way (docs/formats.md §3).
 */
export function accept(view: LogView, value: Uint8Array, context: AcceptContext): Acceptance {
  let block: Block;
  try {
    block = decodeBlock(unframe(value).payload);
  } catch {
    return { kind: 'refused', rule: 'BLOCK_FORMAT' };
  }
  try {
    return judgeBlock(view, block, context);
  } catch (error) {
    if (error instanceof Wait) return waiting(error, view, block, context);
    if (!(error instanceof Refusal)) throw error;
    return { kind: isForeign(error.rule, view, block, context) ? 'stop' : 'refused', rule: error.rule };
  }
}

/** A missing schema is found missing only after the seal's signature held. */
function waiting({ missing, digest }: Wait, view: LogView, block: Block, context: AcceptContext): Acceptance {
  return { kind: 'wait', missing, digest, signed: missing === 'schema' || isSealSignedByAny(context.policies, view.head.policy, block) };
}

function judgeBlock(view: LogView, block: Block, context: AcceptContext): AcceptedBlock {
  const { head } = view;
  const seal = decoded('SEAL_FORMAT', () => decodeSeal(block.seal));
  checkPlace(head, seal);
  const policy = policyOf(head, seal, context);
  checkChainer(block, seal, policy);
  must('POLICY_FORMAT', policy.policy.formatLevel <= FORMAT_LEVEL);
  checkInputStart(head, seal, policy);
  must('LINK_COUNT', seal.links === block.links.length);
  must('ACCEPTED_AT', seal.acceptedAt >= head.acceptedAt || policy.hex !== head.policy);
  must('EVIDENCE_HASH', equal(sha256(block.evidence), seal.evidence));
  const inputs = decoded('EVIDENCE_FORMAT', () => decodeEvidence(block.evidence));
  const appendedAt = checkOffsets(head, seal, inputs, policy);
  const rules: BatchRules = {
    origin: head.origin,
    shard: head.shard,
    shards: head.shards,
    policy,
    eventSchema: (hex) => context.eventSchema(hex),
  };
  const openings = new Openings(view);
  const { batches, lanes } = checkBatches(view, seal, inputs, rules, openings);
  const capped = checkRefused(block, batches, rules);
  const hashes = block.links.map(leafHash);
  const linked = extendFrontier(head.frontier, hashes);
  // Checked before any link is decoded. Otherwise links that no chainer signed could pass for a later format, and stop the reader.
  must('ROOT', equal(frontierRoot(linked), seal.root));
  const { links, heads, streams } = checkLinks(view, block, hashes, seal, batches, rules);
  checkStreamCaps({ view, openings }, links, batches, capped);
  for (const batch of batches.values()) checkBatchRoot(batch);
  const sealHash = leafHash(block.seal);
  const next: LogHead = {
    ...head,
    size: head.size + hashes.length + 1,
    frontier: extendFrontier(linked, [sealHash]),
    seal: sealHash,
    inputGeneration: seal.inputGeneration,
    inputTo: seal.inputTo,
    appendedAt,
    acceptedAt: seal.acceptedAt,
    policy: policy.hex,
    final: seal.final,
  };
  const delta: LogDelta = { head: next, streams, lanes, lanesFrom: appendedAt - policy.policy.laneRetentionMs * 1000 };
  const headers = new Map([...batches].map(([offset, { header }]) => [offset, header] as const));
  return { kind: 'accepted', block, seal, links, heads, headers, leafHashes: [...hashes, sealHash], inputs, delta };
}

function decodeSeal(bytes: Uint8Array): Seal {
  const leaf = decodeLeaf(bytes);
  if (leaf.kind !== 'seal') throw new Refusal('SEAL_FORMAT');
  return leaf;
}

function checkPlace(head: LogHead, seal: Seal): void {
  must('FINAL', !head.final);
  must('ORIGIN', seal.origin === `${head.origin}/${head.shard}`);
  must('FIRST_INDEX', seal.firstIndex === head.size);
  must('PREVIOUS_SEAL', equal(seal.previous, head.seal));
}

/** The policy that the seal names. It must be the policy of the state, or descend from it. */
function policyOf(head: LogHead, seal: Seal, context: AcceptContext): PolicyInForce {
  const hex = toHex(seal.policy);
  const policy = context.policies.byDigest(hex);
  if (policy === undefined) throw new Wait('policy', hex);
  must('POLICY', head.policy === null || head.policy === hex || context.policies.descends(hex, head.policy));
  must('POLICY', policy.policy.origin === head.origin && policy.policy.shards === head.shards);
  return policy;
}

function checkChainer(block: Block, seal: Seal, policy: PolicyInForce): void {
  const chainer = policy.chainer(seal.chainer, block.keyId);
  must('CHAINER_KEY', chainer?.active === true);
  must('CHAINER_SIGNATURE', chainer !== undefined && isSealSignedBy(chainer.key, block));
}

/** The input continues where the last block ended, or begins at the start of the new input generation that the policy names. */
function checkInputStart(head: LogHead, seal: Seal, policy: PolicyInForce): void {
  const { generation, firstOffsets } = policy.policy.inputGeneration;
  const goesOn = seal.inputGeneration === head.inputGeneration;
  // Generations never fall from one policy to the next, so a different generation is a later one.
  must('INPUT_FROM', goesOn || seal.inputGeneration === generation);
  must('INPUT_FROM', seal.inputFrom === (goesOn ? head.inputTo : firstOffsets[head.shard]));
}

/**
 * Checks that the evidence covers inputFrom to inputTo without a hole, in the order of `appendedAt`, which input moves no further than `acceptedAt` and
 * the clock skew: else one wrong time would move the dedup window and forget lanes. Returns the last of these times.
 */
function checkOffsets(head: LogHead, seal: Seal, inputs: readonly EvidenceInput[], { policy }: PolicyInForce): number {
  const latest = Math.max(head.appendedAt, seal.acceptedAt + policy.clockSkewMs * 1000);
  let offset = seal.inputFrom;
  let { appendedAt } = head;
  for (const input of inputs) {
    must('EVIDENCE_TIME', input.appendedAt >= appendedAt && input.appendedAt <= latest);
    appendedAt = input.appendedAt;
    offset += input.span;
  }
  must('EVIDENCE_OFFSETS', offset === seal.inputTo);
  return appendedAt;
}

/** An ACCEPTED batch while its links and receipts are put back into their positions. */
interface OpenBatch extends ProvenHeader {
  readonly receipts: readonly Receipt[];
  readonly digests: (Uint8Array | undefined)[];
  /** The marks of the batch's first link. */
  readonly marks: number;
  linked: boolean;
}

function checkBatches(
  view: LogView,
  seal: Seal,
  inputs: readonly EvidenceInput[],
  rules: BatchRules,
  openings: Openings,
): { batches: Map<number, OpenBatch>; lanes: Map<string, Lane> } {
  const batches = new Map<number, OpenBatch>();
  const lanes = new Map<string, Lane>();
  let offset = seal.inputFrom;
  for (const input of inputs) {
    if (input.reason === REASONS.LANE_CAP) checkCappedLane({ view, openings }, lanes, input, rules);
    if (input.outcome === 'ACCEPTED' && input.batch !== null)
      batches.set(offset, openBatch({ view, openings }, lanes, input, input.batch, rules));
    offset += input.span;
  }
  return { batches, lanes };
}

/** Verifies an ACCEPTED batch, moves its lane, and places its receipts. */
function openBatch(state: OpenState, lanes: Map<string, Lane>, input: EvidenceInput, proof: BatchProof, rules: BatchRules): OpenBatch {
  const check = checkHeader(proof, rules);
  if (check.kind === 'hold') throw new Wait('schema', check.schema);
  if (check.kind === 'rejected') throw new Refusal('BATCH');
  const { header } = check.proven;
  const key = laneKey(header.producer, header.epoch);
  const step = { number: header.number, previous: header.previous, hash: sha256(proof.header), appendedAt: input.appendedAt };
  const lane = lanes.get(key) ?? state.view.lane(key);
  const outcome = judgeLane(lane, step, rules.policy.policy.laneRetentionMs * 1000);
  must('LANE', outcome === 'NEXT' || outcome === 'GAP');
  must('LANE', lane !== undefined || state.openings.openLane(check.proven.producer));
  // Deleted first, so that the map stays in the order of `appendedAt`: the state forgets lanes in this order.
  lanes.delete(key);
  lanes.set(key, { number: header.number + 1, hash: step.hash, appendedAt: input.appendedAt });
  const digests = Array.from<Uint8Array | undefined>({ length: header.count });
  const batch: OpenBatch = {
    ...check.proven,
    receipts: input.receipts,
    digests,
    marks: outcome === 'GAP' ? MARKS.gapBefore : 0,
    linked: false,
  };
  for (const receipt of input.receipts) place(batch, receipt.position, receipt.digest);
  return batch;
}

function place(batch: OpenBatch, position: number, digest: Uint8Array): void {
  must('POSITIONS', position < batch.digests.length && batch.digests[position] === undefined);
  batch.digests[position] = digest;
}

/**
 * Judges the events of REJECTED and CONFLICT receipts again: nobody has to believe a chainer why it left an event out. Gives the events that are said to
 * begin a stream too many, which only the links before them can show.
 */
function checkRefused({ refused }: Block, batches: ReadonlyMap<number, OpenBatch>, rules: BatchRules): CappedEvent[] {
  const capped: CappedEvent[] = [];
  let next = 0;
  for (const [inputOffset, batch] of batches) {
    for (const receipt of batch.receipts) {
      if (receipt.outcome === 'DUPLICATE') continue;
      const bytes = refused[next++];
      if (bytes === undefined) throw new Refusal('REFUSED_COUNT');
      must('RECEIPT_DIGEST', isEventDigest(receipt.digest, batch.header.schema, bytes));
      const judged = judgeEvent(bytes, receipt.digest, batch, rules);
      must('RECEIPT', isReceiptOf(receipt, judged));
      if (receipt.reason === REASONS.STREAM_CAP)
        capped.push({ inputOffset, position: receipt.position, stream: judged.head?.stream ?? '', producer: batch.producer });
    }
  }
  must('REFUSED_COUNT', next === refused.length);
  return capped;
}

function checkBatchRoot(batch: OpenBatch): void {
  const digests = batch.digests.filter((digest) => digest !== undefined);
  must('POSITIONS', digests.length === batch.header.count);
  must('BATCH_ROOT', equal(batchRoot(digests), batch.header.root));
}

interface CheckedLinks {
  readonly links: Link[];
  readonly heads: EventHead[];
  readonly streams: Map<string, StreamEnd>;
}

function checkLinks(
  view: LogView,
  block: Block,
  hashes: readonly Uint8Array[],
  seal: Seal,
  batches: ReadonlyMap<number, OpenBatch>,
  rules: BatchRules,
): CheckedLinks {
  const checked: CheckedLinks = { links: [], heads: [], streams: new Map() };
  let before: Link | undefined;
  for (const [i, bytes] of block.links.entries()) {
    const link = decoded('LINK_FORMAT', () => decodeLink(bytes));
    const batch = batches.get(link.inputOffset);
    if (batch === undefined) throw new Refusal('LINK_BATCH');
    must(
      'LINK_ORDER',
      before === undefined ||
        before.inputOffset < link.inputOffset ||
        (before.inputOffset === link.inputOffset && before.position < link.position),
    );
    must('LINK_TIME', link.acceptedAt === seal.acceptedAt);
    must('LINK_MARKS', link.marks === (batch.linked ? 0 : batch.marks));
    batch.linked = true;
    checked.heads.push(checkEvent(link, block.events[i] as Uint8Array, batch, rules));
    place(batch, link.position, link.event);
    const producer = batch.producer.verifier.name;
    const next = { index: link.index, hash: hashes[i] as Uint8Array, logIndex: seal.firstIndex + i, producer };
    extendStream(checked.streams, view, link, next);
    checked.links.push(link);
    before = link;
  }
  return checked;
}

function decodeLink(bytes: Uint8Array): Link {
  const leaf = decodeLeaf(bytes);
  if (leaf.kind !== 'link') throw new Refusal('LINK_FORMAT');
  return leaf;
}

/** Checks that the event is canonical, has the link's digest, and belongs to the link's stream, and that its producer may publish it. */
function checkEvent(link: Link, bytes: Uint8Array, batch: OpenBatch, rules: BatchRules): EventHead {
  must('EVENT_DIGEST', equal(link.schema, batch.header.schema) && isEventDigest(link.event, link.schema, bytes));
  const { head, reason } = judgeEvent(bytes, link.event, batch, rules);
  if (head === undefined || reason !== REASONS.NONE) throw new Refusal('EVENT');
  must('LINK_STREAM', head.stream === link.stream);
  return head;
}

function extendStream(streams: Map<string, StreamEnd>, view: LogView, link: Link, next: StreamEnd): void {
  const end = streams.get(link.stream) ?? view.stream(link.stream);
  must('LINK_INDEX', link.index === (end === undefined ? 0 : end.index + 1));
  must('LINK_PREVIOUS', equal(link.previous, end?.hash ?? ZEROS));
  const { index, hash, logIndex } = next;
  streams.set(link.stream, end === undefined ? next : { index, hash, logIndex, producer: end.producer });
}

/**
 * Whether a chainer signed the block and this reader does not know its format. Evidence and links are decoded only after the seal's signature,
 * the evidence's hash, and the root have verified, so for them the rule alone decides. A seal that cannot be read names no chainer key, so its
 * signature is tried with every key that could have signed it.
 */
function isForeign(rule: AcceptanceRule, view: LogView, block: Block, context: AcceptContext): boolean {
  if (rule !== 'SEAL_FORMAT') return ACCEPTANCE_RULES[rule].maybeLaterFormat;
  return isSealSignedByAny(context.policies, view.head.policy, block);
}
