import type { HoldState } from '../core/base/hold.ts';
import { isOfStop } from '../core/base/retry.ts';
import type { Sources } from '../core/chain/governance-source.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Log } from '../core/ports/log.ts';
import type { Logger } from '../core/ports/logger.ts';
import type { Metrics } from '../core/ports/metrics.ts';
import type { ObjectStore } from '../core/ports/object-store.ts';
import type { Signer } from '../core/ports/signer.ts';
import type { OpenWitness } from '../core/ports/witness.ts';
import { ARCHIVER_DEFAULTS, type ArchiverSettings, ShardArchiver } from './shard-archiver.ts';

const SHARD_GAUGES = [
  'lineproof_archiver_verified_size',
  'lineproof_archiver_attested_size',
  'lineproof_archiver_archived_size',
  'lineproof_archiver_checkpoint_timestamp_seconds',
  'lineproof_archiver_published_size',
  'lineproof_archiver_quorum_size',
  'lineproof_archiver_quorum_timestamp_seconds',
] as const;

export interface ArchiverOptions {
  readonly origin: string;
  readonly shards: number;
  readonly log: Log;
  readonly objects: ObjectStore;
  readonly sources: Sources;
  /** The log key of each shard, named `<origin>/<shard>`. */
  readonly signers: readonly Signer[];
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly openWitness: OpenWitness;
  readonly settings?: Partial<ArchiverSettings>;
}

/** Verifies, stores and attests any number of shards; each has one {@link ShardArchiver}. */
export class Archiver {
  readonly #options: ArchiverOptions;
  readonly #shards = new Map<number, ShardArchiver>();

  constructor(options: ArchiverOptions) {
    this.#options = options;
  }

  /** Works on one shard until `signal` aborts. Throws if a rule says STOP. */
  async runShard(shard: number, signal: AbortSignal): Promise<void> {
    const { signers, settings, ...rest } = this.#options;
    const { metrics } = rest;
    const archiver = new ShardArchiver({
      ...rest,
      shard,
      signer: signers[shard] as Signer,
      settings: { ...ARCHIVER_DEFAULTS, ...settings },
    });
    this.#shards.set(shard, archiver);
    try {
      await archiver.run(signal);
    } catch (error) {
      if (!isOfStop(error, signal)) throw error;
    } finally {
      this.#shards.delete(shard);
      // Numbers that this process no longer follows would stay as they were.
      for (const name of SHARD_GAUGES) metrics.forget(name, { shard: String(shard) });
    }
  }

  /** Leaves that the newest note covers; undefined while the shard is not worked on. */
  attestedSize(shard: number): number | undefined {
    return this.#shards.get(shard)?.attestedSize;
  }

  /** First offset of the chain topic whose block no signed note covers; undefined while the shard is not worked on or recovers. */
  attestedTo(shard: number): number | undefined {
    return this.#shards.get(shard)?.attestedTo;
  }

  /** Why the shard's work waits, if it does; undefined while the shard is not worked on. */
  hold(shard: number): HoldState | undefined {
    return this.#shards.get(shard)?.hold;
  }

  /** Leaves in closed segments; undefined while the shard is not worked on. */
  archivedSize(shard: number): number | undefined {
    return this.#shards.get(shard)?.archivedSize;
  }
}
