import type { StateChange, StateStore } from '../core/ports/state-store.ts';
import { type Environment, openEnvironment, write } from './lmdb-environment.ts';

/** Opens the embedded {@link StateStore} in `folder`. */
export async function openLmdbStateStore(folder: string): Promise<StateStore> {
  return new LmdbStateStore(openEnvironment(folder));
}

class LmdbStateStore implements StateStore {
  readonly #environment: Environment;

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    return this.#environment.get(key);
  }

  async *entries(prefix: string): AsyncGenerator<readonly [string, Uint8Array]> {
    for (const { key, value } of this.#environment.getRange({ start: prefix, snapshot: true })) {
      if (!key.startsWith(prefix)) return;
      yield [key, value];
    }
  }

  async commit(changes: readonly StateChange[]): Promise<void> {
    await write(this.#environment, 'write state', () => {
      for (const { key, value } of changes) {
        if (value === undefined) void this.#environment.remove(key);
        else void this.#environment.put(key, Buffer.from(value.buffer, value.byteOffset, value.byteLength));
      }
    });
  }

  async close(): Promise<void> {
    await this.#environment.close();
  }
}
