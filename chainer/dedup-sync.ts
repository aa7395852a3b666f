import { randomBytes } from '#crypto';
import { headWindowStart } from '../core/acceptance/dedup-window.ts';
import { fromHex, toHex } from '../core/base/bytes.ts';
import { LineproofError } from '../core/base/errors.ts';
import { LOG } from '../core/base/log-lines.ts';
import { carriesSeal, chainRecordAt } from '../core/chain/chain-reader.ts';
import { blocksAt, type WalkedBlock } from '../core/chain/chain-walk.ts';
import type { ChainFollower } from '../core/chain/follower.ts';
import type { Sources } from '../core/chain/governance-source.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { DedupHit, DedupIndex, Watermark, WindowAnswer, WindowCall } from '../core/ports/dedup-index.ts';
import { type Log, TOPICS } from '../core/ports/log.ts';
import type { Logger } from '../core/ports/logger.ts';
import { type BlockIdentities, blockIdentities, firstSlot, isAt, watermarkOf } from './block-identities.ts';
import type { Flights } from './flights.ts';
import { type Known, keyText } from './order.ts';
import type { ShardRetry } from './shard-retry.ts';
import { windowBlocks } from './window-walk.ts';

export interface DedupSettings {
  /** Identities of accepted blocks are written to the index once this many wait: to write many at once costs half as much … */
  readonly confirmIdentities: number;
  /** … or at the first look-up this long after the last write. After a restart, the blocks whose identities were not written are walked again. */
  readonly confirmIntervalMs: number;
}

export interface DedupSyncOptions {
  readonly shard: number;
  readonly log: Log;
  readonly dedup: DedupIndex;
  readonly sources: Pick<Sources, 'policies'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly settings: DedupSettings;
}

/** The parts of the sequencer that the index is compared with. */
export interface DedupNeighbours {
  readonly chain: ChainFollower;
  readonly flights: Flights;
  readonly retry: ShardRetry;
  /** Judges the chain up to its present end. */
  readonly tail: (signal: AbortSignal) => Promise<void>;
}

type AtWatermark = Extract<Watermark, { kind: 'at' }>;

/**
 * Keeps the dedup index in step with the chain, and looks identities up in it: the part of docs/sequencer.md from the look-up of ORDER to REBUILD.
 * Its three fields change only here: `pending` grows when the sequencer notes an accepted block; all other changes are made by look-ups and by `reset`.
 */
export class DedupSync {
  readonly #o: DedupSyncOptions;
  readonly #near: DedupNeighbours;
  /** Accepted blocks whose identities are not confirmed in the index, oldest first. */
  #pending: BlockIdentities[] = [];
  /** The watermark that we expect the index to have; undefined after a recovery. */
  #watermark: Watermark | undefined;
  #confirmedMs = 0;

  constructor(options: DedupSyncOptions, neighbours: DedupNeighbours) {
    this.#o = options;
    this.#near = neighbours;
  }

  /** Forgets the pending blocks and the index's watermark: the next look-up compares the index with the chain. */
  reset(): void {
    this.#pending = [];
    this.#watermark = undefined;
  }

  /** Remembers the identities of a block that was just accepted. */
  remember(identities: BlockIdentities): void {
    this.#pending.push(identities);
  }

  /**
   * Looks `keys` up among all that was linked before the next block. If enough identities are pending, the same call writes them to the index:
   * this is their COMMIT POINT. Returns undefined if the watermark did not match: then the caller starts over.
   */
  async lookup(keys: readonly Uint8Array[], signal: AbortSignal): Promise<Known | undefined> {
    const { shard, dedup, sources } = this.#o;
    const { chain, flights, retry } = this.#near;
    const expect = this.#watermark;
    if (expect === undefined) {
      const stored = await retry(signal, () => dedup.watermark(shard));
      await this.#resync(stored, signal);
      return undefined;
    }
    const confirms = this.#confirmDue();
    const confirmed = confirms ? this.#pending : [];
    const next = confirmed.at(-1)?.watermark ?? expect;
    const add = confirmed.flatMap(({ entries }) => entries);
    const dropBelowSlot = firstSlot(headWindowStart(chain.state.head, sources.policies));
    const answer = await this.#call({ shard, expect, next, add, dropBelowSlot, wipe: false, lookup: keys }, signal);
    if (!answer.ok) {
      await this.#resync(answer.watermark, signal);
      return undefined;
    }
    this.#watermark = next;
    if (confirms) {
      this.#pending = [];
      this.#confirmedMs = this.#o.clock.monotonicMs();
    }
    return known(keys, answer.hits, [...flights.identities, ...this.#pending], dropBelowSlot);
  }

  #confirmDue(): boolean {
    const { clock, settings } = this.#o;
    if (this.#pending.length === 0) return false;
    const waiting = this.#pending.reduce((sum, { entries }) => sum + entries.length, 0);
    return waiting >= settings.confirmIdentities || clock.monotonicMs() - this.#confirmedMs >= settings.confirmIntervalMs;
  }

  /** One call of the index, sent again unchanged until there is an answer. */
  #call(call: WindowCall, signal: AbortSignal): Promise<WindowAnswer> {
    return this.#near.retry(signal, () => this.#o.dedup.window(call));
  }

  /** RESYNC: finds out how the index's watermark relates to our chain. */
  async #resync(stored: Watermark, signal: AbortSignal): Promise<void> {
    const { chain, tail } = this.#near;
    if (stored.kind === 'at' && stored.size > chain.state.head.size) await tail(signal);
    const { head } = chain.state;
    if (stored.kind !== 'at') return this.#rebuild(stored, signal);
    if (stored.size > head.size) {
      throw new LineproofError(
        'LOG_BEHIND',
        `cannot go on: the dedup index knows ${stored.size} leaves of shard ${head.shard}, the chain topic gives only ${head.size}`,
        { shard: head.shard, index: stored.size, size: head.size },
      );
    }
    const missing = await this.#blocksAfter(stored);
    if (missing === undefined) {
      await this.#checkForeignWatermark(stored);
      return this.#rebuild(stored, signal);
    }
    this.#watermark = stored;
    this.#pending = missing;
  }

