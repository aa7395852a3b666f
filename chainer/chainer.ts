import { SCHEMA_TEXTS } from '../core/avro/schema-texts.ts';
import type { HoldState } from '../core/base/hold.ts';
import { canonicalJson } from '../core/base/jcs.ts';
import { isOfStop } from '../core/base/retry.ts';
import type { Sources } from '../core/chain/governance-source.ts';
import type { ArchiveAnchor } from '../core/chain/recovery-point.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { DedupIndex } from '../core/ports/dedup-index.ts';
import type { Log } from '../core/ports/log.ts';
import type { Logger } from '../core/ports/logger.ts';
import type { Metrics } from '../core/ports/metrics.ts';
import type { SchemaRegistry } from '../core/ports/schema-registry.ts';
import type { Signer } from '../core/ports/signer.ts';
import type { StateStore } from '../core/ports/state-store.ts';
import { BatchSchemaIds } from './intake.ts';
import { LocalState } from './local-state.ts';
import { SEQUENCER_DEFAULTS, Sequencer, type SequencerSettings } from './sequencer.ts';

/** Numbers that would stay as they were once this process no longer follows the shard. */
const SHARD_GAUGES = ['lineproof_chainer_size', 'lineproof_chainer_head_lead_seconds', 'lineproof_chainer_input_lead_seconds'] as const;

export interface ChainerOptions {
  readonly origin: string;
  readonly shards: number;
  readonly log: Log;
  readonly dedup: DedupIndex;
  readonly store: StateStore;
  readonly registry: SchemaRegistry;
  readonly anchor: ArchiveAnchor;
  readonly sources: Sources;
  readonly signer: Signer;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly settings?: Partial<SequencerSettings>;
}

/** Orders the input of any number of shards; each has one {@link Sequencer}. */
export class Chainer {
  readonly #options: ChainerOptions;
  readonly #ids: BatchSchemaIds;
  readonly #sequencers = new Map<number, Sequencer>();
  #blockSchemaId: number | undefined;

  constructor(options: ChainerOptions) {
    this.#options = options;
    this.#ids = new BatchSchemaIds(options.registry, isBatchSchema, options.clock);
  }

  /** Registers the Block schema, which every shard needs, so that no shard waits for the registry later. Returns its id. Throws UNAVAILABLE or CONFIG_INVALID. */
  async prepare(): Promise<number> {
    this.#blockSchemaId ??= await this.#options.registry.register('lineproof.v1.Block', SCHEMA_TEXTS.Block);
    return this.#blockSchemaId;
  }

  /** Works on one shard until `signal` aborts. `owns` says whether the shard is still ours. Throws if a rule says STOP. */
  async runShard(shard: number, signal: AbortSignal, owns: () => boolean = () => true): Promise<void> {
    const { store, settings, ...rest } = this.#options;
    const { metrics } = rest;
    const blockSchemaId = await this.prepare();
    const local = new LocalState(store, shard);
    const sequencer = new Sequencer({
      ...rest,
      shard,
      local,
      ids: this.#ids,
      blockSchemaId,
      owns,
      settings: { ...SEQUENCER_DEFAULTS, ...settings },
    });
    this.#sequencers.set(shard, sequencer);
    try {
      await sequencer.run(signal);
    } catch (error) {
      if (!isOfStop(error, signal)) throw error;
    } finally {
      this.#sequencers.delete(shard);
      for (const name of SHARD_GAUGES) metrics.forget(name, { shard: String(shard) });
    }
  }

  /** First input offset of the shard that no accepted block has consumed; undefined while it is not worked on or recovers. */
  consumedTo(shard: number): number | undefined {
    return this.#sequencers.get(shard)?.consumedTo;
  }

  /** Why the shard's work waits, if it does; undefined while the shard is not worked on. */
  hold(shard: number): HoldState | undefined {
    return this.#sequencers.get(shard)?.hold;
  }

  /** Leaves of the shard's log as far as it was judged; undefined while it is not worked on. */
  size(shard: number): number | undefined {
    return this.#sequencers.get(shard)?.state.head.size;
  }
}

function isBatchSchema(text: string): boolean {
  try {
    return canonicalJson(JSON.parse(text)) === SCHEMA_TEXTS.SignedBatch;
  } catch {
    return false;
  }
}
