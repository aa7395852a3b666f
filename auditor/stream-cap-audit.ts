import { toHex } from '../core/base/bytes.ts';
import { REASON_TRAITS, REASONS } from '../core/base/reasons.ts';
import { Tally } from '../core/base/tally.ts';
import type { Audit } from './audit.ts';
import type { AuditedBlock, AuditedLink } from './audited-block.ts';
import type { ProvenEvidence } from './block-proof.ts';
import type { ProvenBatch } from './proven-batch.ts';
import type { ReplayedLog } from './replayed-log.ts';

const REASON = 'STREAM_CAP';

/**
 * Checks the streams that a block begins against the caps of its policy, with the state before the block, in the order of the input: no link begins a stream
 * beyond the cap of its producer, and an event was refused for the cap only where it would have done so.
 */
export function checkStreamCaps(audit: Audit, log: ReplayedLog, { links }: AuditedBlock, evidence: ProvenEvidence): void {
  const caps = new StreamCaps(audit, log, evidence);
  const own = new Map<number, AuditedLink[]>();
  for (const audited of links) {
    const { inputOffset } = audited.link;
    const before = own.get(inputOffset);
    if (before === undefined) own.set(inputOffset, [audited]);
    else before.push(audited);
  }
  for (const [offset, batch] of evidence.batches) caps.checkBatch(batch, own.get(offset) ?? []);
}

class StreamCaps {
  readonly #audit: Audit;
  readonly #log: ReplayedLog;
  readonly #evidence: ProvenEvidence;
  /** Streams that the block has begun so far, and how many of them each producer. */
  readonly #begun = new Set<string>();
  readonly #begunBy = new Tally();

  constructor(audit: Audit, log: ReplayedLog, evidence: ProvenEvidence) {
    this.#audit = audit;
    this.#log = log;
    this.#evidence = evidence;
  }

  /** Links and refused events of a batch, by their positions. */
  checkBatch(batch: ProvenBatch, links: readonly AuditedLink[]): void {
    const capped = batch.receipts.filter(({ reason }) => reason === REASONS.STREAM_CAP);
    let next = 0;
    for (const link of links) {
      for (; (capped[next]?.position ?? Infinity) < link.link.position; next++)
        this.#checkRefused(batch, capped[next] as (typeof capped)[0]);
      this.#checkLink(batch, link);
    }
    for (; next < capped.length; next++) this.#checkRefused(batch, capped[next] as (typeof capped)[0]);
  }

  #checkLink(batch: ProvenBatch, { link: { stream }, leaf }: AuditedLink): void {
    if (this.#isThere(stream)) return;
    const { producer } = batch.header;
    if (this.#isFull(batch)) {
      const message = `the event had to be rejected: ${REASON}, since ${producer} had begun as many streams as its key may`;
      const place = { shard: this.#audit.shard, leaf, stream };
      this.#audit.findings.add('EVENT_UNACCEPTABLE', message, place, { property: REASON_TRAITS[REASON].breaks });
    }
    this.#begun.add(stream);
    this.#begunBy.add(producer, 1);
  }

  #checkRefused(batch: ProvenBatch, receipt: ProvenBatch['receipts'][0]): void {
    const stream = this.#evidence.refusedStreams.get(receipt);
    // Nothing is said of an event that retention removed, nor of one of a batch that had to be rejected.
    if (stream === undefined || batch.proven === undefined) return;
    const isRight = !this.#isThere(stream) && this.#isFull(batch);
    if (isRight) return;
    const id = receipt.id === null ? 'null' : toHex(receipt.id);
    const message = `the receipt at position ${receipt.position} of the batch states REJECTED ${REASON} under the id ${id}; its producer could go on with the stream, or begin it`;
    this.#audit.findings.add('RECEIPT_REASON', message, { shard: this.#audit.shard, offset: batch.offset });
  }

  #isThere(stream: string): boolean {
    return this.#begun.has(stream) || this.#log.streams.has(stream);
  }

  #isFull({ header: { producer }, proven }: ProvenBatch): boolean {
    return proven !== undefined && this.#log.streamsOf(producer) + this.#begunBy.of(producer) >= proven.producer.entry.maxStreams;
  }
}
