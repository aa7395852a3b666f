import { openLogNote, type SignedNote } from '../core/archive/archive-anchor.ts';
import { equal, utf8, utf8Text } from '../core/base/bytes.ts';
import { LineproofError } from '../core/base/errors.ts';
import { type NoteSignature, withSignatures } from '../core/keys/note.ts';
import type { ArchivedLog } from './archived-log.ts';

/** Moves the published checkpoint of one log forward, by compare-and-swap: never back, and at one size only to more cosignatures. */
export class Publication {
  readonly #log: ArchivedLog;

  constructor(log: ArchivedLog) {
    this.#log = log;
  }

  /** Publishes a signed note with these cosignatures, unless a newer one is published already. Throws ARCHIVE_DIVERGED where another root of this size is. */
  async show({ note, size, root }: SignedNote, cosignatures: readonly NoteSignature[]): Promise<void> {
    const { objects, keys, name, shard, verifiers } = this.#log;
    for (;;) {
      const stored = await objects.get(keys.checkpoint);
      const there = stored === undefined ? undefined : openLogNote(stored.bytes, name, verifiers);
      if (stored !== undefined && there !== undefined && there.size > size) return;
      if (there?.size === size && !equal(there.root, root))
        throw new LineproofError('ARCHIVE_DIVERGED', `cannot publish: the checkpoint of ${name} at ${size} has another root`, {
          shard,
          size,
        });
      const kept = stored !== undefined && there?.size === size ? utf8Text(stored.bytes) : note;
      const next = withSignatures(kept, cosignatures);
      if (there?.note === next || (await objects.replace(keys.checkpoint, utf8(next), stored?.etag)) !== undefined) return;
    }
  }
}
