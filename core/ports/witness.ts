/** What C2SP tlog-witness says, for who asks and who answers: most lines of a proof, and the media type of an answer that states a size. */
export const ADD_CHECKPOINT = { proofLines: 63, sizeType: 'text/x.tlog.size' } as const;

/** A witness's answer to a checkpoint (C2SP tlog-witness, add-checkpoint). */
export type WitnessAnswer =
  | {
      readonly kind: 'cosigned' /** Signature lines, each ending in a newline, as the witness wrote them: not verified. */;
      readonly signatures: string;
    }
  | { readonly kind: 'conflict' /** Size that the witness knows: prove from there. */; readonly size: number }
  | { readonly kind: 'refused'; readonly status: number; readonly reason: string };

/** One witness. It cosigns a checkpoint that extends the checkpoints it saw before. */
export interface Witness {
  readonly name: string;
  /** Idempotent. `proof` is the consistency proof from `oldSize`. Throws UNAVAILABLE when there was no usable answer; the caller retries. */
  addCheckpoint(checkpoint: string, oldSize: number, proof: readonly Uint8Array[], signal: AbortSignal): Promise<WitnessAnswer>;
}

/** Opens the witness at an address. Nothing is asked yet. */
export type OpenWitness = (url: string) => Witness;
