import { unframe } from '../core/avro/framing.ts';
import { toHex } from '../core/base/bytes.ts';
import { decodeBlock } from '../core/formats/block.ts';
import { decodeEvidence } from '../core/formats/evidence.ts';
import { decodeLeaf, type Seal } from '../core/formats/leaf.ts';
import { type Log, type LogEntry, type LogRecord, offsetAfter, TOPICS } from '../core/ports/log.ts';
import { leafHash } from '../core/tree/hash.ts';

/** Several times the blocks that one chainer keeps in flight: blocks that lost a race are never most of them. */
const LAST_RECORDS = 32;
const READ_BYTES = 16 * 1024 * 1024;

/** The end of a shard's chain. */
export interface ChainEnd {
  /** Leaves up to the last block; 0 if there is none. */
  readonly size: number;
  /** Time of the newest block that ends within the given number of leaves; undefined if no such block was read. */
  readonly coveredAt: number | undefined;
  /** Where the input of the last block ended; undefined if there is none. */
  readonly input: { readonly generation: number; readonly to: number } | undefined;
  /** Times of the last block, microseconds since 1970: when it was made, and when the input log took its last input; undefined if there is none. */
  readonly times: { readonly acceptedAt: number; readonly appendedAt: number } | undefined;
}

interface End {
  readonly input: { readonly generation: number; readonly to: number };
  readonly size: number;
  readonly acceptedAt: number;
  /** Undefined for a block without input. */
  readonly appendedAt: number | undefined;
}

/**
 * The end of a shard's chain, from the last records of its topic alone, for display: nothing is verified. A block continues the chain if its seal names
 * the block before. Of several that name the same block the first counts, as for every reader. If the records begin in the middle of the chain, the longest run counts.
 */
export async function chainEnd(log: Log, shard: number, attested: number): Promise<ChainEnd> {
  const { start, end } = await log.bounds(TOPICS.chain, shard);
  const runs: End[][] = [];
  /** The run that a block can continue; none if another block continued it before, or if the previous block lost a race. */
  const tips = new Map<string, End[] | undefined>();
  for await (const seal of seals(log, shard, Math.max(start, end - LAST_RECORDS), end)) {
    // A block whose append was repeated is there twice.
    if (tips.has(seal.hash)) continue;
    const before = toHex(seal.previous);
    const run = tips.has(before) ? tips.get(before) : [];
    tips.set(before, undefined);
    tips.set(seal.hash, run);
    if (run?.length === 0) runs.push(run);
    const input = { generation: seal.inputGeneration, to: seal.inputTo };
    run?.push({ input, size: seal.firstIndex + seal.links + 1, acceptedAt: seal.acceptedAt, appendedAt: seal.appendedAt });
  }
  const longest = runs.reduce<readonly End[]>((most, run) => (run.length > most.length ? run : most), []);
  const covered = longest.findLast(({ size }) => size <= attested);
  const last = longest.at(-1);
  return { size: last?.size ?? 0, coveredAt: covered?.acceptedAt, input: last?.input, times: last && timesOf(last, longest) };
}

/** A block without input has the time of the input before it; 0 where the records that were read hold none. */
function timesOf({ acceptedAt }: End, run: readonly End[]): ChainEnd['times'] {
  return { acceptedAt, appendedAt: run.findLast(({ appendedAt }) => appendedAt !== undefined)?.appendedAt ?? 0 };
}

interface FoundSeal extends Seal {
  readonly hash: string;
  readonly appendedAt: number | undefined;
}

async function* seals(log: Log, shard: number, from: number, end: number): AsyncGenerator<FoundSeal> {
  for (let offset = from; offset < end; ) {
    const records = await log.read(TOPICS.chain, shard, offset, { maxBytes: READ_BYTES, waitMs: 0 });
    if (records.length === 0) return;
    for (const record of records) {
      const seal = record.kind === 'record' ? sealOf(record) : undefined;
      if (seal !== undefined) yield seal;
    }
    offset = offsetAfter(records.at(-1) as LogEntry);
  }
}

function sealOf({ value }: LogRecord): FoundSeal | undefined {
  try {
    const { seal, evidence } = decodeBlock(unframe(value).payload);
    const leaf = decodeLeaf(seal);
    return leaf.kind === 'seal'
      ? { ...leaf, hash: toHex(leafHash(seal)), appendedAt: decodeEvidence(evidence).at(-1)?.appendedAt }
      : undefined;
  } catch {
    return undefined;
  }
}
