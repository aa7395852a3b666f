import { Findings } from '../../auditor/findings.ts';
import { utf8 } from '../../core/base/bytes.ts';
import { type BatchHeader, decodeBatchHeader, encodeBatchHeader } from '../../core/formats/batch.ts';
import { decodeEventProof, type EventProof, encodeEventProof, type SealProof } from '../../core/formats/event-proof.ts';
import { decodeLeaf, encodeLink, encodeSeal, type Link, type Seal } from '../../core/formats/leaf.ts';
import { formatTlogProof, parseTlogProof, type TlogProof } from '../../core/formats/tlog-proof.ts';
import { type MadeProof, proveEvents } from '../../prover/prove.ts';
import type { Wanted } from '../../prover/wanted.ts';
import type { ArchiveObjects } from './forged-archive.ts';

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** A proof whose parts may be changed before it is written again. */
export interface ProofDraft {
  readonly file: Writable<TlogProof>;
  readonly proof: Writable<EventProof>;
}

/** The proof with its parts changed: written exactly as a prover would write them. */
export function changedProof(text: string, change: (draft: ProofDraft) => void): Uint8Array {
  const file: Writable<TlogProof> = { ...parseTlogProof(text) };
  const proof: Writable<EventProof> = { ...decodeEventProof(file.extra) };
  change({ file, proof });
  return utf8(formatTlogProof({ ...file, extra: encodeEventProof(proof) }));
}

/** The link of a draft, changed. */
export function changeLink({ proof }: ProofDraft, change: Partial<Link>): void {
  proof.leaf = encodeLink({ ...(decodeLeaf(proof.leaf) as Link), ...change });
}

/** The header of a draft, changed and not signed again. */
export function changeHeader({ proof }: ProofDraft, change: Partial<BatchHeader>): void {
  proof.header = encodeBatchHeader({ ...decodeBatchHeader(proof.header), ...change });
}

/** The seal of a draft, changed and not signed again. */
export function changeSeal({ proof }: ProofDraft, change: Partial<Seal>, place: Partial<SealProof> = {}): void {
  const seal = proof.seal as SealProof;
  proof.seal = { ...seal, leaf: encodeSeal({ ...(decodeLeaf(seal.leaf) as Seal), ...change }), ...place };
}

/** The bytes with one bit of byte `at` turned; from the end where it is negative. */
export function flipped(bytes: Uint8Array, at = 0): Uint8Array {
  const copy = bytes.slice();
  copy[at < 0 ? copy.length + at : at] = (copy.at(at) as number) ^ 1;
  return copy;
}

/** Every proof of the wanted events of an archive. */
export async function provenEvents(objects: ArchiveObjects, wanted: Wanted, findings: Findings = new Findings()): Promise<MadeProof[]> {
  const made: MadeProof[] = [];
  for await (const proof of proveEvents(objects, wanted, findings)) made.push(proof);
  return made;
}
