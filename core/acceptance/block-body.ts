import { sha256 } from '#crypto';
import { equal, utf8 } from '../base/bytes.ts';
import { type BatchHeader, decodeBatchHeader } from '../formats/batch.ts';
import type { Block } from '../formats/block.ts';
import { isEventDigest } from '../formats/event.ts';
import { decodeEvidence } from '../formats/evidence.ts';
import { decodeLeaf, type Link, type Seal } from '../formats/leaf.ts';
import { batchRoot } from '../tree/batch-tree.ts';

const ID_BYTES = 16;
/** Longest text whose length Avro writes in one byte. */
const SHORT_TEXT = 63;

interface OpenBatch {
  readonly header: BatchHeader;
  readonly digests: (Uint8Array | undefined)[];
}

/**
 * Whether evidence, links and events are those of the block that was accepted under `seal`. Anybody who can append can repeat a seal of the log
 * with another body, so a matching seal is not enough. The seal holds the hash of the evidence, the evidence holds the batch roots, and the roots
 * cover the events. Positions in streams and times in links stay unproven.
 */
export function isSealedBody({ evidence, links, events }: Block, seal: Seal): boolean {
  if (!equal(sha256(evidence), seal.evidence) || links.length !== seal.links) return false;
  const batches = acceptedBatches(evidence, seal.inputFrom);
  let before: Link | undefined;
  for (const [i, bytes] of links.entries()) {
    const link = linkOf(bytes, events[i] as Uint8Array);
    const batch = link === undefined ? undefined : batches.get(link.inputOffset);
    if (link === undefined || batch === undefined || link.position >= batch.digests.length || !follows(link, before)) return false;
    batch.digests[link.position] = link.event;
    before = link;
  }
  return [...batches.values()].every(({ header, digests }) => equal(batchRoot(digests.filter((each) => each !== undefined)), header.root));
}

/** The evidence under an accepted seal was accepted, so it decodes. */
function acceptedBatches(evidence: Uint8Array, from: number): Map<number, OpenBatch> {
  const batches = new Map<number, OpenBatch>();
  let offset = from;
  for (const { outcome, batch, receipts, span } of decodeEvidence(evidence)) {
    if (outcome === 'ACCEPTED' && batch !== null) {
      const header = decodeBatchHeader(batch.header);
      const digests = Array.from<Uint8Array | undefined>({ length: header.count });
      for (const { position, digest } of receipts) digests[position] = digest;
      batches.set(offset, { header, digests });
    }
    offset += span;
  }
  return batches;
}

/** The decoded link if it is a link of this event, else undefined. */
function linkOf(bytes: Uint8Array, event: Uint8Array): Link | undefined {
  try {
    const link = decodeLeaf(bytes);
    return link.kind === 'link' && isEventDigest(link.event, link.schema, event) && isOnStream(link.stream, bytes, event)
      ? link
      : undefined;
  } catch {
    return undefined;
  }
}

/** Whether link and event name the same stream. Avro writes its name the same way in both: after the branch of a link, and after the id of an event, in every event schema. */
function isOnStream(stream: string, link: Uint8Array, event: Uint8Array): boolean {
  const length = utf8(stream).length;
  const size = (length > SHORT_TEXT ? 2 : 1) + length;
  return equal(link.subarray(1, 1 + size), event.subarray(ID_BYTES, ID_BYTES + size));
}

function follows(link: Link, before: Link | undefined): boolean {
  if (before === undefined || before.inputOffset < link.inputOffset) return true;
  return before.inputOffset === link.inputOffset && before.position < link.position;
}
