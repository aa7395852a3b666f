import { acceptedIdentities } from '../../chainer/block-identities.ts';
import { blockTraces } from '../../chainer/block-traces.ts';
import { DedupSync } from '../../chainer/dedup-sync.ts';
import { Flights } from '../../chainer/flights.ts';
import { shardRetry } from '../../chainer/shard-retry.ts';
import type { AcceptedBlock } from '../../core/acceptance/accept.ts';
import type { LogView } from '../../core/acceptance/log-state.ts';
import { Hold } from '../../core/base/hold.ts';
import type { AcceptSources } from '../../core/chain/chain-reader.ts';
import { ChainFollower } from '../../core/chain/follower.ts';
import type { Clock } from '../../core/ports/clock.ts';
import type { DedupIndex } from '../../core/ports/dedup-index.ts';
import { type Log, TOPICS } from '../../core/ports/log.ts';
import { TestLogger, testClock } from './memory.ts';
import { MemoryDedupIndex } from './memory-dedup-index.ts';
import { type BlockOptions, START_MICROS, type World } from './producer.ts';
import { SimLog } from './sim-log.ts';

const READ_BYTES = 1024 * 1024;

/** Policies and schemas of a world, all known from the start. */
export function knownSources(world: World): AcceptSources {
  return {
    context: () => world.context,
    obtain: async (missing, digest) => {
      throw new Error(`the world has no ${missing} ${digest}`);
    },
    findPolicy: async (digest) => world.context.policies.byDigest(digest) !== undefined,
  };
}

/** A follower of the world's only shard. */
export function follow(world: World, log: Log, clock: Clock = testClock()): ChainFollower {
  return new ChainFollower({ origin: world.origin, shard: 0, shards: world.shards, log, sources: knownSources(world), clock });
}

/** The parts of one shard's chainer around its dedup index, without the loop that drives them: every call succeeds at once. */
export class ShardParts {
  readonly world: World;
  readonly log = new SimLog(() => START_MICROS);
  readonly index = new MemoryDedupIndex();
  readonly logger = new TestLogger();
  readonly chain: ChainFollower;
  readonly flights: Flights;
  readonly sync: DedupSync;
  /** Milliseconds on the clock of everything here. */
  nowMs = 0;
  /** How often the index was emptied to be filled again. */
  rebuilds = 0;
  readonly signal: AbortSignal = new AbortController().signal;

  constructor(world: World, confirmIdentities: number) {
    this.world = world;
    this.chain = follow(world, this.log);
    const clock: Clock = { nowMicros: () => START_MICROS, monotonicMs: () => this.nowMs, sleep: async () => undefined };
    const hold = new Hold(clock);
    this.flights = new Flights(this.log, 0, hold);
    const { log, logger, chain, flights } = this;
    this.sync = new DedupSync(
      {
        shard: 0,
        log,
        dedup: this.#countingIndex(),
        sources: world,
        clock,
        logger,
        settings: { confirmIdentities, confirmIntervalMs: 1_000 },
      },
      { chain, flights, retry: shardRetry({ shard: 0, clock, logger, hold }), tail: () => this.tail() },
    );
  }

  #countingIndex(): DedupIndex {
    const { index } = this;
    return {
      watermark: (shard) => index.watermark(shard),
      nowMicros: () => index.nowMicros(),
      close: () => index.close(),
      window: (call) => {
        if (call.wipe) this.rebuilds += 1;
        return index.window(call);
      },
    };
  }

  get top(): LogView {
    return this.flights.top(this.chain.state);
  }

  /** Judges the chain to its end, and notes the identities of what is accepted. */
  async tail(): Promise<void> {
    for await (const { accepted, offset } of this.chain.readToEnd(READ_BYTES, this.signal))
      this.sync.remember(acceptedIdentities(accepted, offset));
  }

  /** Appends a block that follows the judged chain, without judging it. */
  async append(options: BlockOptions): Promise<AcceptedBlock> {
    const { value, accepted } = await this.world.block(this.chain.state, options);
    await this.log.append(TOPICS.chain, 0, [{ key: null, value }]);
    return accepted;
  }

  /** Sends a block off that follows all that is in flight. */
  async launch(options: BlockOptions): Promise<AcceptedBlock> {
    const { value, accepted } = await this.world.block(this.top, options);
    this.flights.launch({ value, accepted, traces: blockTraces([]), identities: acceptedIdentities(accepted, -1) }, this.top);
    return accepted;
  }
}
