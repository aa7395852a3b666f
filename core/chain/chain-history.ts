import type { AcceptedBlock } from '../acceptance/accept.ts';
import { toHex } from '../base/bytes.ts';
import { hasCode, LineproofError } from '../base/errors.ts';
import type { EventHead } from '../formats/event-schema.ts';
import { decodeEvidence, type EvidenceInput } from '../formats/evidence.ts';
import { decodeLeaf } from '../formats/leaf.ts';
import { type Log, TOPICS } from '../ports/log.ts';
import { type WalkedBlock, walkBack } from './chain-walk.ts';
import { ChainFollower } from './follower.ts';
import type { Sources } from './governance-source.ts';
import type { RecoveryPoint } from './recovery-point.ts';

const READ_BYTES = 8 * 1024 * 1024;

/** A visitor of the content of a shard's log; it is called in no particular order. */
export interface PastVisitor {
  /** The outcome of one input message, or of several offsets without one. */
  input(generation: number, offset: number, input: EvidenceInput): void;
  /** `head` is undefined if the event's schema is not known. */
  link(digest: Uint8Array, head: EventHead | undefined): void;
}

export interface PastOptions {
  readonly log: Log;
  readonly sources: Sources;
  readonly shard: number;
  /** The archive's newest snapshot; called if the chain topic no longer begins at the log's start. */
  snapshot(): Promise<RecoveryPoint | undefined>;
}

/**
 * Shows `visitor` the accepted blocks that the chain topic still holds. From the newest snapshot, or from the log's start, it reads forwards and judges by
 * the acceptance function; then it walks back from the snapshot by the seals. Returns the index of a leaf: all blocks from there on were shown.
 * Throws LOG_BEHIND or LOG_DIVERGED if topic and snapshot contradict each other, CHAIN_TRIMMED if no snapshot reaches to the start of the topic,
 * UNAVAILABLE if the topic is trimmed meanwhile, CLOSED when `signal` aborts.
 */
export async function visitChain(options: PastOptions, visitor: PastVisitor, signal: AbortSignal): Promise<number> {
  const { log, sources, shard } = options;
  const { origin, shards } = sources.policies.latest.policy;
  const { start } = await log.bounds(TOPICS.chain, shard);
  const point = start === 0 ? undefined : await options.snapshot();
  const chain = new ChainFollower({ origin, shard, shards, log, sources, clock: sources.clock });
  chain.resume(point);
  if (chain.readPos < start)
    throw new LineproofError(
      'CHAIN_TRIMMED',
      `cannot read the chain: shard ${shard} of ${TOPICS.chain} starts at ${start}, and no snapshot of the archive reaches that far`,
      { shard, start },
    );
  await showForwards(chain, shard, visitor, signal);
  let from = point?.head.size ?? 0;
  if (point === undefined) return from;
  for await (const walked of walkBack(log, shard, point.chainOffset, point.head.seal)) {
    mustGoOn(signal, shard);
    showWalked(walked, sources, visitor);
    from = walked.seal.firstIndex;
  }
  return from;
}

async function showForwards(chain: ChainFollower, shard: number, visitor: PastVisitor, signal: AbortSignal): Promise<void> {
  try {
    for await (const { accepted } of chain.readToEnd(READ_BYTES, signal)) {
      mustGoOn(signal, shard);
      showAccepted(accepted, visitor);
    }
  } catch (error) {
    if (!hasCode(error, 'CHAIN_TRIMMED')) throw error;
    // Part of the history was shown already, so this try cannot go on. A new try starts from the snapshot up to which the archiver trimmed.
    const fact = `shard ${shard} of ${TOPICS.chain} was trimmed past offset ${chain.readPos} while it was read; try again`;
    throw new LineproofError('UNAVAILABLE', `cannot read the chain: ${fact}`, { shard, offset: chain.readPos }, error);
  }
  mustGoOn(signal, shard);
}

/** Throws CLOSED once the signal aborts. Reading a history takes long, and the work that depends on it must then not start. */
export function mustGoOn(signal: AbortSignal, shard: number): void {
  if (signal.aborted) throw new LineproofError('CLOSED', `stopped while looking at the history of shard ${shard}`, { shard });
}

function showAccepted({ seal, inputs, links, heads }: AcceptedBlock, visitor: PastVisitor): void {
  showInputs(seal.inputGeneration, seal.inputFrom, inputs, visitor);
  for (const [i, link] of links.entries()) visitor.link(link.event, heads[i]);
}

/** Shows a block that was accepted; nothing in it needs to be judged again. */
function showWalked({ block, seal }: WalkedBlock, sources: Sources, visitor: PastVisitor): void {
  showInputs(seal.inputGeneration, seal.inputFrom, decodeEvidence(block.evidence), visitor);
  for (const [i, bytes] of block.links.entries()) {
    const link = decodeLeaf(bytes);
    if (link.kind === 'link') visitor.link(link.event, sources.eventSchema(toHex(link.schema))?.readHead(block.events[i] as Uint8Array));
  }
}

/** Shows the inputs of evidence that begins at `from`; returns the offset after them. */
export function showInputs(generation: number, from: number, inputs: readonly EvidenceInput[], visitor: PastVisitor): number {
  let offset = from;
  for (const input of inputs) {
    visitor.input(generation, offset, input);
    offset += input.span;
  }
  return offset;
}
