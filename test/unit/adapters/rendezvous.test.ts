import { describe, expect, test } from '@jest/globals';
import { type GroupMember, rendezvous } from '../../../adapters/kafka-group-rendezvous.ts';

const SHARDS = Array.from({ length: 64 }, (_, shard) => shard);

function members(count: number, start = 'a'): GroupMember[] {
  return Array.from({ length: count }, (_, i) => ({ name: `chainer-${i}`, id: `${start}-${i}` }));
}

/** Name of the owner of each shard. */
function owners(group: readonly GroupMember[]): string[] {
  const given = rendezvous(group, SHARDS);
  return SHARDS.map((shard) => group.find(({ id }) => given.get(id)?.includes(shard))?.name ?? '');
}

describe('shards are shared by rendezvous', () => {
  test.each([1, 2, 3, 5, 8, 64, 100])('%d members: every shard has one owner, and none has more than its share', (count) => {
    const given = rendezvous(members(count), SHARDS);
    expect([...given.values()].flat().toSorted((a, b) => a - b)).toEqual(SHARDS);
    for (const shards of given.values()) expect(shards.length).toBeLessThanOrEqual(Math.ceil(SHARDS.length / count));
  });

  test('a restart, under another id, changes nothing', () => {
    expect(owners(members(5, 'b'))).toEqual(owners(members(5, 'a')));
  });

  test('the order in which members are listed changes nothing', () => {
    expect(owners(members(5).toReversed())).toEqual(owners(members(5)));
  });

  test('a member that leaves or comes moves few shards beside its own', () => {
    const [five, six] = [owners(members(5)), owners(members(6))];
    const moved = SHARDS.filter((shard) => five[shard] !== six[shard]);
    expect(moved.length).toBeGreaterThan(0);
    // Its share is 11; an assignment by ranges would move more than half of all.
    expect(moved.length).toBeLessThan(SHARDS.length / 2);
  });

  test('two processes of one name are two members', () => {
    const twins = [
      { name: 'same', id: '1' },
      { name: 'same', id: '2' },
    ];
    expect([...rendezvous(twins, SHARDS).values()].map(({ length }) => length)).toEqual([32, 32]);
  });

  test('without members nobody gets anything', () => {
    expect(rendezvous([], SHARDS).size).toBe(0);
  });
});
