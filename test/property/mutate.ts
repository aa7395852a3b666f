/** Deterministic 32-bit numbers (mulberry32), so that a failing mutation can be made again from its seed. */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (t ^ (t >>> 14)) >>> 0;
  };
}

/** Varints that lie about sizes: two billion, 2^53 − 1, −1, an over-long zero. */
const LIES = [[0xfe, 0xff, 0xff, 0xff, 0x0f], [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f], [1], [0x80, 0]];

/** `bytes` after one to three seeded changes: a flipped bit, a cut, an insertion, a splice from elsewhere in it, a lying size. */
export function mutate(bytes: Uint8Array, random: () => number): Uint8Array {
  let changed = [...bytes];
  for (let left = 1 + (random() % 3); left > 0; left--) {
    const at = random() % (changed.length + 1);
    const kind = random() % 5;
    if (kind === 0 && at < changed.length) changed[at] = (changed[at] as number) ^ (1 << (random() % 8));
    else if (kind === 1) changed = changed.slice(0, at);
    else if (kind === 2) changed.splice(at, 0, random() & 0xff);
    else if (kind === 3) changed.splice(at, random() % 8, ...changed.slice(random() % (changed.length + 1)).slice(0, random() % 40));
    else changed.splice(at, 1, ...(LIES[random() % LIES.length] as number[]));
  }
  return Uint8Array.from(changed);
}
