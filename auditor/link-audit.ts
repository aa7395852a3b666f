import { dedupWindowStart } from '../core/acceptance/dedup-window.ts';
import { equal } from '../core/base/bytes.ts';
import type { Link } from '../core/formats/leaf.ts';
import { shardOf } from '../core/formats/shard.ts';
import type { PolicyInForce } from '../core/policy/policy-history.ts';
import type { Audit } from './audit.ts';
import type { AuditedBlock, AuditedLink } from './audited-block.ts';
import type { ProvenEvidence } from './block-proof.ts';
import type { ReplayedLog } from './replayed-log.ts';
import type { UniqueAudit } from './unique-audit.ts';

const ZEROS = new Uint8Array(32);

/** Checks the links of each block against the state: the chains of their streams, and that no identity was linked before. */
export class LinkAudit {
  readonly #audit: Audit;
  readonly #log: ReplayedLog;
  readonly #unique: UniqueAudit;
  links = 0;
  /** Links whose event retention removed. */
  retired = 0;
  /** Links whose event is missing without permission, and the first of them. */
  missing = 0;
  firstMissing: number | undefined;

  constructor(audit: Audit, log: ReplayedLog, unique: UniqueAudit) {
    this.#audit = audit;
    this.#log = log;
    this.#unique = unique;
  }

  /** Checks that each link follows the end of its stream, and extends the stream. `batches` says whose links they are, where the evidence is there. */
  checkStreams({ links, seal }: AuditedBlock, batches: ProvenEvidence['batches'] | undefined): void {
    this.links += links.length;
    for (const link of links) this.#checkStream(link, seal.acceptedAt, batches?.get(link.link.inputOffset)?.header.producer ?? '');
  }

  #checkStream({ link, hash, leaf }: AuditedLink, acceptedAt: number, producer: string): void {
    const { shard, shards, findings } = this.#audit;
    const end = this.#log.streams.get(link.stream);
    const next = end === undefined ? 0 : end.index + 1;
    const isOwn = shardOf(link.stream, shards) === shard;
    const follows = link.index === next && equal(link.previous, end?.hash ?? ZEROS);
    if (!isOwn || !follows || link.acceptedAt !== acceptedAt) {
      const place = { shard, leaf, stream: link.stream };
      if (!isOwn) findings.add('STREAM_SHARD', 'the stream belongs to another shard', place);
      if (link.index !== next) findings.add('STREAM_INDEX', `the link has position ${link.index}; the next one is ${next}`, place);
      if (!equal(link.previous, end?.hash ?? ZEROS))
        findings.add('STREAM_PREVIOUS', 'the link does not name the link before it in its stream', place);
      if (link.acceptedAt !== acceptedAt) findings.add('LINK_TIME', 'the link has another time than its block', place);
    }
    this.#log.extendStream(link.stream, { index: link.index, hash, logIndex: leaf, producer });
  }

  /** Takes the links of a block without evidence. */
  lose(links: readonly AuditedLink[]): void {
    for (const link of links) this.#unique.unknown(link);
  }

  /** Remembers the linked events, and follows each receipt to its original. */
  checkUnique(block: AuditedBlock, evidence: ProvenEvidence, policy: PolicyInForce): void {
    this.retired += evidence.retired;
    const missing = evidence.unknown.length - evidence.retired;
    if (missing > 0) this.firstMissing ??= evidence.unknown[0]?.leaf;
    this.missing += missing;
    for (const link of evidence.unknown) this.#unique.unknown(link);
    this.#takeLinks(block, evidence, policy);
    this.#checkOriginals(block, evidence);
  }

  #takeLinks({ links }: AuditedBlock, { heads, batches }: ProvenEvidence, { policy }: PolicyInForce): void {
    let offset = -1;
    let appendedAt = 0;
    let windowFrom = 0;
    let at = 0;
    for (const { link, leaf } of links) {
      const head = heads[at++];
      if (head === undefined) continue;
      if (link.inputOffset !== offset) {
        offset = link.inputOffset;
        appendedAt = batches.get(offset)?.appendedAt ?? 0;
        windowFrom = dedupWindowStart(appendedAt, policy, this.#log.head.windowFrom);
      }
      this.#unique.link({ stream: link.stream, id: head.id, digest: link.event, leaf, appendedAt }, windowFrom);
    }
  }

  /** An original is linked before its receipt: links and receipts of a block are in one order, that of the input. */
  #checkOriginals({ links, seal }: AuditedBlock, { inputs, refusedStreams }: ProvenEvidence): void {
    let passed = 0;
    let offset = seal.inputFrom;
    for (const { receipts, span } of inputs) {
      for (const receipt of receipts) {
        for (let link = links[passed]?.link; link !== undefined && isBefore(link, offset, receipt.position); link = links[++passed]?.link);
        this.#unique.receipt(receipt, offset, seal.firstIndex + passed, refusedStreams.get(receipt));
      }
      offset += span;
    }
  }
}

/** Whether a link comes before a place in the input. */
function isBefore(link: Link, offset: number, position: number): boolean {
  return link.inputOffset < offset || (link.inputOffset === offset && link.position < position);
}
