import { isSealedBody } from '../acceptance/block-body.ts';
import { unframe } from '../avro/framing.ts';
import { equal } from '../base/bytes.ts';
import { type Block, decodeBlock } from '../formats/block.ts';
import { decodeLeaf, type Seal } from '../formats/leaf.ts';
import { isRecord, type Log, type LogRecord, offsetAfter, TOPICS } from '../ports/log.ts';
import { leafHash } from '../tree/hash.ts';

const RECORDS_PER_READ = 32;
const READ_BYTES = RECORDS_PER_READ * 1_000_000;

/** An accepted block met on the way back. */
export interface WalkedBlock {
  readonly offset: number;
  readonly block: Block;
  readonly seal: Seal;
  readonly sealHash: Uint8Array;
}

/**
 * Walks the accepted chain of a shard back from the block at `offset` whose seal has leaf hash `sealHash`. Each seal names the seal before it and
 * covers the body of its block, so nothing that was appended outside the chain can slip in. Ends early if the log holds no more blocks;
 * `seal.firstIndex` tells the caller how far the walk came.
 */
export async function* walkBack(log: Log, shard: number, offset: number, sealHash: Uint8Array): AsyncGenerator<WalkedBlock> {
  let wanted = sealHash;
  let end = offset + 1;
  const { start } = await log.bounds(TOPICS.chain, shard);
  while (end > start) {
    const from = Math.max(start, end - RECORDS_PER_READ);
    for (const record of (await readRange(log, shard, from, end)).toReversed()) {
      const walked = takeApart(record);
      if (walked === undefined || !equal(walked.sealHash, wanted) || !isSealedBody(walked.block, walked.seal)) continue;
      yield walked;
      if (walked.seal.firstIndex === 0) return;
      wanted = walked.seal.previous;
    }
    end = from;
  }
}

/** The blocks at these offsets, in rising order, as far as the log still holds them. */
export async function* blocksAt(log: Log, shard: number, offsets: readonly number[]): AsyncGenerator<WalkedBlock> {
  const wanted = new Set(offsets);
  const end = (offsets.at(-1) ?? -1) + 1;
  for (let next = offsets[0] ?? 0; next < end; ) {
    const records = await log.read(TOPICS.chain, shard, next, { maxBytes: READ_BYTES, waitMs: 0 });
    const last = records.at(-1);
    if (last === undefined) return;
    for (const record of records.filter(isRecord)) {
      const walked = wanted.has(record.offset) ? takeApart(record) : undefined;
      if (walked !== undefined) yield walked;
    }
    next = offsetAfter(last);
  }
}

async function readRange(log: Log, shard: number, from: number, end: number): Promise<LogRecord[]> {
  const range: LogRecord[] = [];
  for (let next = from; next < end; ) {
    const records = await log.read(TOPICS.chain, shard, next, { maxBytes: READ_BYTES, waitMs: 0 });
    const last = records.at(-1);
    if (last === undefined) break;
    range.push(...records.filter(isRecord).filter((record) => record.offset < end));
    next = offsetAfter(last);
  }
  return range;
}

/** The block that a record carries, not judged; undefined where it carries none. */
export function takeApart(record: LogRecord): WalkedBlock | undefined {
  try {
    const block = decodeBlock(unframe(record.value).payload);
    const seal = decodeLeaf(block.seal);
    return seal.kind === 'seal' ? { offset: record.offset, block, seal, sealHash: leafHash(block.seal) } : undefined;
  } catch {
    return undefined;
  }
}
