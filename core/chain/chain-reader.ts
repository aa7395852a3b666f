import { type AcceptContext, type AcceptedBlock, accept } from '../acceptance/accept.ts';
import type { LogView } from '../acceptance/log-state.ts';
import { unframe } from '../avro/framing.ts';
import { equal } from '../base/bytes.ts';
import { LineproofError } from '../base/errors.ts';
import type { Failed } from '../base/hold.ts';
import { decodeBlock } from '../formats/block.ts';
import { type Log, type LogRecord, TOPICS } from '../ports/log.ts';
import { leafHash } from '../tree/hash.ts';

/** The policies and schemas for acceptance, with a way to obtain a missing one. */
export interface AcceptSources {
  context(): AcceptContext;
  /**
   * Resolves when the missing policy or schema is known. Waits as long as it takes, logs an error, and tells `failed` of each try. Throws CLOSED when
   * `signal` aborts.
   */
  obtain(missing: 'policy' | 'schema', digest: string, signal: AbortSignal, failed?: Failed): Promise<void>;
  /**
   * Reads `provenance.control` from where it was left to its end, as it is after this call, and says whether the policy is known then. Tries again while it
   * cannot be read, and tells `failed` of each try. Throws CLOSED when `signal` aborts.
   */
  findPolicy(digest: string, signal: AbortSignal, failed?: Failed): Promise<boolean>;
}

/**
 * Judges one record of the chain topic. Returns undefined if it is not the next block; every reader ignores such a record.
 * A chainer seals only under policies that it read from `provenance.control`, so a block whose policy is not there now, and that no chainer key that is
 * known signed, is not one: nobody waits for a policy because of somebody without a key.
 */
export async function judgeRecord(
  view: LogView,
  record: LogRecord,
  sources: AcceptSources,
  { signal, failed }: { readonly signal: AbortSignal; readonly failed?: Failed | undefined },
): Promise<AcceptedBlock | undefined> {
  for (;;) {
    const verdict = accept(view, record.value, sources.context());
    if (verdict.kind === 'accepted') return verdict;
    if (verdict.kind === 'refused') return undefined;
    if (verdict.kind === 'stop') {
      throw new LineproofError(
        'FORMAT_UNKNOWN',
        `cannot go on: the block at offset ${record.offset} is signed by a chainer key in a format that this version does not know; upgrade this process`,
        {
          shard: view.head.shard,
          offset: record.offset,
          rule: verdict.rule,
        },
      );
    }
    if (verdict.signed) await sources.obtain(verdict.missing, verdict.digest, signal, failed);
    else if (!(await sources.findPolicy(verdict.digest, signal, failed))) return undefined;
  }
}

/** The record at exactly `offset` of the shard's chain, or undefined if the log does not hold it yet, or no longer, or cannot be read there. */
export async function chainRecordAt(log: Log, shard: number, offset: number): Promise<LogRecord | undefined> {
  const [record] = await log.read(TOPICS.chain, shard, offset, { maxBytes: 1, waitMs: 0 });
  return record?.kind === 'record' && record.offset === offset ? record : undefined;
}

/** Whether `record` carries the block whose seal has this leaf hash. */
export function carriesSeal(record: LogRecord, seal: Uint8Array): boolean {
  try {
    return equal(leafHash(decodeBlock(unframe(record.value).payload).seal), seal);
  } catch {
    return false;
  }
}

/**
 * Checks that the log still holds, at `chainOffset`, the block that ends in `seal`, so that nobody reads on in a log that was set back or replaced.
 * If the record was trimmed, nothing can be checked, and the check passes. Throws LOG_BEHIND or LOG_DIVERGED.
 */
export async function checkLastBlock(log: Log, shard: number, chainOffset: number, seal: Uint8Array): Promise<void> {
  const { end } = await log.bounds(TOPICS.chain, shard);
  if (chainOffset >= end)
    throw new LineproofError(
      'LOG_BEHIND',
      `cannot go on: shard ${shard} of ${TOPICS.chain} ends at ${end}, before the block at offset ${chainOffset} that was read from it`,
      { shard, end, chainOffset },
    );
  const record = await chainRecordAt(log, shard, chainOffset);
  if (record !== undefined && carriesSeal(record, seal)) return;
  // Asked for after the read: the archiver may trim at any moment.
  if ((await log.bounds(TOPICS.chain, shard)).start > chainOffset) return;
  throw new LineproofError(
    'LOG_DIVERGED',
    `cannot go on: shard ${shard} of ${TOPICS.chain} holds another record at offset ${chainOffset} than the block that was read from it`,
    { shard, chainOffset },
  );
}
