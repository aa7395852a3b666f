import { type BatchRules, isReceiptOf, judgeEvent } from '../core/acceptance/batch-check.ts';
import { toHex } from '../core/base/bytes.ts';
import { reasonName } from '../core/base/reasons.ts';
import { isEventDigest } from '../core/formats/event.ts';
import type { Receipt } from '../core/formats/evidence.ts';
import { finding } from './findings.ts';
import type { BlockInProof, ProvenBatch } from './proven-batch.ts';

/** Streams of the events of receipts, as far as these events are there and can be read. */
export type RefusedStreams = ReadonlyMap<Receipt, string>;

/** Judges the events of REJECTED and CONFLICT receipts again. Where retention removed the events, nothing is said about them. */
export function proveRefused(proof: BlockInProof, batches: ReadonlyMap<number, ProvenBatch>, rules: BatchRules): RefusedStreams {
  const streams = new Map<Receipt, string>();
  const { refused, sealLeaf, objects } = proof.block;
  if (refused === undefined) return streams;
  let next = 0;
  for (const batch of batches.values()) {
    for (const receipt of batch.receipts) {
      const bytes = receipt.outcome === 'DUPLICATE' ? undefined : refused[next++];
      const stream = bytes === undefined ? undefined : proveReceipt(proof, batch, { receipt, bytes }, rules);
      if (stream !== undefined) streams.set(receipt, stream);
    }
  }
  if (next === refused.length) return streams;
  const place = { shard: proof.context.shard, leaf: sealLeaf, object: objects.refused };
  const message = `the evidence names ${next} refused events of the block; the archive has ${refused.length}`;
  proof.findings.push(finding('REFUSED_COUNT', message, place));
  return streams;
}

/** Gives the stream of the event, where it is the receipt's event and can be read. */
function proveReceipt(
  { findings, block, context }: BlockInProof,
  { header, proven, offset }: ProvenBatch,
  { receipt, bytes }: { readonly receipt: Receipt; readonly bytes: Uint8Array },
  rules: BatchRules,
): string | undefined {
  const place = { shard: context.shard, offset };
  if (!isEventDigest(receipt.digest, header.schema, bytes)) {
    const message = `the refused event at position ${receipt.position} of the batch is not the one that its receipt names`;
    findings.push(finding('REFUSED_DIGEST', message, { ...place, object: block.objects.refused }));
    return undefined;
  }
  if (proven === undefined) return undefined;
  const judged = judgeEvent(bytes, receipt.digest, proven, rules);
  const stream = judged.head?.stream;
  if (isReceiptOf(receipt, judged)) return stream;
  const stated = `${receipt.outcome} ${reasonName(receipt.reason)} under the id ${receipt.id === null ? 'null' : toHex(receipt.id)}`;
  const given = `${reasonName(judged.reason)} and ${judged.head === undefined ? 'null' : toHex(judged.head.id)}`;
  const message = `the receipt at position ${receipt.position} of the batch states ${stated}; its event gives ${given}`;
  findings.push(finding('RECEIPT_REASON', message, place));
  return stream;
}
