import { sha256 } from '#crypto';
import { toHex, utf8 } from '../core/base/bytes.ts';

/** One process of a group: the name that stays over restarts, and the id that the group gave it this time. */
export interface GroupMember {
  readonly name: string;
  readonly id: string;
}

/** Gives each shard to the member whose name scores highest for it, but none gets more than its share. A restart moves no shard, a new member few. Returns the shards by member id. */
export function rendezvous(members: readonly GroupMember[], shards: readonly number[]): ReadonlyMap<string, readonly number[]> {
  const share = Math.ceil(shards.length / Math.max(1, members.length));
  const given = new Map<string, number[]>(members.map(({ id }) => [id, []]));
  for (const shard of shards) {
    const ranked = members
      .filter(({ id }) => (given.get(id) as number[]).length < share)
      .map(({ name, id }) => ({ id, score: `${toHex(sha256(utf8(`${shard} ${name}`)))} ${id}` }))
      .toSorted((a, b) => (a.score < b.score ? 1 : -1));
    const [first] = ranked;
    if (first !== undefined) given.get(first.id)?.push(shard);
  }
  return given;
}
