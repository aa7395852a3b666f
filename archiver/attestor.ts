import type { LogHead } from '../core/acceptance/log-state.ts';
import { openLogNote, type SignedNote } from '../core/archive/archive-anchor.ts';
import { equal, utf8 } from '../core/base/bytes.ts';
import { LineproofError } from '../core/base/errors.ts';
import { formatCheckpoint } from '../core/keys/checkpoint.ts';
import { signNote } from '../core/keys/note.ts';
import { frontierRoot } from '../core/tree/frontier.ts';
import type { ArchivedLog } from './archived-log.ts';

/**
 * Signs notes of one log and puts them into the store by compare-and-swap, so that two notes of the log never contradict each other,
 * however many archivers work on it. Its fields change only here: `reset` and `attest` set the note, `rememberRoot` adds a root. Publishing is another part's work.
 */
export class Attestor {
  readonly #log: ArchivedLog;
  /** The newest note known to be in the store. */
  #signed: SignedNote | undefined;
  /** The root at the end of each block since the last note that is known to be on our chain. */
  readonly #roots = new Map<number, Uint8Array>();

  constructor(log: ArchivedLog) {
    this.#log = log;
  }

  /** Leaves that the newest note covers. */
  get size(): number {
    return this.#signed?.size ?? 0;
  }

  /** Begins at `head`, with the note that is in the store now. */
  async reset(head: LogHead): Promise<void> {
    this.#roots.clear();
    this.rememberRoot(head);
    const stored = await this.#log.objects.get(this.#log.keys.signed);
    this.#signed = stored === undefined ? undefined : this.#open(stored.bytes);
  }

  /** Remembers the root at the end of an accepted block. */
  rememberRoot({ size, frontier }: LogHead): void {
    this.#roots.set(size, frontierRoot(frontier));
  }

  /** Called when the chain was read up to the stored note or to its end. Throws LOG_BEHIND if it ends before the note, ARCHIVE_DIVERGED if the note is not on it. */
  checkReached(head: LogHead): void {
    const { name, shard } = this.#log;
    if (head.size < this.size) {
      throw new LineproofError(
        'LOG_BEHIND',
        `cannot go on: the archive attests ${this.size} leaves of ${name}, the chain topic gives only ${head.size}`,
        { shard, attested: this.size },
      );
    }
    if (this.#signed !== undefined) this.#checkOnChain(this.#signed, head.size);
  }

  /** The newest note known to be in the store. */
  get signed(): SignedNote | undefined {
    return this.#signed;
  }

  /** Signs the root at `head`, and returns the note to publish. COMMIT POINT of attestation: the note is in the store before anybody sees it. */
  async attest({ size, frontier }: LogHead): Promise<SignedNote> {
    const { name, objects, keys, signer } = this.#log;
    const checkpoint = { origin: name, size, root: frontierRoot(frontier) };
    for (;;) {
      const stored = await objects.get(keys.signed);
      const there = stored === undefined ? undefined : this.#open(stored.bytes);
      if (there !== undefined && there.size > size) {
        // Another archiver is ahead: its note is checked when we reach its size.
        return this.#settle(there, size);
      }
      if (there !== undefined) this.#checkOnChain(there, size);
      const note = await signNote(formatCheckpoint(checkpoint), signer);
      if (there?.note === note || (await objects.replace(keys.signed, utf8(note), stored?.etag)) !== undefined) {
        return this.#settle({ ...checkpoint, note }, size);
      }
    }
  }

  /** The note in the store, once the chain was read to `size`: roots before it are not needed any more. */
  #settle(note: SignedNote, size: number): SignedNote {
    this.#signed = note;
    for (const known of this.#roots.keys()) if (known < Math.min(size, note.size)) this.#roots.delete(known);
    return note;
  }

  /** Throws ARCHIVE_DIVERGED unless the note's root is our chain's at its size, as far as the chain was read. Notes are signed at block ends only. */
  #checkOnChain({ size, root }: SignedNote, readTo: number): void {
    if (size > readTo) return;
    const ours = this.#roots.get(size);
    if (ours !== undefined && equal(ours, root)) return;
    const { name, shard } = this.#log;
    throw new LineproofError(
      'ARCHIVE_DIVERGED',
      `cannot sign: the archive attests a root of ${name} at ${size} that is not on the accepted chain`,
      { shard, size },
    );
  }

  #open(bytes: Uint8Array): SignedNote {
    return openLogNote(bytes, this.#log.name, this.#log.verifiers);
  }
}
