import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { concat, fromHex, toHex, utf8 } from '../../../../core/base/bytes.ts';
import { proveConsistency, proveInclusion, type ReadHash } from '../../../../core/tree/build/proof.ts';
import { EMPTY_FRONTIER, extendFrontier, frontierRoot } from '../../../../core/tree/frontier.ts';
import { hashLeaves, leafHash, subtreeRoot } from '../../../../core/tree/hash.ts';
import { checkConsistency, checkInclusion } from '../../../../core/tree/proof.ts';

interface Proofs {
  readonly inclusion: readonly { readonly size: number; readonly index: number; readonly path: readonly string[] }[];
  readonly consistency: readonly { readonly old: number; readonly new: number; readonly path: readonly string[] }[];
}
type Reference = Proofs & { readonly leaves: readonly string[]; readonly leafHashes: readonly string[]; readonly roots: readonly string[] };
type Tlog = Proofs & { readonly roots: Readonly<Record<string, string>> };

const read = (name: string): unknown => JSON.parse(readFileSync(new URL(`../../../vectors/tree/${name}`, import.meta.url), 'utf8'));

const rootAt = (hashes: readonly Uint8Array[], size: number): Uint8Array =>
  frontierRoot(extendFrontier(EMPTY_FRONTIER, hashes.slice(0, size)));

const readerOf =
  (hashes: readonly Uint8Array[]): ReadHash =>
  async (level, index) =>
    subtreeRoot(concat(...hashes.slice(index * 2 ** level, (index + 1) * 2 ** level)));

/** Makes each proof, compares it with the vector and checks it. */
async function holdProofs(hashes: readonly Uint8Array[], proofs: Proofs): Promise<void> {
  for (const { size, index, path } of proofs.inclusion) {
    const proof = await proveInclusion(size, index, readerOf(hashes));
    expect(proof.map(toHex)).toEqual(path);
    expect(checkInclusion(proof, size, index, hashes[index] as Uint8Array, rootAt(hashes, size))).toBe(true);
  }
  for (const { old, new: size, path } of proofs.consistency) {
    const proof = await proveConsistency(old, size, readerOf(hashes));
    expect(proof.map(toHex)).toEqual(path);
    expect(checkConsistency(proof, old, rootAt(hashes, old), size, rootAt(hashes, size))).toBe(true);
  }
}

describe('the eight leaves of the certificate-transparency tests', () => {
  const reference = read('rfc6962.json') as Reference;
  const hashes = hashLeaves(reference.leaves.map(fromHex));

  test('have the published leaf hashes', () => {
    expect(hashes.map(toHex)).toEqual(reference.leafHashes);
    expect(reference.leaves.map((leaf) => toHex(leafHash(fromHex(leaf))))).toEqual(reference.leafHashes);
  });

  test('have the published roots at sizes 0 to 8', () => {
    expect(reference.roots.map((_, size) => toHex(rootAt(hashes, size)))).toEqual(reference.roots);
  });

  test('have the published proofs', async () => {
    expect.hasAssertions();
    await holdProofs(hashes, reference);
  });
});

describe('a log of thousands of leaves, as golang.org/x/mod/sumdb/tlog computes it', () => {
  const tlog = read('tlog.json') as Tlog;
  const hashes = hashLeaves(Array.from({ length: 5000 }, (_, i) => utf8(`leaf ${i}`)));

  test('has its roots', () => {
    const sizes = Object.keys(tlog.roots);
    expect(sizes.length).toBeGreaterThan(20);
    expect(Object.fromEntries(sizes.map((size) => [size, toHex(rootAt(hashes, Number(size)))]))).toEqual(tlog.roots);
  });

  test('has its proofs', async () => {
    expect.hasAssertions();
    await holdProofs(hashes, tlog);
  });
});
