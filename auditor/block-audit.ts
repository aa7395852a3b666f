import { dedupWindowStart } from '../core/acceptance/dedup-window.ts';
import { toHex } from '../core/base/bytes.ts';
import type { PolicyInForce } from '../core/policy/policy-history.ts';
import type { Audit } from './audit.ts';
import type { AuditedBlock } from './audited-block.ts';
import { type ProvenEvidence, proveBlock } from './block-proof.ts';
import { InputAudit } from './input-audit.ts';
import type { LaneAudit } from './lane-audit.ts';
import { LinkAudit } from './link-audit.ts';
import { ReplayedLog } from './replayed-log.ts';
import { checkSeal } from './seal-audit.ts';
import { UniqueAudit } from './unique-audit.ts';

/** The items in a shard's blocks that were checked. */
export interface BlockCounts {
  readonly links: number;
  readonly blocks: number;
  readonly batches: number;
  readonly signatures: number;
  readonly offsets: number;
  readonly streams: number;
  readonly events: number;
  readonly retired: number;
  readonly duplicates: number;
  readonly conflicts: number;
  readonly repeats: number;
  readonly replays: number;
}

/** Folds the blocks of one shard, in order: each is proven alone, then compared with the state that the blocks before it give. */
export class BlockAudit {
  readonly #audit: Audit;
  readonly #unique: UniqueAudit;
  readonly #inputs: InputAudit;
  readonly #links: LinkAudit;
  readonly log = new ReplayedLog();
  #blocks = 0;
  /** Signatures over seals. */
  #signatures = 0;

  constructor(audit: Audit, lanesOfArchive: LaneAudit) {
    this.#audit = audit;
    this.#unique = new UniqueAudit(audit.shard, audit.findings);
    this.#inputs = new InputAudit(audit, this.log, lanesOfArchive, this.#unique);
    this.#links = new LinkAudit(audit, this.log, this.#unique);
  }

  /** Checks the next block and reports its faults. Gives the facts that its evidence proves. */
  check(block: AuditedBlock): ProvenEvidence | undefined {
    const { head } = this.log;
    const { history } = this.#audit.governance;
    const named = history.byDigest(toHex(block.seal.policy));
    // If a block's policy is missing, judge the block by the previous policy, so that one missing object does not fail every later block.
    const policy = named ?? history.byDigest(head.policy ?? '') ?? history.latest;
    const { findings, evidence } = proveBlock(block, this.#audit, policy, named);
    checkSeal(this.#audit, block, head, named);
    for (const each of findings) this.#audit.findings.take(each);
    this.#links.checkStreams(block);
    const appendedAt = evidence === undefined ? head.appendedAt : this.#inputs.check(block, evidence, policy);
    if (evidence !== undefined) this.#links.checkUnique(block, evidence, policy);
    this.#blocks += 1;
    if (named !== undefined && block.evidence !== undefined) this.#signatures += 1;
    this.#endBlock(block, appendedAt, policy, named);
    return evidence;
  }

  #endBlock({ seal, sealHash, sealLeaf }: AuditedBlock, appendedAt: number, policy: PolicyInForce, named: PolicyInForce | undefined): void {
    const { head } = this.log;
    const next = {
      nextIndex: sealLeaf + 1,
      seal: sealHash,
      inputGeneration: seal.inputGeneration,
      inputTo: seal.inputTo,
      appendedAt,
      acceptedAt: seal.acceptedAt,
      policy: named?.hex ?? head.policy,
      windowFrom: named === undefined ? head.windowFrom : dedupWindowStart(appendedAt, named.policy, head.windowFrom),
      final: seal.final,
    };
    this.log.endBlock(next, appendedAt - policy.policy.laneRetentionMs * 1000);
  }

  counts(): BlockCounts {
    const { events, duplicates, conflicts, repeats, replays } = this.#unique;
    const { batches, offsets } = this.#inputs;
    const { links, retired } = this.#links;
    return {
      links,
      blocks: this.#blocks,
      batches,
      signatures: this.#signatures + this.#inputs.signatures,
      offsets,
      streams: this.log.streams.size,
      events,
      retired,
      duplicates,
      conflicts,
      repeats,
      replays,
    };
  }
}
