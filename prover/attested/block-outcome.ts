import type { BatchProof } from '../../core/acceptance/batch-check.ts';
import { isSealedBody } from '../../core/acceptance/block-body.ts';
import { attempt } from '../../core/base/attempt.ts';
import { equal } from '../../core/base/bytes.ts';
import type { WalkedBlock } from '../../core/chain/chain-walk.ts';
import { type BatchHeader, decodeBatchHeader } from '../../core/formats/batch.ts';
import { decodeEvidence } from '../../core/formats/evidence.ts';
import { decodeLeaf, type Link } from '../../core/formats/leaf.ts';
import { preAuthentication } from '../../core/keys/dsse.ts';
import type { VerifierKey } from '../../core/keys/key.ts';
import { importKey, verifySignature } from '../../core/keys/signature.ts';
import type { FoundBlock, StoredLeaf } from '../block-lookup.ts';

/** An event whose fate is looked for. */
export interface SoughtEvent {
  readonly digest: Uint8Array;
  /** The key that signs its batch. */
  readonly producer: VerifierKey;
  /** Its lane, and its sequence number there; undefined until the event was recorded. */
  place: { readonly epoch: Uint8Array; readonly seq: number } | undefined;
}

/** What a block states of an event. Nothing of it counts before the block's seal is known to be in the log. */
export type BlockOutcome =
  | { readonly kind: 'linked'; readonly index: number; readonly link: StoredLeaf<Link>; readonly event: Uint8Array }
  /** It is in the log already, at the leaf `original`. */
  | { readonly kind: 'duplicate'; readonly original: number }
  /** Another event with its identity is at the leaf `original`. */
  | { readonly kind: 'conflict'; readonly original: number }
  /** The batch or the event was refused, for this reason. */
  | { readonly kind: 'refused'; readonly what: 'batch' | 'event'; readonly reason: number };

/** The parts of a block that proofs are made of. */
export function foundBlock({ block, seal }: WalkedBlock): FoundBlock {
  return {
    sealIndex: seal.firstIndex + seal.links,
    seal: { bytes: block.seal, leaf: seal },
    keyId: block.keyId,
    signature: block.signature,
    inputs: decodeEvidence(block.evidence),
    links: block.links.map(linkOf),
  };
}

/** What the block states of the event; undefined where it states nothing, or its body is not the one that its seal covers. */
export function outcomeOf(walked: WalkedBlock, sought: SoughtEvent): BlockOutcome | undefined {
  try {
    const outcome = linkedIn(walked, (link) => equal(link.event, sought.digest)) ?? refusedIn(walked, sought);
    return outcome !== undefined && isSealedBody(walked.block, walked.seal) ? outcome : undefined;
  } catch {
    // Whoever can append can put anything under a name of ours: it is no block of the log.
    return undefined;
  }
}

/** The leaf `index` in its block; undefined where it is not a link of that block. */
export function linkedAt(walked: WalkedBlock, index: number): BlockOutcome | undefined {
  return linkedIn(walked, (_, at) => at === index);
}

function linkedIn({ block, seal }: WalkedBlock, isWanted: (link: Link, index: number) => boolean): BlockOutcome | undefined {
  for (const [i, bytes] of block.links.entries()) {
    const leaf = linkOf(bytes);
    const index = seal.firstIndex + i;
    if (isWanted(leaf, index)) return { kind: 'linked', index, link: { bytes, leaf }, event: block.events[i] as Uint8Array };
  }
  return undefined;
}

function linkOf(bytes: Uint8Array): Link {
  const leaf = decodeLeaf(bytes);
  if (leaf.kind === 'link') return leaf;
  throw new Error('a seal is not a link');
}

/** What others sent, even with the same event in it or under our lane, is not refused to us. That an event is in the log already is so whoever sent it again. */
function refusedIn({ block }: WalkedBlock, { digest, producer, place }: SoughtEvent): BlockOutcome | undefined {
  for (const { batch, outcome, reason, receipts } of decodeEvidence(block.evidence)) {
    const own = batch === null ? undefined : ownHeader(batch, producer);
    if (outcome === 'REJECTED' && own !== undefined && place !== undefined && holds(own, place))
      return { kind: 'refused', what: 'batch', reason };
    const receipt = receipts.find((each) => equal(each.digest, digest));
    if (receipt === undefined) continue;
    if (receipt.original !== null) return { kind: receipt.outcome === 'DUPLICATE' ? 'duplicate' : 'conflict', original: receipt.original };
    if (own !== undefined) return { kind: 'refused', what: 'event', reason: receipt.reason };
  }
  return undefined;
}

/** The header, if this key signed it: the evidence holds those of rejected batches, too, which anybody can have sent. */
function ownHeader({ header, keyId, signature }: BatchProof, producer: VerifierKey): BatchHeader | undefined {
  const isSigned = equal(keyId, producer.id) && verifySignature(importKey(producer), preAuthentication('batch', header), signature);
  const decoded = isSigned ? attempt(() => decodeBatchHeader(header)) : undefined;
  return decoded?.producer === producer.name ? decoded : undefined;
}

function holds(header: BatchHeader, { epoch, seq }: NonNullable<SoughtEvent['place']>): boolean {
  return equal(header.epoch, epoch) && header.firstSeq <= seq && seq < header.firstSeq + header.count;
}
