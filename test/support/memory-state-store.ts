import { compare, utf8 } from '../../core/base/bytes.ts';
import type { StateChange, StateStore } from '../../core/ports/state-store.ts';

/** A process's own memory, in memory, with copies of it to be set back to. */
export class MemoryStateStore implements StateStore {
  #values = new Map<string, Uint8Array>();

  async get(key: string): Promise<Uint8Array | undefined> {
    return this.#values.get(key);
  }

  async *entries(prefix: string): AsyncGenerator<readonly [string, Uint8Array]> {
    const found = [...this.#values].filter(([key]) => key.startsWith(prefix));
    yield* found.toSorted(([a], [b]) => compare(utf8(a), utf8(b)));
  }

  async commit(changes: readonly StateChange[]): Promise<void> {
    for (const { key, value } of changes) {
      if (value === undefined) this.#values.delete(key);
      else this.#values.set(key, value);
    }
  }

  async close(): Promise<void> {
    // Nothing is held open.
  }

  /** A store that holds what this one does now. */
  copy(): MemoryStateStore {
    const copy = new MemoryStateStore();
    copy.#values = new Map(this.#values);
    return copy;
  }
}
