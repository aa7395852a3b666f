import { describe, test } from '@jest/globals';

/** Room for a server that is slow to create a topic or a bucket; nothing is asserted about time. */
const TIMEOUT_MS = 60_000;

/** Clauses of a contract, by their sentence, that an implementation does not fulfil, each with the reason. */
export type Exceptions = Readonly<Record<string, string>>;

export type Clause = (sentence: string, body: () => Promise<void>) => void;

/**
 * Defines the clauses of a contract for one implementation. An exception is not skipped: its clause runs and must fail, so that an
 * implementation which learns to fulfil it says so here. An exception to a clause that does not exist is an error.
 */
export function contract(name: string, exceptions: Exceptions, define: (clause: Clause) => void): void {
  describe(name, () => {
    const left = new Set(Object.keys(exceptions));
    define((sentence, body) => {
      const reason = exceptions[sentence];
      left.delete(sentence);
      if (reason === undefined) test(sentence, body, TIMEOUT_MS);
      else test.failing(`does not hold here, because ${reason}: ${sentence}`, body, TIMEOUT_MS);
    });
    if (left.size > 0) throw new Error(`no such clause in ${name}: ${[...left].join('; ')}`);
  });
}

/** The code that a call rejects with; undefined if it does not. */
export async function codeOf(call: () => Promise<unknown>): Promise<unknown> {
  try {
    await call();
    return undefined;
  } catch (error) {
    return (error as { code?: unknown }).code ?? error;
  }
}
