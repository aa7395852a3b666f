import { setTimeout as sleep } from 'node:timers/promises';
import { unframe } from '../core/avro/framing.ts';
import { LineproofError } from '../core/base/errors.ts';
import { decodeBlock } from '../core/formats/block.ts';
import { decodeLeaf, type Seal } from '../core/formats/leaf.ts';
import { type Log, type LogEntry, TOPICS } from '../core/ports/log.ts';

const READ_BYTES = 4 * 1024 * 1024;
const WAIT_MS = 250;
const POLL_MS = 25;

/** The end of a shard's log, as its last block states it. */
interface ChainEnd {
  /** Leaves of the log. */
  readonly size: number;
  /** First offset of the shard's input that is in no block. */
  readonly inputTo: number;
}

/** Reads the end of a shard's chain, which only one process writes. */
export async function chainEnd(log: Log, shard: number): Promise<ChainEnd> {
  const { start, end } = await log.bounds(TOPICS.chain, shard);
  if (start === end) return { size: 0, inputTo: 0 };
  const record = (await log.read(TOPICS.chain, shard, end - 1, { maxBytes: 1, waitMs: 0 })).at(-1);
  // The record was trimmed between the two calls: the next call finds a later one.
  if (record === undefined) return { size: 0, inputTo: 0 };
  const { firstIndex, links, inputTo } = sealOf(record);
  return { size: firstIndex + links + 1, inputTo };
}

/** Resolves with the sizes of the shards when everything that the input topic holds now is in blocks. `check` throws when nobody works on it any more. */
export async function inputChained(log: Log, shards: number, check: () => void): Promise<readonly number[]> {
  const sizes: number[] = [];
  for (let shard = 0; shard < shards; shard++) {
    const { end } = await log.bounds(TOPICS.events, shard);
    for (;;) {
      check();
      const at = await chainEnd(log, shard);
      sizes[shard] = at.size;
      if (at.inputTo >= end) break;
      await sleep(POLL_MS);
    }
  }
  return sizes;
}

/** Follows the chain topic of all shards while it grows, and counts the links up to each size. */
export class ChainTail {
  readonly #log: Log;
  readonly #stop = new AbortController();
  readonly #blocks: { size: number; links: number }[][];
  readonly #work: Promise<void>[];

  constructor(log: Log, shards: number) {
    this.#log = log;
    this.#blocks = Array.from({ length: shards }, () => []);
    this.#work = this.#blocks.map((blocks, shard) => this.#follow(shard, blocks));
    // `close` reports a failure.
    for (const work of this.#work) work.catch(() => undefined);
  }

  async #follow(shard: number, blocks: { size: number; links: number }[]): Promise<void> {
    const { signal } = this.#stop;
    let [offset, links] = [0, 0];
    while (!signal.aborted) {
      for (const record of await this.#log.read(TOPICS.chain, shard, offset, { maxBytes: READ_BYTES, waitMs: WAIT_MS, signal })) {
        const seal = sealOf(record);
        if (seal.firstIndex !== (blocks.at(-1)?.size ?? 0))
          throw new LineproofError('INTERNAL', `cannot follow shard ${shard}: its chain was trimmed before it was read`);
        offset = record.offset + 1;
        links += seal.links;
        blocks.push({ size: seal.firstIndex + seal.links + 1, links });
      }
    }
  }

  /** Links among the first `size` leaves of a shard. */
  linksAt(shard: number, size: number): number {
    return this.#blocks[shard]?.findLast((block) => block.size <= size)?.links ?? 0;
  }

  /** Rejects with the error that ended the following. */
  async close(): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#work);
  }
}

function sealOf(record: LogEntry): Seal {
  if (record.kind === 'unreadable') throw new LineproofError('INTERNAL', 'cannot read the chain: a record batch cannot be read');
  const leaf = decodeLeaf(decodeBlock(unframe(record.value).payload).seal);
  if (leaf.kind !== 'seal') throw new LineproofError('INTERNAL', 'cannot read the chain: a block does not end in a seal');
  return leaf;
}
