import { sha256 } from '#crypto';
import { unframe } from '../core/avro/framing.ts';
import { equal } from '../core/base/bytes.ts';
import { LineproofError } from '../core/base/errors.ts';
import { walkBack } from '../core/chain/chain-walk.ts';
import type { ChainFollower } from '../core/chain/follower.ts';
import { decodeSignedBatch } from '../core/formats/batch.ts';
import { decodeEvidence, type EvidenceInput } from '../core/formats/evidence.ts';
import { type Log, type LogEntry, TOPICS } from '../core/ports/log.ts';

/**
 * Checks that the input log still holds the last message that the chain consumed from it, at the same offset. So an input topic that was
 * recreated without a new generation is not read. Throws LOG_BEHIND or LOG_DIVERGED.
 */
export async function checkLastInput(log: Log, chain: ChainFollower): Promise<void> {
  const { shard, inputTo } = chain.state.head;
  const { end } = await log.bounds(TOPICS.events, shard);
  mustReach(shard, end, inputTo);
  const last = await lastInput(log, chain);
  if (last === undefined || last.outcome === 'EMPTY') return;
  const [record] = await log.read(TOPICS.events, shard, inputTo - 1, { maxBytes: 1, waitMs: 0 });
  if (record?.offset === inputTo - 1 && isThatInput(record, last)) return;
  // Asked for after the read: the archiver may trim at any moment.
  if ((await log.bounds(TOPICS.events, shard)).start >= inputTo) return;
  throw new LineproofError(
    'LOG_DIVERGED',
    `cannot go on: shard ${shard} of ${TOPICS.events} holds another message at offset ${inputTo - 1} than the one that was consumed; name a new input generation in the policy if the topic was recreated on purpose`,
    { shard, offset: inputTo - 1 },
  );
}

/** Throws LOG_BEHIND if the input log ends before the consumed offset. */
export function mustReach(shard: number, end: number, inputTo: number): void {
  if (inputTo <= end) return;
  throw new LineproofError(
    'LOG_BEHIND',
    `cannot go on: shard ${shard} of ${TOPICS.events} ends at ${end}, before offset ${inputTo} up to which it was consumed`,
    { shard, end, inputTo },
  );
}

/** The evidence of the input that was consumed last, if it is of the head's input generation and the chain topic still holds its block. */
async function lastInput(log: Log, { chainOffset, state: { head } }: ChainFollower): Promise<EvidenceInput | undefined> {
  if (chainOffset < 0) return undefined;
  for await (const { block, seal } of walkBack(log, head.shard, chainOffset, head.seal)) {
    if (seal.inputGeneration !== head.inputGeneration) return undefined;
    const last = decodeEvidence(block.evidence).at(-1);
    if (last !== undefined) return last;
  }
  return undefined;
}

/** The evidence of unreadable records has their digest as the message. */
function isThatInput(entry: LogEntry, input: EvidenceInput): boolean {
  if (input.message !== null) return equal(entry.kind === 'record' ? sha256(entry.value) : entry.digest, input.message);
  if (entry.kind === 'unreadable') return false;
  try {
    return input.batch !== null && equal(decodeSignedBatch(unframe(entry.value).payload).header, input.batch.header);
  } catch {
    return false;
  }
}
