import type { ProofSubject } from './proof-subject.ts';
import type { ProofVerdict } from './proof-verdict.ts';

/** Events of one stream that follow each other without a hole, as their links show. */
export interface StreamPiece {
  readonly log: string;
  readonly stream: string;
  /** First and last position in the stream. */
  readonly from: number;
  readonly to: number;
  /** Whether it has two events or more, so that their links show something together. */
  readonly whole: boolean;
}

/**
 * The pieces of streams that proofs show together: each link names the hash of the stream's link before it. Only proofs whose verdict is OK count, so
 * every link is in its log. Two links at one position are two pieces: one of them is of another history.
 */
export function streamPieces(verdicts: readonly ProofVerdict[]): StreamPiece[] {
  const streams = new Map<string, Map<string, ProofSubject>>();
  for (const { ok, subject } of verdicts) {
    if (!ok || subject === null) continue;
    const name = JSON.stringify([subject.log, subject.stream]);
    const links = streams.get(name) ?? new Map<string, ProofSubject>();
    streams.set(name, links.set(subject.leafHash, subject));
  }
  return [...streams.values()].flatMap((links) => piecesOf([...links.values()]));
}

function piecesOf(links: readonly ProofSubject[]): StreamPiece[] {
  const byHash = new Map(links.map((link) => [link.leafHash, link]));
  const next = new Map<string, ProofSubject>();
  const starts: ProofSubject[] = [];
  for (const link of links) {
    const before = byHash.get(link.previous);
    // Where two links follow one, the second begins a piece of its own: no link is left out.
    const goesOn = before !== undefined && before.streamIndex + 1 === link.streamIndex && !next.has(before.leafHash);
    if (goesOn) next.set(before.leafHash, link);
    else starts.push(link);
  }
  const pieces = starts.map((first) => {
    let last = first;
    for (let link = next.get(last.leafHash); link !== undefined; link = next.get(last.leafHash)) last = link;
    const { log, stream } = first;
    return { log, stream, from: first.streamIndex, to: last.streamIndex, whole: last !== first };
  });
  return pieces.toSorted((a, b) => a.from - b.from);
}
