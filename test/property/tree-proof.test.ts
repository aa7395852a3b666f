import { describe, expect, test } from '@jest/globals';
import { proveConsistency, proveInclusion, type ReadHash } from '../../core/tree/build/proof.ts';
import { EMPTY_FRONTIER, extendFrontier, frontierRoot } from '../../core/tree/frontier.ts';
import { hashLeaves, nodeHash } from '../../core/tree/hash.ts';
import { checkConsistency, checkInclusion } from '../../core/tree/proof.ts';
import { referencePath, referenceProof, referenceRoot, sampleLeaves } from './tree-reference.ts';

const MOST = 70;
const leaves = sampleLeaves(MOST);
const hashes = hashLeaves(leaves);
const roots = Array.from({ length: MOST + 1 }, (_, size) => referenceRoot(leaves.slice(0, size)));
const root = (size: number): Uint8Array => roots[size] as Uint8Array;
const hash = (index: number): Uint8Array => hashes[index] as Uint8Array;

const subtreeRoots = new Map<string, Uint8Array>();

/** Subtree roots of the sample log, computed from its leaves. */
const readHash: ReadHash = async (level, index) => {
  const key = `${level} ${index}`;
  const known = subtreeRoots.get(key) ?? referenceRoot(leaves.slice(index * 2 ** level, (index + 1) * 2 ** level));
  subtreeRoots.set(key, known);
  return known;
};

/** `proof` with one fault each: a bit flipped in every hash, one dropped, one added at each place, two swapped, one cut short. */
function corruptions(proof: readonly Uint8Array[]): Uint8Array[][] {
  const faulty: Uint8Array[][] = [[...proof, hash(0)]];
  for (const [i, at] of proof.entries()) {
    const flipped = Uint8Array.from(at);
    flipped[(i * 7) % 32] = (flipped[(i * 7) % 32] as number) ^ (1 << (i % 8));
    faulty.push(proof.with(i, flipped), proof.toSpliced(i, 1), proof.toSpliced(i, 0, at), proof.with(i, at.subarray(0, 31)));
    if (i > 0) faulty.push(proof.with(i, proof[i - 1] as Uint8Array).with(i - 1, at));
  }
  return faulty;
}

describe('inclusion proofs', () => {
  test('are those of RFC 6962 for each leaf of each size, and check', async () => {
    for (let size = 1; size <= MOST; size++)
      for (let index = 0; index < size; index++) {
        const proof = await proveInclusion(size, index, readHash);
        expect(proof).toEqual(referencePath(index, leaves.slice(0, size)));
        expect(checkInclusion(proof, size, index, hash(index), root(size))).toBe(true);
      }
  });

  test('with any single fault are refused', async () => {
    const accepted: string[] = [];
    for (let size = 1; size <= MOST; size++)
      for (let index = 0; index < size; index++) {
        const proof = await proveInclusion(size, index, readHash);
        const check = (fault: string, path: readonly Uint8Array[], at: number, leaf: Uint8Array, top: Uint8Array): void => {
          if (checkInclusion(path, size, at, leaf, top)) accepted.push(`${fault}: ${index} of ${size}`);
        };
        for (const [i, faulty] of corruptions(proof).entries()) check(`corruption ${i}`, faulty, index, hash(index), root(size));
        for (let other = -1; other <= size; other++) if (other !== index) check('index', proof, other, hash(index), root(size));
        check('fraction', proof, index + 0.5, hash(index), root(size));
        check('no number', proof, Number.NaN, hash(index), root(size));
        check('leaf', proof, index, hash((index + 1) % MOST), root(size));
        check('root', proof, index, hash(index), root(size - 1));
        check('short root', proof, index, hash(index), root(size).subarray(1));
      }
    expect(accepted).toEqual([]);
  });

  test('fail against the root of any other size', async () => {
    const accepted: string[] = [];
    for (let size = 1; size <= MOST; size++)
      for (let index = 0; index < size; index++) {
        const proof = await proveInclusion(size, index, readHash);
        for (let other = 0; other <= MOST; other++)
          if (other !== size && checkInclusion(proof, other, index, hash(index), root(other)))
            accepted.push(`${index} of ${size} in ${other}`);
      }
    expect(accepted).toEqual([]);
  });

  test('longer than the tree is high are refused, even where the root was made to fit', () => {
    expect(checkInclusion([hash(1)], 1, 0, hash(0), nodeHash(hash(1), hash(0)))).toBe(false);
    expect(checkInclusion([hash(0), hash(2)], 2, 1, hash(1), nodeHash(hash(2), root(2)))).toBe(false);
  });

  test('an inner node does not pass for a leaf', async () => {
    const proof = await proveInclusion(8, 0, readHash);
    expect(checkInclusion(proof.slice(1), 4, 0, nodeHash(hash(0), hash(1)), root(8))).toBe(true);
    expect(checkInclusion(proof.slice(1), 8, 0, nodeHash(hash(0), hash(1)), root(8))).toBe(false);
  });

  test.each([
    [0, 0],
    [5, 5],
    [5, -1],
    [5, 0.5],
  ])('of size %d and index %d cannot be asked for', async (size, index) => {
    await expect(proveInclusion(size, index, readHash)).rejects.toThrow(expect.objectContaining({ code: 'USAGE' }));
  });
});

