import { createHash } from 'node:crypto';

/** RFC 6962 §2.1 as it is written down there, recursion and all: the oracle of these tests. It shares no code with core. */
export function referenceRoot(leaves: readonly Uint8Array[]): Uint8Array {
  if (leaves.length === 0) return digest();
  if (leaves.length === 1) return digest(Uint8Array.of(0), leaves[0] as Uint8Array);
  const k = split(leaves.length);
  return digest(Uint8Array.of(1), referenceRoot(leaves.slice(0, k)), referenceRoot(leaves.slice(k)));
}

/** RFC 6962 §2.1.1, PATH(m, D[n]). */
export function referencePath(m: number, leaves: readonly Uint8Array[]): Uint8Array[] {
  if (leaves.length === 1) return [];
  const k = split(leaves.length);
  return m < k
    ? [...referencePath(m, leaves.slice(0, k)), referenceRoot(leaves.slice(k))]
    : [...referencePath(m - k, leaves.slice(k)), referenceRoot(leaves.slice(0, k))];
}

/** RFC 6962 §2.1.2, PROOF(m, D[n]). */
export function referenceProof(m: number, leaves: readonly Uint8Array[], whole = true): Uint8Array[] {
  if (m === leaves.length) return whole ? [] : [referenceRoot(leaves)];
  const k = split(leaves.length);
  return m <= k
    ? [...referenceProof(m, leaves.slice(0, k), whole), referenceRoot(leaves.slice(k))]
    : [...referenceProof(m - k, leaves.slice(k), false), referenceRoot(leaves.slice(0, k))];
}

/** `count` different leaves, short ones; the tenth is empty. */
export function sampleLeaves(count: number): Uint8Array[] {
  return Array.from({ length: count }, (_, i) => (i === 9 ? new Uint8Array(0) : Uint8Array.from(Buffer.from(`leaf ${i}`))));
}

function split(n: number): number {
  let k = 1;
  while (2 * k < n) k *= 2;
  return k;
}

function digest(...parts: Uint8Array[]): Uint8Array {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return Uint8Array.from(hash.digest());
}
