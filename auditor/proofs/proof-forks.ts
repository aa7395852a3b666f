import type { ProofSubject } from './proof-subject.ts';
import type { ProofVerdict } from './proof-verdict.ts';

/**
 * Where proofs whose verdict is OK contradict each other, in sentences: a log has one root for a size, one leaf at an index, and one link at a position of a
 * stream. Each proof is right by itself, so that a log key attested two histories.
 */
export function forksOf(verdicts: readonly ProofVerdict[]): string[] {
  const said = new Map<string, string>();
  const forks = new Set<string>();
  for (const { ok, subject } of verdicts) {
    if (!ok || subject === null) continue;
    for (const { what, value } of claimsOf(subject)) {
      const before = said.get(what) ?? value;
      said.set(what, before);
      if (before !== value) forks.add(`${what} is ${before} by one proof and ${value} by another`);
    }
  }
  return [...forks];
}

function claimsOf({
  log,
  size,
  root,
  leaf,
  leafHash,
  stream,
  streamIndex,
}: ProofSubject): { readonly what: string; readonly value: string }[] {
  return [
    { what: `the root of ${size} leaves of ${log}`, value: root },
    { what: `leaf ${leaf} of ${log}`, value: leafHash },
    { what: `number ${streamIndex} of stream ${JSON.stringify(stream)} of ${log}`, value: leafHash },
  ];
}
