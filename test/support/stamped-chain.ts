import { httpTimestampAuthority } from '../../adapters/http-timestamp-authority.ts';
import { httpWitness } from '../../adapters/http-witness.ts';
import { systemClock } from '../../adapters/system-clock.ts';
import { Archiver } from '../../archiver/archiver.ts';
import type { StampAuthority } from '../../core/policy/policy-document.ts';
import { makeChain, type TestChain } from './archive.ts';
import { MemoryObjectStore, TestLogger, TestMetrics } from './memory.ts';
import { makeWorld } from './producer.ts';

/** A chain whose policy names this authority, which may be asked every second. */
export async function stampedChain(authority: StampAuthority, blocks: number): Promise<TestChain> {
  const world = await makeWorld({
    policy: (policy) => ({ ...policy, clockSkewMs: 2_000, timestamping: { authorities: [authority], intervalMs: 1_000 } }),
  });
  return makeChain(blocks, world);
}

/** A store in memory that tells when it has an object. */
export class WatchedStore extends MemoryObjectStore {
  readonly #waiting = new Map<string, () => void>();

  async holds(key: string): Promise<void> {
    if (!this.objects.has(key)) await new Promise<void>((resolve) => void this.#waiting.set(key, resolve));
  }

  override async create(key: string, bytes: Uint8Array): Promise<boolean> {
    const made = await super.create(key, bytes);
    this.#waiting.get(key)?.();
    return made;
  }
}

/** An archiver at work, by the clock of this machine and over HTTP. */
export interface Running {
  readonly objects: WatchedStore;
  readonly metrics: TestMetrics;
  /** Gives way to others until it is so. */
  until(holds: () => boolean): Promise<void>;
  stop(): Promise<void>;
}

/** Starts the archiver of shard 0 of a chain. */
export function startArchiver({ world, log, sources }: TestChain): Running {
  const [objects, metrics, stop] = [new WatchedStore(), new TestMetrics(), new AbortController()];
  const archiver = new Archiver({
    origin: world.origin,
    shards: 1,
    log,
    objects,
    sources,
    signers: world.logs,
    clock: systemClock,
    logger: new TestLogger(),
    metrics,
    settings: { publishIntervalMs: 0, pollMs: 5 },
    openWitness: httpWitness,
    authority: httpTimestampAuthority(2_000),
  });
  const run = archiver.runShard(0, stop.signal);
  return {
    objects,
    metrics,
    until: async (holds) => {
      while (!holds()) await new Promise((resolve) => setImmediate(resolve));
    },
    stop: async () => {
      stop.abort();
      await run;
    },
  };
}
