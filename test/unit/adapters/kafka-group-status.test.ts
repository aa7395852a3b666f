import { expect, test } from '@jest/globals';
import { AssignerProtocol } from 'kafkajs';
import type { DescribedGroup } from '../../../adapters/kafka-coordinator.ts';
import { shardOwners } from '../../../adapters/kafka-group-status.ts';

const { MemberMetadata, MemberAssignment } = AssignerProtocol;

function member(name: string, partitions: number[]): DescribedGroup['members'][number] {
  return {
    clientId: `client-${name}`,
    memberMetadata: MemberMetadata.encode({ version: 1, topics: ['t'], userData: Buffer.from(name) }),
    memberAssignment: MemberAssignment.encode({ version: 1, assignment: { t: partitions }, userData: Buffer.alloc(0) }),
  };
}

test('the owner of a partition is the stable name of its member, or the client id of one without', () => {
  expect([...shardOwners([member('a', [0, 2]), member('b', [1]), member('', [3])], 't')]).toEqual([
    [0, 'a'],
    [2, 'a'],
    [1, 'b'],
    [3, 'client-'],
  ]);
});

test('a group that rebalances has no owners, and is described nevertheless', () => {
  const empty = Buffer.alloc(0);
  const joining = { clientId: 'c', memberMetadata: empty, memberAssignment: empty };
  const waiting = { ...member('a', []), memberAssignment: empty };
  expect([...shardOwners([joining, waiting, member('b', [1])], 't')]).toEqual([[1, 'b']]);
});

test('a member whose metadata are not those of our members has its client id for a name', () => {
  const strange = { ...member('a', [0]), memberMetadata: Buffer.from('01', 'hex') };
  expect([...shardOwners([strange], 't')]).toEqual([[0, 'client-a']]);
});
