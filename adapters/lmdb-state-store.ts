import type { StateChange, StateStore } from '../core/ports/state-store.ts';
import { Environment } from './lmdb-environment.ts';

/** Opens the embedded {@link StateStore} in `folder`. */
export async function openLmdbStateStore(folder: string): Promise<StateStore> {
  return new LmdbStateStore(new Environment(folder));
}

class LmdbStateStore implements StateStore {
  readonly #environment: Environment;

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    this.#environment.mustBeOpen('read state');
    return this.#environment.root.get(key);
  }

  async *entries(prefix: string): AsyncGenerator<readonly [string, Uint8Array]> {
    this.#environment.mustBeOpen('read state');
    for (const { key, value } of this.#environment.root.getRange({ start: prefix, snapshot: true })) {
      if (!key.startsWith(prefix)) return;
      yield [key, value];
    }
  }

  async commit(changes: readonly StateChange[]): Promise<void> {
    await this.#environment.write('write state', () => {
      for (const { key, value } of changes) {
        if (value === undefined) void this.#environment.root.remove(key);
        else void this.#environment.root.put(key, Buffer.from(value.buffer, value.byteOffset, value.byteLength));
      }
    });
  }

  async close(): Promise<void> {
    await this.#environment.close();
  }
}