describe('consistency proofs', () => {
  test('are those of RFC 6962 between all sizes, and check', async () => {
    for (let size = 1; size <= MOST; size++)
      for (let old = 1; old <= size; old++) {
        const proof = await proveConsistency(old, size, readHash);
        expect(proof).toEqual(referenceProof(old, leaves.slice(0, size)));
        expect(checkConsistency(proof, old, root(old), size, root(size))).toBe(true);
      }
  });

  test('with any single fault are refused', async () => {
    const accepted: string[] = [];
    for (let size = 1; size <= MOST; size++)
      for (let old = 1; old <= size; old++) {
        const proof = await proveConsistency(old, size, readHash);
        const check = (fault: string, path: readonly Uint8Array[], from: number, start: Uint8Array, end: Uint8Array): void => {
          if (checkConsistency(path, from, start, size, end)) accepted.push(`${fault}: ${old} to ${size}`);
        };
        for (const [i, faulty] of corruptions(proof).entries()) check(`corruption ${i}`, faulty, old, root(old), root(size));
        for (let other = 1; other <= size; other++) if (other !== old) check('old size and root', proof, other, root(other), root(size));
        check('old size below', proof, old - 1, root(old), root(size));
        check('old size above', proof, old + 1, root(old), root(size));
        check('old root', proof, old, root(old - 1), root(size));
        check('new root', proof, old, root(old), root(size - 1));
        if (old !== size && checkConsistency(proof, size, root(size), old, root(old))) accepted.push(`backwards: ${old} to ${size}`);
      }
    expect(accepted).toEqual([]);
  });

  test('fail against the root of any other new size', async () => {
    const accepted: string[] = [];
    for (let size = 1; size <= MOST; size++)
      for (let old = 1; old <= size; old++) {
        const proof = await proveConsistency(old, size, readHash);
        for (let other = 0; other <= MOST; other++)
          if (other !== size && checkConsistency(proof, old, root(old), other, root(other)))
            accepted.push(`${old} to ${size}, as ${other}`);
      }
    expect(accepted).toEqual([]);
  });

  test('from the empty tree are empty, and only its own root will do', async () => {
    expect(await proveConsistency(0, 5, readHash)).toEqual([]);
    expect(checkConsistency([], 0, root(0), 5, root(5))).toBe(true);
    expect(checkConsistency([], 0, root(0), 0, root(0))).toBe(true);
    expect(checkConsistency([], 0, root(1), 5, root(5))).toBe(false);
    expect(checkConsistency([], 0, root(1), 0, root(1))).toBe(false);
    expect(checkConsistency([root(5)], 0, root(0), 5, root(5))).toBe(false);
  });

  test('between equal sizes are empty and need equal roots', () => {
    expect(checkConsistency([], 5, root(5), 5, root(5))).toBe(true);
    expect(checkConsistency([], 5, root(5), 5, root(6))).toBe(false);
    expect(checkConsistency([root(5)], 5, root(5), 5, root(5))).toBe(false);
  });

  test.each([
    [3, 2],
    [-1, 2],
    [0.5, 2],
  ])('from %d to %d cannot be asked for', async (old, size) => {
    await expect(proveConsistency(old, size, readHash)).rejects.toThrow(expect.objectContaining({ code: 'USAGE' }));
  });
});

