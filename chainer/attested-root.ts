import type { LogHead } from '../core/acceptance/log-state.ts';
import { equal } from '../core/base/bytes.ts';
import { LineproofError } from '../core/base/errors.ts';
import { frontierRoot } from '../core/tree/frontier.ts';

/** Size and root of a note that the log key signed. */
interface Attested {
  readonly size: number;
  readonly root: Uint8Array;
}

/** The attested size and root that the chain has not reached yet. `expect` sets it in a recovery; `check` clears it once the chain reaches it. */
export class AttestedRoot {
  #attested: Attested | undefined;

  /** Sets the size and root that the chain must reach from `head` on. A note older than `head` is not compared: our own state was judged beyond it before. */
  expect(attested: Attested | undefined, head: LogHead): void {
    this.#attested = attested !== undefined && attested.size < head.size ? undefined : attested;
    this.check(head);
  }

  /** STOP if the chain has another root at the attested size, or if none of its blocks ends there: notes are signed at block ends only. */
  check(head: LogHead): void {
    if (this.#attested === undefined || head.size < this.#attested.size) return;
    if (head.size === this.#attested.size && equal(frontierRoot(head.frontier), this.#attested.root)) {
      this.#attested = undefined;
      return;
    }
    throw new LineproofError(
      'ARCHIVE_DIVERGED',
      `cannot go on: at ${head.size} leaves the chain of shard ${head.shard} has another root than the archive attests`,
      { shard: head.shard, size: head.size },
    );
  }

  /** STOP if the chain topic was read to its end and does not reach the attested size. */
  mustBeReached({ shard, size }: LogHead): void {
    const attested = this.#attested?.size;
    if (attested === undefined) return;
    throw new LineproofError(
      'LOG_BEHIND',
      `cannot go on: the archive attests ${attested} leaves of shard ${shard}, the chain topic gives only ${size}`,
      { shard, attested, size },
    );
  }
}
