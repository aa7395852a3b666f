const KEY_BYTES = 16;
const FIRST_SLOTS = 1024;
const CHUNK = 65_536;

/**
 * An exact table of 16-byte keys, each with the numbers of the entries that came under it last. Open addressing in typed arrays:
 * 16 bytes for a key, and 8 to 16 for its slot; a Map of strings would take ten times as much. Keys are hashes: their first bytes spread evenly.
 */
export class KeyTable {
  /** Entry number + 1, 0 where the slot is free. */
  #slots = new Uint32Array(FIRST_SLOTS);
  readonly #keys: Uint8Array[] = [];
  #size = 0;

  /** Number of entries. */
  get size(): number {
    return this.#size;
  }

  /** Number of the newest entry under `key`; undefined where there is none. */
  find(key: Uint8Array): number | undefined {
    const entry = this.#slots[this.#slot(key)] as number;
    return entry === 0 ? undefined : entry - 1;
  }

  /** Adds an entry under `key`, in front of earlier ones; its number, which is the table's size before. */
  add(key: Uint8Array): number {
    if (2 * (this.#size + 1) > this.#slots.length) this.#grow();
    const entry = this.#size;
    if (entry % CHUNK === 0) this.#keys.push(new Uint8Array(CHUNK * KEY_BYTES));
    (this.#keys.at(-1) as Uint8Array).set(key, (entry % CHUNK) * KEY_BYTES);
    this.#size += 1;
    this.#slots[this.#slot(key)] = entry + 1;
    return entry;
  }

  /** Whether entry `number` came under `key`. */
  has(number: number, key: Uint8Array): boolean {
    const chunk = this.#keys[Math.floor(number / CHUNK)];
    const at = (number % CHUNK) * KEY_BYTES;
    for (let i = 0; i < KEY_BYTES; i++) if (chunk?.[at + i] !== key[i]) return false;
    return true;
  }

  /** The slot that holds `key`, or the free one where it would go. */
  #slot(key: Uint8Array): number {
    const mask = this.#slots.length - 1;
    const start = ((key[0] as number) | ((key[1] as number) << 8) | ((key[2] as number) << 16) | ((key[3] as number) << 24)) & mask;
    for (let slot = start; ; slot = (slot + 1) & mask) {
      const entry = this.#slots[slot] as number;
      if (entry === 0 || this.has(entry - 1, key)) return slot;
    }
  }

  #grow(): void {
    const old = this.#slots;
    this.#slots = new Uint32Array(2 * old.length);
    for (const entry of old) {
      if (entry === 0) continue;
      const at = ((entry - 1) % CHUNK) * KEY_BYTES;
      const key = (this.#keys[Math.floor((entry - 1) / CHUNK)] as Uint8Array).subarray(at, at + KEY_BYTES);
      this.#slots[this.#slot(key)] = entry;
    }
  }
}