describe('trees that numbers of 32 bits cannot count', () => {
  // All leaves are the same, so that the root of a complete subtree depends on its height alone.
  const leaf = hash(0);
  const complete: Uint8Array[] = [leaf];
  for (let level = 1; level <= 53; level++) complete.push(nodeHash(complete[level - 1] as Uint8Array, complete[level - 1] as Uint8Array));

  /** Refuses what is not complete within `size` leaves, as tiles would. */
  const reader =
    (size: number): ReadHash =>
    async (level, index) => {
      expect(BigInt(index + 1) << BigInt(level)).toBeLessThanOrEqual(BigInt(size));
      return complete[level] as Uint8Array;
    };

  const hashesOf = (size: number): Uint8Array[] =>
    Array.from({ length: 54 }, (_, i) => 53 - i)
      .filter((level) => (BigInt(size) >> BigInt(level)) & 1n)
      .map((level) => complete[level] as Uint8Array);

  const rootOf = (size: number): Uint8Array => frontierRoot({ size, hashes: hashesOf(size) });

  const SIZES = [
    2 ** 31 - 1,
    2 ** 31,
    2 ** 32 - 1,
    2 ** 32,
    2 ** 32 + 1,
    2 ** 32 + 5,
    2 ** 33 + 255,
    2 ** 40 + 1,
    2 ** 52 + 3,
    2 ** 53 - 1,
  ];

  test.each(SIZES.slice(0, -1))('a frontier of %d leaves grows by one', (size) => {
    const grown = extendFrontier({ size, hashes: hashesOf(size) }, [leaf]);
    expect(grown).toEqual({ size: size + 1, hashes: hashesOf(size + 1) });
  });

  test.each(SIZES)('inclusion in %d leaves is proven, first to last', async (size) => {
    for (const index of [0, 1, 255, 256, 2 ** 30, Math.floor(size / 2), size - 2, size - 1]) {
      const proof = await proveInclusion(size, index, reader(size));
      expect(checkInclusion(proof, size, index, leaf, rootOf(size))).toBe(true);
      expect(checkInclusion(proof, size, index, hash(1), rootOf(size))).toBe(false);
      expect(checkInclusion(proof.slice(1), size, index, leaf, rootOf(size))).toBe(false);
    }
  });

  test.each(SIZES)('growth to %d leaves is proven', async (size) => {
    for (const old of [1, 255, 256, 257, 2 ** 30, Math.floor(size / 2), size - 1, size].concat(SIZES.filter((each) => each <= size))) {
      const proof = await proveConsistency(old, size, reader(size));
      expect(checkConsistency(proof, old, rootOf(old), size, rootOf(size))).toBe(true);
      expect(checkConsistency([...proof, leaf], old, rootOf(old), size, rootOf(size))).toBe(false);
      if (old < size) expect(checkConsistency(proof.slice(1), old, rootOf(old), size, rootOf(size))).toBe(false);
    }
  });

  test('the frontier of the empty tree has its root', () => {
    expect(frontierRoot(EMPTY_FRONTIER)).toEqual(root(0));
  });
});