  /** The identities of our blocks after a watermark, oldest first; undefined if the watermark is not on our chain, or is further back than the window. */
  async #blocksAfter(stored: AtWatermark): Promise<BlockIdentities[] | undefined> {
    if (isAt(stored, this.#near.chain.state.head)) return [];
    const after: BlockIdentities[] = [];
    for await (const walked of this.#windowBlocks()) {
      const { block, seal, offset, sealHash } = walked;
      const size = seal.firstIndex + seal.links + 1;
      if (stored.size === size && stored.seal === toHex(sealHash)) return after.toReversed();
      if (size <= stored.size) return undefined;
      after.push(blockIdentities(block, seal, offset, sealHash));
      if (seal.firstIndex === 0 && stored.size === 0) return after.toReversed();
    }
    return undefined;
  }

  #windowBlocks(): AsyncGenerator<WalkedBlock> {
    const { log, sources } = this.#o;
    return windowBlocks(this.#near.chain, log, sources.policies);
  }

  /** STOP if the log holds another block at the offset of a watermark that is not on our chain: then index and log contradict each other. */
  async #checkForeignWatermark(stored: AtWatermark): Promise<void> {
    const { log, shard } = this.#o;
    if (stored.size === 0) return;
    const record = await chainRecordAt(log, shard, stored.chainOffset);
    if (record === undefined || carriesSeal(record, fromHex(stored.seal))) return;
    throw new LineproofError(
      'LOG_DIVERGED',
      `cannot go on: the dedup index of shard ${shard} is at a block that is not on the chain; find out whether the log was set back`,
      { shard, chainOffset: stored.chainOffset },
    );
  }

  /**
   * REBUILD: fills the index again from the chain, oldest block first, so that of two links with one identity the newer is remembered.
   * The chain is walked before anything is written: if a block is missing, the index stays unchanged.
   */
  async #rebuild(stored: Watermark, signal: AbortSignal): Promise<void> {
    const { shard, log, clock, logger } = this.#o;
    const { chain } = this.#near;
    const started = clock.monotonicMs();
    const token = toHex(randomBytes(16));
    const offsets: number[] = [];
    if (chain.chainOffset >= 0) for await (const { offset } of this.#windowBlocks()) offsets.push(offset);
    let [expect, blocks] = [stored, 0];
    const step = async (next: Watermark, add: BlockIdentities['entries'], wipe: boolean): Promise<boolean> => {
      const answer = await this.#call({ shard, expect, next, add, wipe, lookup: [] }, signal);
      if (answer.ok) expect = next;
      return answer.ok;
    };
    if (!(await step({ kind: 'building', token, step: 0 }, [], true))) return;
    for await (const { block, seal, offset, sealHash } of blocksAt(log, shard, offsets.toReversed())) {
      const { entries } = blockIdentities(block, seal, offset, sealHash);
      if (!(await step({ kind: 'building', token, step: ++blocks }, entries, false))) return;
    }
    if (blocks < offsets.length) {
      throw new LineproofError(
        'CHAIN_TRIMMED',
        `cannot rebuild the dedup index: shard ${shard} of ${TOPICS.chain} lost blocks while they were read`,
        { shard, blocks },
      );
    }
    const at = watermarkOf(chain.state.head, chain.chainOffset);
    if (!(await step(at, [], false))) return;
    this.#watermark = at;
    this.#pending = [];
    logger.info(LOG.indexRebuilt, { shard, blocks, ms: Math.round(clock.monotonicMs() - started) });
  }
}

/** The entry of a key: first from memory, for blocks inside the window that the index does not have yet; else from the index. */
function known(
  keys: readonly Uint8Array[],
  hits: readonly (DedupHit | undefined)[],
  unconfirmed: readonly BlockIdentities[],
  dropBelowSlot: number,
): Known {
  const stored = new Map<string, DedupHit>();
  for (const [i, hit] of hits.entries()) if (hit !== undefined) stored.set(keyText(keys[i] as Uint8Array), hit);
  return (key) => {
    const text = keyText(key);
    for (const block of unconfirmed) {
      const hit = block.hits.get(text);
      if (hit !== undefined && hit.slot >= dropBelowSlot) return hit;
    }
    return stored.get(text);
  };
}
