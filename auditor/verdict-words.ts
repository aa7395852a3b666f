/** One word for a whole archive. */
export interface VerdictTraits {
  /** Exit code of `lineproof verify`, and of `start --verify`. */
  readonly exitCode: number;
  /** When an archive gets this word, in one sentence. */
  readonly meaning: string;
  /** The reader's next step. */
  readonly advice: string;
}

/** The words of a verdict. The first that applies is the verdict. docs/verdict.md shows this table to its reader, and a test compares the two. */
export const VERDICTS = {
  FAILED: {
    exitCode: 1,
    meaning: 'Something is shown to be wrong: a property is FAILED.',
    advice: 'Read the findings that are FAILED; each says what to do.',
  },
  'NOT CHECKED': {
    exitCode: 3,
    meaning: 'A property that `--require` names is NOT CHECKED, or part of the archive could not be checked.',
    advice: 'Read the findings that are NOT CHECKED, and the reason beside each property that is.',
  },
  UNPROVEN: {
    exitCode: 4,
    meaning:
      'Nothing is shown to be wrong, and nothing is proven: no key is pinned, the pinned log keys are not those of all shards, or nothing was logged.',
    advice: 'Get the root key from the operator by another way than the archive, and give it with `--key`.',
  },
  OPEN: {
    exitCode: 5,
    meaning: 'All that could be checked is right, and a property is OPEN: more may come, as in every log that is in use.',
    advice: 'Nothing while the log grows. Verify again later.',
  },
  OK: { exitCode: 0, meaning: 'Every property that this version checks, and that the pinned keys can prove, is OK.', advice: 'Nothing.' },
} as const satisfies Readonly<Record<string, VerdictTraits>>;

export type VerdictWord = keyof typeof VERDICTS;
