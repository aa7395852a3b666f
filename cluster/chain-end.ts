import { unframe } from '../core/avro/framing.ts';
import { toHex } from '../core/base/bytes.ts';
import { decodeBlock } from '../core/formats/block.ts';
import { decodeLeaf, type Seal } from '../core/formats/leaf.ts';
import { type Log, type LogRecord, TOPICS } from '../core/ports/log.ts';
import { leafHash } from '../core/tree/hash.ts';

/** Several times the blocks that one chainer keeps in flight: what was beaten is never most of them. */
const LAST_RECORDS = 32;
const READ_BYTES = 16 * 1024 * 1024;

/** Where the chain of a shard ends. */
export interface ChainEnd {
  /** Leaves up to the last block; 0 where there is none. */
  readonly size: number;
  /** When the newest block was made that ends within so many leaves as were asked for; undefined where no such block was looked at. */
  readonly coveredAt: number | undefined;
}

interface End {
  readonly size: number;
  readonly acceptedAt: number;
}

/**
 * The end of a shard's chain by the last records of its topic alone, for who looks on: nothing is verified. A block goes on with the chain when its seal names
 * the block before, and of several that name the same one the first counts, as for every reader. Where the records begin amid the chain, the longest run is it.
 */
export async function chainEnd(log: Log, shard: number, attested: number): Promise<ChainEnd> {
  const { start, end } = await log.bounds(TOPICS.chain, shard);
  const runs: End[][] = [];
  /** The run that goes on behind a block; none where one has already, or where the block was beaten. */
  const tips = new Map<string, End[] | undefined>();
  for await (const seal of seals(log, shard, Math.max(start, end - LAST_RECORDS), end)) {
    // A block whose append was repeated stands there twice.
    if (tips.has(seal.hash)) continue;
    const before = toHex(seal.previous);
    const run = tips.has(before) ? tips.get(before) : [];
    tips.set(before, undefined);
    tips.set(seal.hash, run);
    if (run?.length === 0) runs.push(run);
    run?.push({ size: seal.firstIndex + seal.links + 1, acceptedAt: seal.acceptedAt });
  }
  const longest = runs.reduce<readonly End[]>((most, run) => (run.length > most.length ? run : most), []);
  const covered = longest.findLast(({ size }) => size <= attested);
  return { size: longest.at(-1)?.size ?? 0, coveredAt: covered?.acceptedAt };
}

async function* seals(log: Log, shard: number, from: number, end: number): AsyncGenerator<Seal & { readonly hash: string }> {
  for (let offset = from; offset < end; ) {
    const records = await log.read(TOPICS.chain, shard, offset, { maxBytes: READ_BYTES, waitMs: 0 });
    if (records.length === 0) return;
    for (const record of records) {
      const seal = sealOf(record);
      if (seal !== undefined) yield seal;
    }
    offset = (records.at(-1) as LogRecord).offset + 1;
  }
}

function sealOf({ value }: LogRecord): (Seal & { readonly hash: string }) | undefined {
  try {
    const { seal } = decodeBlock(unframe(value).payload);
    const leaf = decodeLeaf(seal);
    return leaf.kind === 'seal' ? { ...leaf, hash: toHex(leafHash(seal)) } : undefined;
  } catch {
    return undefined;
  }
}
