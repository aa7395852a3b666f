import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Block } from '../../core/formats/block.ts';
import { EVENT_SCHEMA } from '../../core/formats/event-schema.ts';
import { formatUuid } from '../../core/formats/identity.ts';
import { ChainTail, type TestCluster } from '../support/cluster.ts';
import { MAIN } from '../support/command.ts';

/** How often each id is linked. */
type Counts = ReadonlyMap<string, number>;

/** What the chain topic says was linked, by a reader of its own that takes no block for accepted but by the order of the seals. */
export class Ledger {
  readonly #tail: ChainTail;
  readonly #ids = new Map<string, number>();
  readonly #newest: number[];

  constructor({ log, shards }: TestCluster) {
    this.#newest = Array.from({ length: shards }, () => 0);
    this.#tail = new ChainTail(log, shards, (shard, block) => this.#take(shard, block));
  }

  #take(shard: number, { events }: Block): void {
    for (const bytes of events) {
      const { id, occurredAt } = EVENT_SCHEMA.readHead(bytes);
      const text = formatUuid(id);
      this.#ids.set(text, (this.#ids.get(text) ?? 0) + 1);
      this.#newest[shard] = Math.max(this.#newest[shard] ?? 0, occurredAt / 1000);
    }
  }

  /** Reads on; times wait for the next look where a broker does not answer. */
  async #read(): Promise<void> {
    await this.#tail.links().catch(() => undefined);
  }

  /** By shard, when the newest linked event was recorded, milliseconds since 1970. */
  async newest(): Promise<readonly number[]> {
    await this.#read();
    return this.#newest;
  }

  /** Leaves of each shard. Rejects where a broker does not answer. */
  async sizes(): Promise<readonly number[]> {
    await this.#tail.links();
    return this.#tail.sizes();
  }

  get tail(): ChainTail {
    return this.#tail;
  }

  get ids(): Counts {
    return this.#ids;
  }
}

/** The same from the archive, as `lineproof query --json` prints it. */
export async function archivedIds({ archive, env }: TestCluster): Promise<Counts> {
  const child = spawn(process.execPath, [MAIN, 'query', archive, '--json'], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise((resolve) => child.on('close', resolve));
  const ids = new Map<string, number>();
  for await (const line of createInterface({ input: child.stdout })) {
    const { id } = (JSON.parse(line) as { readonly event: { readonly id: string } }).event;
    ids.set(id, (ids.get(id) ?? 0) + 1);
  }
  const code = await ended;
  if (code !== 0) throw new Error(`lineproof query ended with ${String(code)}`);
  return ids;
}

/** Acknowledged ids that are missing. */
export function lostOf(acknowledged: readonly string[], linked: Counts): readonly string[] {
  return acknowledged.filter((id) => !linked.has(id));
}

/** Ids that are there more than once. */
export function doubledOf(linked: Counts): readonly string[] {
  return [...linked].filter(([, count]) => count > 1).map(([id]) => id);
}
