import { type BatchRules, isReceiptOf, judgeEvent } from '../core/acceptance/batch-check.ts';
import { toHex } from '../core/base/bytes.ts';
import { reasonName } from '../core/base/reasons.ts';
import { isEventDigest } from '../core/formats/event.ts';
import type { Receipt } from '../core/formats/evidence.ts';
import { finding } from './findings.ts';
import type { BlockInProof, ProvenBatch } from './proven-batch.ts';

/** Judges the events of REJECTED and CONFLICT receipts again. Where retention removed the events, nothing is said about them. */
export function proveRefused(proof: BlockInProof, batches: ReadonlyMap<number, ProvenBatch>, rules: BatchRules): void {
  const { refused, sealLeaf, objects } = proof.block;
  if (refused === undefined) return;
  let next = 0;
  for (const batch of batches.values()) {
    for (const receipt of batch.receipts) {
      const bytes = receipt.outcome === 'DUPLICATE' ? undefined : refused[next++];
      if (bytes !== undefined) proveReceipt(proof, batch, { receipt, bytes }, rules);
    }
  }
  if (next === refused.length) return;
  const place = { shard: proof.context.shard, leaf: sealLeaf, object: objects.refused };
  const message = `the evidence names ${next} refused events of the block; the archive has ${refused.length}`;
  proof.findings.push(finding('REFUSED_COUNT', message, place));
}

function proveReceipt(
  { findings, block, context }: BlockInProof,
  { header, proven, offset }: ProvenBatch,
  { receipt, bytes }: { readonly receipt: Receipt; readonly bytes: Uint8Array },
  rules: BatchRules,
): void {
  const place = { shard: context.shard, offset };
  if (!isEventDigest(receipt.digest, header.schema, bytes)) {
    const message = `the refused event at position ${receipt.position} of the batch is not the one that its receipt names`;
    findings.push(finding('REFUSED_DIGEST', message, { ...place, object: block.objects.refused }));
    return;
  }
  if (proven === undefined) return;
  const judged = judgeEvent(bytes, receipt.digest, proven, rules);
  if (isReceiptOf(receipt, judged)) return;
  const stated = `${receipt.outcome} ${reasonName(receipt.reason)} under the id ${receipt.id === null ? 'null' : toHex(receipt.id)}`;
  const given = `${reasonName(judged.reason)} and ${judged.head === undefined ? 'null' : toHex(judged.head.id)}`;
  const message = `the receipt at position ${receipt.position} of the batch states ${stated}; its event gives ${given}`;
  findings.push(finding('RECEIPT_REASON', message, place));
}
