import { hasCode } from '../base/errors.ts';
import { parseStampReply } from '../keys/time-stamp.ts';
import type { ObjectStore } from '../ports/object-store.ts';
import { logKeysOf, parseArchiveKey } from './archive-keys.ts';

/** The newest time stamp of an authority that a shard's archive holds, as it states itself; nothing is verified. */
export interface ListedStamp {
  /** Leaves of the note that it is named for. */
  readonly size: number;
  /** Microseconds; undefined where it cannot be read. */
  readonly genTime: number | undefined;
}

/** The newest time stamp of each authority in one shard's archive that covers no more than `upTo` leaves, by the authority's name: anybody can plant a larger name. */
export async function newestStamps(objects: ObjectStore, shard: number, upTo: number): Promise<ReadonlyMap<string, ListedStamp>> {
  const keys = logKeysOf(shard);
  const sizes = new Map<string, number>();
  for await (const { key } of objects.list(keys.timestamps)) {
    const place = placeOf(key);
    if (place?.kind === 'timestamp' && place.size <= upTo)
      sizes.set(place.authority, Math.max(place.size, sizes.get(place.authority) ?? 0));
  }
  const stamps = new Map<string, ListedStamp>();
  for (const [authority, size] of sizes) {
    const stored = await objects.get(keys.timestamp(size, authority));
    stamps.set(authority, { size, genTime: stored === undefined ? undefined : statedTime(stored.bytes) });
  }
  return stamps;
}

/** The place of an object; undefined for a name that nobody of ours gave it. */
function placeOf(key: string): ReturnType<typeof parseArchiveKey> | undefined {
  try {
    return parseArchiveKey(key);
  } catch (error) {
    if (hasCode(error, 'FORMAT_INVALID')) return undefined;
    throw error;
  }
}

function statedTime(reply: Uint8Array): number | undefined {
  try {
    const stamp = parseStampReply(reply);
    return 'refused' in stamp ? undefined : stamp.genTime;
  } catch (error) {
    if (hasCode(error, 'FORMAT_INVALID')) return undefined;
    throw error;
  }
}
