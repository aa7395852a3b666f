import { dedupWindowStart } from '../core/acceptance/dedup-window.ts';
import { toHex } from '../core/base/bytes.ts';
import type { PolicyInForce } from '../core/policy/policy-history.ts';
import type { AcrossShards } from './across-shards.ts';
import type { Audit } from './audit.ts';
import type { AuditedBlock } from './audited-block.ts';
import { type ProvenEvidence, proveBlock } from './block-proof.ts';
import { InputAudit } from './input-audit.ts';
import { LinkAudit } from './link-audit.ts';
import { PROVEN_BY_EVENTS, PROVEN_BY_EVIDENCE } from './property.ts';
import { ReplayedLog } from './replayed-log.ts';
import { checkSeal } from './seal-audit.ts';
import { checkStreamCaps } from './stream-cap-audit.ts';
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

  constructor(audit: Audit, across: AcrossShards) {
    this.#audit = audit;
    this.#unique = new UniqueAudit(audit.shard, audit.findings);
    this.#inputs = new InputAudit(audit, this.log, across, this.#unique);
    this.#links = new LinkAudit(audit, this.log, this.#unique);
  }

  /** Checks the next block and reports its faults. Gives the facts that its evidence proves. */
  check(block: AuditedBlock): ProvenEvidence | undefined {
    const { head } = this.log;
    const { history } = this.#audit.governance;
    const named = history.byDigest(toHex(block.seal.policy));
    checkSeal(this.#audit, block, head, named);
    // Without its policy a block cannot be judged. No other policy stands in: it would accuse keys that the missing one permits.
    const evidence = named === undefined ? undefined : this.#prove(block, named);
    if (evidence !== undefined && this.log.isWhole) checkStreamCaps(this.#audit, this.log, block, evidence);
    this.#links.checkStreams(block, evidence?.batches);
    const appendedAt = named === undefined || evidence === undefined ? head.appendedAt : this.#inputs.check(block, evidence, named);
    if (named !== undefined && evidence !== undefined) this.#links.checkUnique(block, evidence, named);
    else this.#lose(block);
    this.#blocks += 1;
    this.#endBlock(block, appendedAt, named);
    return evidence;
  }

  #prove(block: AuditedBlock, policy: PolicyInForce): ProvenEvidence | undefined {
    const { findings, evidence } = proveBlock(block, this.#audit, policy);
    for (const each of findings) this.#audit.findings.take(each);
    if (block.evidence !== undefined) this.#signatures += 1;
    return evidence;
  }

  #lose({ links, sealLeaf }: AuditedBlock): void {
    this.log.lose(sealLeaf);
    this.#links.lose(links);
  }

  #endBlock({ seal, sealHash, sealLeaf }: AuditedBlock, appendedAt: number, named: PolicyInForce | undefined): void {
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
    this.log.endBlock(next, named === undefined ? 0 : appendedAt - named.policy.laneRetentionMs * 1000);
  }

  /** Reports what stays open, and each property that something missing leaves unshown. Blocks from leaf `archived` on are in no segment yet: they have no evidence. */
  finish(archived: number): void {
    const { findings, shard } = this.#audit;
    const { lostFrom } = this.log;
    // Missing evidence may hold what is looked for.
    if (lostFrom === undefined || lostFrom >= archived) this.#inputs.finish();
    else {
      const message = 'the evidence or the policy of a block is missing or cannot be used, so that this is not shown from there on';
      for (const property of PROVEN_BY_EVIDENCE) findings.add('UNSHOWN', message, { shard, leaf: lostFrom }, { property });
    }
    const { missing, firstMissing } = this.#links;
    if (missing === 0) return;
    const message = `${missing} events are missing, so that this is not shown for them`;
    for (const property of PROVEN_BY_EVENTS) findings.add('UNSHOWN', message, { shard, leaf: firstMissing as number }, { property });
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
