import { describe, expect, test } from '@jest/globals';
import { concat, toBase64, utf8 } from '../../core/base/bytes.ts';
import { formatTlogProof, parseTlogProof } from '../../core/formats/tlog-proof.ts';
import { checkConsistency, checkInclusion } from '../../core/tree/proof.ts';
import { decodeBundle, encodeBundle, entriesPath, parseTilePath, tilePath } from '../../core/tree/tile.ts';

const RUNS = 10_000;
const CODES = new Set(['FORMAT_INVALID', 'LIMIT_EXCEEDED']);

/** mulberry32: the same faults on every run. */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

/** One to four edits: a byte changed, a stretch cut out, doubled, or replaced by a stretch of another sample. */
function mutate(bytes: Uint8Array, other: Uint8Array, next: (below: number) => number): Uint8Array {
  let mutant: Uint8Array = Uint8Array.from(bytes);
  for (let edits = 1 + next(4); edits > 0; edits--) {
    const at = next(mutant.length + 1);
    const length = next(1 + Math.min(40, mutant.length - at));
    const from = next(other.length + 1);
    const [head, middle, tail] = [mutant.subarray(0, at), mutant.subarray(at, at + length), mutant.subarray(at + length)];
    switch (next(4)) {
      case 0:
        mutant = concat(head, Uint8Array.of(next(256)), mutant.subarray(at + 1));
        break;
      case 1:
        mutant = concat(head, tail);
        break;
      case 2:
        mutant = concat(head, middle, middle, tail);
        break;
      default:
        mutant = concat(head, other.subarray(from, from + length), tail);
    }
  }
  return mutant;
}

/** Feeds mutants of `samples` to `decode`, which has to answer the value whose encoding they are, or one of our errors. */
function attack<T>(samples: readonly Uint8Array[], decode: (bytes: Uint8Array) => T, encode: (value: T) => Uint8Array): number {
  const next = random(20_240_607);
  const pick = (): Uint8Array => samples[next(samples.length)] as Uint8Array;
  let accepted = 0;
  for (let run = 0; run < RUNS; run++) {
    const mutant = mutate(pick(), pick(), next);
    let value: T;
    try {
      value = decode(mutant);
    } catch (error) {
      if (!CODES.has((error as { code?: string }).code ?? '')) throw error;
      continue;
    }
    accepted += 1;
    if (Buffer.compare(encode(value), mutant) !== 0) throw new Error(`run ${run}: accepted what the encoder does not write`);
  }
  return accepted;
}

const latin1 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');
const fromLatin1 = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'latin1'));

const path = (count: number): Uint8Array[] => Array.from({ length: count }, (_, i) => new Uint8Array(32).fill(i));

describe('ten thousand mutants each end in a value that encodes to them, or in a coded error', () => {
  test('of bundles', () => {
    const samples = [1, 2, 100, 255, 256].map((count) =>
      encodeBundle(Array.from({ length: count }, (_, i) => new Uint8Array(i % 7).fill(i))),
    );
    const accepted = attack(samples, decodeBundle, encodeBundle);
    expect(accepted).toBeGreaterThan(10);
    expect(accepted).toBeLessThan(RUNS);
  });

  test('of tile paths', () => {
    const paths = [0, 999, 1000, 1_234_067, 2 ** 45].flatMap((n) => [tilePath(0, n, 256), tilePath(6, n, 17), entriesPath(n, 255)]);
    const accepted = attack(
      paths.map(utf8),
      (bytes) => parseTilePath(latin1(bytes)),
      ({ level, n, width }) => utf8(level === 'entries' ? entriesPath(n, width) : tilePath(level, n, width)),
    );
    expect(accepted).toBeGreaterThan(100);
    expect(accepted).toBeLessThan(RUNS);
  });

  test('of tlog proofs', () => {
    const checkpoint = `example.com/log\n7\n${toBase64(new Uint8Array(32))}\n\n- example.com/log AAAAAA==\n`;
    const samples = [0, 1, 5, 53].flatMap((count) => [
      formatTlogProof({ extra: new Uint8Array(0), index: 0, path: path(count), checkpoint }),
      formatTlogProof({ extra: utf8('some extra data'), index: 2 ** 53 - 1, path: path(count), checkpoint }),
    ]);
    const accepted = attack(
      samples.map(fromLatin1),
      (bytes) => parseTlogProof(latin1(bytes)),
      (proof) => fromLatin1(formatTlogProof(proof)),
    );
    expect(accepted).toBeGreaterThan(10);
    expect(accepted).toBeLessThan(RUNS);
  });

  test('of proofs never throw, and none that differs is accepted', () => {
    const next = random(7);
    const hash = (): Uint8Array => Uint8Array.from({ length: next(20) === 0 ? next(40) : 32 }, () => next(256));
    const count = (): number =>
      [next(70), next(2 ** 31) * 2 ** 21, -next(9), next(9) / 2, Number.NaN, Number.POSITIVE_INFINITY][next(6)] as number;
    for (let run = 0; run < RUNS; run++) {
      const proof = Array.from({ length: next(60) }, hash);
      expect(checkInclusion(proof, count(), count(), hash(), hash())).toBe(false);
      const [old, size] = [count(), count()];
      if (old !== 0) expect(checkConsistency(proof, old, hash(), size, hash())).toBe(false);
    }
  });
});
