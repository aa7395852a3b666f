import { type logKeysOf, parseArchiveKey } from '../core/archive/archive-keys.ts';
import { utf8Text } from '../core/base/bytes.ts';
import { cosignersOf, isQuorum } from '../core/keys/cosigners.ts';
import type { VerifierKey } from '../core/keys/key.ts';
import { openNote } from '../core/keys/note.ts';
import type { WitnessPolicy } from '../core/keys/witness-policy.ts';
import type { ObjectStore } from '../core/ports/object-store.ts';

/** Kept notes that are looked at behind the published one. */
const KEPT = 8;

/** The newest note in a store with a quorum of witnesses. */
export interface NewestQuorum {
  readonly size: number;
  /** When the last of them cosigned it, by its clock: seconds since 1970. */
  readonly time: number;
}

/** Looks at the published note, and at the newest of those that are kept; undefined where none of them has a quorum. Throws SIGNATURE_INVALID on a note that the log did not sign. */
export async function newestQuorum(
  objects: ObjectStore,
  keys: ReturnType<typeof logKeysOf>,
  logKeys: readonly VerifierKey[],
  policy: WitnessPolicy,
): Promise<NewestQuorum | undefined> {
  const kept: number[] = [];
  for await (const { key } of objects.list(`${keys.folder}/checkpoints/`)) {
    const place = parseArchiveKey(key);
    if (place.kind === 'checkpointAt') kept.push(place.size);
  }
  const newest = kept.toSorted((a, b) => b - a).slice(0, KEPT);
  for (const name of [keys.checkpoint, ...newest.map((size) => keys.checkpointAt(size))]) {
    const stored = await objects.get(name);
    if (stored === undefined) continue;
    const { text, unknown } = openNote(utf8Text(stored.bytes), logKeys);
    const { good } = cosignersOf(
      text,
      unknown,
      policy.witnesses.map(({ key }) => key),
    );
    if (policy.quorum !== 'none' && isQuorum(policy, good))
      return { size: Number(text.split('\n')[1]), time: Math.max(...good.map(({ time }) => time)) };
  }
  return undefined;
}
