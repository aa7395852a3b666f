import { LineproofError } from '../../core/base/errors.ts';
import { reasonName } from '../../core/base/reasons.ts';
import { type WalkedBlock, walkBack } from '../../core/chain/chain-walk.ts';
import type { Log } from '../../core/ports/log.ts';
import { proveInclusion } from '../../core/tree/build/proof.ts';
import { leafHash } from '../../core/tree/hash.ts';
import { checkInclusion } from '../../core/tree/proof.ts';
import { makeProof } from '../proof-maker.ts';
import { type BlockOutcome, foundBlock, linkedAt, outcomeOf, type SoughtEvent } from './block-outcome.ts';
import type { PublishedTree } from './noted-archive.ts';

/** A proof of an event that a published note covers. */
export interface AttestedEvent {
  /** The `.tlog-proof` file. */
  readonly proof: string;
  readonly shard: number;
  readonly leaf: number;
  /** Leaves that the note covers. */
  readonly size: number;
}

/** Blocks that claim to decide one event: one is of the log, and whoever can append to the topic can add others. */
const MAX_CANDIDATES = 64;

interface Candidate {
  readonly walked: WalkedBlock;
  readonly outcome: BlockOutcome;
}

/** An event that somebody waits for. Only the tail of its shard calls `see` and `settle`. */
export class AwaitedEvent {
  readonly sought: SoughtEvent;
  /** Canonical text of the event's schema. */
  readonly schema: string;
  #candidates: Candidate[] = [];

  constructor(sought: SoughtEvent, schema: string) {
    this.sought = sought;
    this.schema = schema;
  }

  /** Takes note of a block. */
  see(walked: WalkedBlock): void {
    const outcome = outcomeOf(walked, this.sought);
    if (outcome !== undefined && this.#candidates.length < MAX_CANDIDATES) this.#candidates.push({ walked, outcome });
  }

  /** Leaves that a note must cover, at least, before something is decided; undefined while no block decides anything. */
  get needs(): number | undefined {
    const sizes = this.#candidates.map(({ walked: { seal } }) => seal.firstIndex + seal.links + 1);
    return sizes.length === 0 ? undefined : Math.min(...sizes);
  }

  /** How far it came, for a message. */
  get progress(): string {
    const { needs } = this;
    return needs === undefined
      ? 'no block of the log decides about it yet'
      : `a block decides about it, and no note of ${needs} leaves is published yet`;
  }

  /** The proof, once the tree holds the block that decides. Throws EVENT_REFUSED with the reason where that block refuses it. */
  async settle(tree: PublishedTree, log: Log, shard: number): Promise<AttestedEvent | undefined> {
    const reached = this.#candidates.filter(({ walked: { seal } }) => seal.firstIndex + seal.links < tree.size);
    for (const candidate of reached) {
      if (await isIn(tree, candidate.walked)) return this.#decide(candidate, tree, { log, shard });
      this.#candidates = this.#candidates.filter((each) => each !== candidate);
    }
    return undefined;
  }

  async #decide(
    { walked, outcome }: Candidate,
    tree: PublishedTree,
    { log, shard }: { readonly log: Log; readonly shard: number },
  ): Promise<AttestedEvent> {
    if (outcome.kind === 'refused')
      throw refused(`its ${outcome.what} is REJECTED with ${nameOf(outcome.reason)}`, { reason: nameOf(outcome.reason) });
    if (outcome.kind === 'conflict')
      throw refused(`leaf ${outcome.original} is another event with this stream and id`, {
        reason: 'CONFLICT',
        original: outcome.original,
      });
    if (outcome.kind === 'linked') return this.#prove({ walked, outcome }, tree, shard);
    const original = await blockOf(log, shard, walked, outcome.original);
    const linked = original === undefined ? undefined : linkedAt(original, outcome.original);
    if (original !== undefined && linked?.kind === 'linked') return this.#prove({ walked: original, outcome: linked }, tree, shard);
    throw refused(`it is in the log already; lineproof prove --leaf ${shard}/${outcome.original} proves it`, {
      reason: 'DUPLICATE',
      original: outcome.original,
    });
  }

  async #prove({ walked, outcome }: Candidate, tree: PublishedTree, shard: number): Promise<AttestedEvent> {
    if (outcome.kind !== 'linked') throw new LineproofError('INTERNAL', 'cannot prove an event that is not linked');
    const { index, link, event } = outcome;
    const proof = await makeProof(tree, { index, link, block: foundBlock(walked), event, schema: this.schema });
    return { proof, shard, leaf: index, size: tree.size };
  }
}

async function isIn(tree: PublishedTree, { seal, block }: WalkedBlock): Promise<boolean> {
  const index = seal.firstIndex + seal.links;
  const path = await proveInclusion(tree.size, index, tree.readHash);
  return checkInclusion(path, tree.size, index, leafHash(block.seal), tree.checkpoint.root);
}

/** The block that holds leaf `index`, at `from` or before it; undefined where the log holds it no longer. */
async function blockOf(log: Log, shard: number, { offset, sealHash }: WalkedBlock, index: number): Promise<WalkedBlock | undefined> {
  for await (const walked of walkBack(log, shard, offset, sealHash)) if (walked.seal.firstIndex <= index) return walked;
  return undefined;
}

function nameOf(reason: number): string {
  return reasonName(reason) ?? String(reason);
}

function refused(fact: string, details: Readonly<Record<string, string | number>>): LineproofError {
  return new LineproofError('EVENT_REFUSED', `the event was not linked: ${fact}`, details);
}
