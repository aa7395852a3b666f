import { describe, expect, test } from '@jest/globals';
import { aliveProblem, readyProblem, type ShardHealth, ShardSight } from '../../../cluster/service-health.ts';
import type { HoldState } from '../../../core/base/hold.ts';
import type { GroupState } from '../../../core/ports/shard-group.ts';

const MEMBER: GroupState = {
  member: true,
  heardAgeMs: 800,
  heardForMs: 3_600_000,
  turnAgeMs: 900,
  commitWaitsMs: 1_200,
  committed: new Map(),
  problem: undefined,
  commitProblem: undefined,
};
const RESTED = { held: undefined, restMs: 3_600_000 };
const NOT_HEARD = { ...MEMBER, heardAgeMs: 75_000, heardForMs: 0, problem: 'no broker answers' };
const SEEN = { lag: 0, stillMs: 0, unreadMs: undefined, problem: undefined };
const SHARD: ShardHealth = { shard: 3, consumedTo: 7, hold: RESTED, sight: SEEN };
const STALLED = { ...SHARD, sight: { ...SEEN, lag: 5, stillMs: 61_000 } };
const UNREAD = { ...SHARD, sight: { ...SEEN, unreadMs: 61_000, problem: 'no answer within 10000 ms' } };

function away(forMs: number): HoldState {
  return { held: { reason: 'UNAVAILABLE', text: 'Redis does not answer', forMs }, restMs: 900 };
}

describe('healthz', () => {
  test.each<[string, GroupState, readonly ShardHealth[]]>([
    ['work makes progress', MEMBER, [{ ...SHARD, sight: { ...SEEN, lag: 5, stillMs: 59_000 } }]],
    ['there is nothing to do', MEMBER, [{ ...SHARD, sight: { ...SEEN, stillMs: 3_600_000 } }]],
    ['a shard recovers', MEMBER, [{ ...SHARD, consumedTo: undefined, sight: undefined }]],
    ['a shard with input waits for a server that is away', MEMBER, [{ ...STALLED, hold: away(99_000) }]],
    ['no broker answers, neither for the group nor for the shard', NOT_HEARD, [UNREAD]],
    [
      'no broker answers, and the lag that was seen last is old',
      NOT_HEARD,
      [{ ...UNREAD, sight: { ...UNREAD.sight, lag: 5, stillMs: 99_000 } }],
    ],
    ['a shard waited for a server until lately', MEMBER, [{ ...STALLED, hold: { ...RESTED, restMs: 59_000 } }]],
    ['brokers answer again since lately', { ...MEMBER, heardForMs: 59_000 }, [STALLED, UNREAD]],
    ['the group does not take this process', { ...MEMBER, member: false, heardAgeMs: undefined, problem: 'no coordinator' }, []],
    ['commits do not take', { ...MEMBER, commitWaitsMs: 3_600_000 }, [SHARD]],
  ])('is well if %s', (_, group, shards) => {
    expect(aliveProblem(group, shards)).toBeUndefined();
  });

  test.each<[string, GroupState, readonly ShardHealth[], string]>([
    ['a shard with input stands still and waits for nothing', MEMBER, [SHARD, STALLED], 'no progress on shard 3 for 61 s'],
    [
      'an idle shard cannot be read while the group answers',
      MEMBER,
      [UNREAD],
      'shard 3 cannot be read for 61 s: no answer within 10000 ms',
    ],
    ['the membership hangs', { ...MEMBER, turnAgeMs: 61_000 }, [], 'the membership hangs in a call for 61 s'],
    [
      'several things are wrong: a line each',
      { ...MEMBER, turnAgeMs: 61_000 },
      [STALLED],
      'the membership hangs in a call for 61 s\nno progress on shard 3 for 61 s',
    ],
  ])('is not if %s', (_, group, shards, problem) => {
    expect(aliveProblem(group, shards)).toBe(problem);
  });
});

describe('readyz', () => {
  test('is well for a member that hears the group, commits, and works on its shards', () => {
    expect(readyProblem(MEMBER, [SHARD])).toBeUndefined();
    expect(readyProblem(MEMBER, [])).toBeUndefined();
    expect(readyProblem(MEMBER, [{ ...SHARD, hold: away(1_900), sight: { ...SEEN, unreadMs: 9_000 } }])).toBeUndefined();
  });

  test.each<[string, GroupState, readonly ShardHealth[] | undefined, string]>([
    [
      'not joined',
      { ...MEMBER, member: false, problem: 'no coordinator' },
      undefined,
      'not in the group: no coordinator\nno shards were given yet',
    ],
    ['no heartbeat', NOT_HEARD, [SHARD], 'no heartbeat for 75 s: no broker answers'],
    ['commits', { ...MEMBER, commitWaitsMs: 31_000, commitProblem: 'refused' }, [SHARD], 'commits do not take for 31 s: refused'],
    ['held', MEMBER, [{ ...SHARD, hold: away(2_100) }], 'shard 3 held: Redis does not answer'],
    ['recovering', MEMBER, [SHARD, { ...SHARD, shard: 4, consumedTo: undefined }], 'recovering shard 4'],
    ['not read', MEMBER, [UNREAD], 'shard 3 cannot be read for 61 s: no answer within 10000 ms'],
  ])('says why not: %s', (_, group, shards, problem) => {
    expect(readyProblem(group, shards)).toBe(problem);
  });
});

describe('the sight of a shard', () => {
  test('stands still from the last move on, as long as something waits', () => {
    const sight = new ShardSight();
    sight.begin(1000);
    sight.saw(5, 10, 1000);
    sight.begin(3000);
    sight.saw(5, 12, 3000);
    expect(sight.state(4000)).toEqual({ lag: 12, stillMs: 3000, unreadMs: undefined, problem: undefined });
    sight.saw(6, 11, 5000);
    expect(sight.state(6000).stillMs).toBe(1000);
    sight.saw(6, 0, 9000);
    sight.saw(6, 1, 10_000);
    expect(sight.state(10_500).stillMs).toBe(1500);
  });

  test('is unread from the first look that failed, or goes on, after one that succeeded', () => {
    const sight = new ShardSight();
    sight.saw(5, 0, 1000);
    expect(sight.state(60_000).unreadMs).toBeUndefined();
    sight.begin(61_000);
    expect(sight.state(62_000)).toMatchObject({ unreadMs: 1000, problem: undefined });
    sight.failed('no answer');
    sight.begin(65_000);
    expect(sight.state(66_000)).toMatchObject({ unreadMs: 5000, problem: 'no answer' });
    sight.saw(5, 0, 67_000);
    expect(sight.state(68_000)).toMatchObject({ unreadMs: undefined, problem: undefined });
  });
});
