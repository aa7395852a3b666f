import { describe, expect, test } from '@jest/globals';
import type { GroupCalls, Joined, Membership } from '../../../adapters/kafka-group-wire.ts';
import { KafkaShardGroup } from '../../../adapters/kafka-shard-group.ts';
import { LineproofError } from '../../../core/base/errors.ts';
import { TestLogger, testClock } from '../../support/memory.ts';

type Call = 'join' | 'sync' | 'heartbeat' | 'commit' | 'leave';
type Step = Error | 'hang';

function refusal(type: string): Error {
  return Object.assign(new Error(type), { type });
}

/** A coordinator that refuses as the test says, call by call, and else takes everything; shards are those of `shares`, one assignment after the other. */
class ScriptedCoordinator implements GroupCalls {
  readonly story: string[] = [];
  readonly refusals: Record<Call, (Step | undefined)[]> = { join: [], sync: [], heartbeat: [], commit: [], leave: [] };
  readonly shares: number[][];
  /** Called at each heartbeat, with their number. */
  onHeartbeat: (count: number) => void = () => undefined;
  #generation = 0;
  #heartbeats = 0;
  #ids = 0;

  constructor(...shares: number[][]) {
    this.shares = shares;
  }

  async #step(call: Call, words: string): Promise<void> {
    this.story.push(words);
    const step = this.refusals[call].shift();
    if (step === 'hang') await new Promise(() => undefined);
    if (step instanceof Error) throw step;
  }

  async join(memberId: string): Promise<Joined> {
    await this.#step('join', `join as '${memberId}'`);
    this.#generation++;
    return { memberId: memberId === '' ? `id${++this.#ids}` : memberId, generationId: this.#generation, members: [] };
  }

  async sync({ memberId, generationId }: Joined): Promise<ReadonlySet<number>> {
    await this.#step('sync', `sync ${memberId} ${generationId}`);
    return new Set(this.shares.length > 1 ? this.shares.shift() : this.shares[0]);
  }

  async heartbeat({ memberId, generationId }: Membership): Promise<void> {
    this.onHeartbeat(++this.#heartbeats);
    await this.#step('heartbeat', `heartbeat ${memberId} ${generationId}`);
  }

  async commit({ generationId }: Membership, offsets: ReadonlyMap<number, number>): Promise<void> {
    await this.#step('commit', `commit ${generationId} ${[...offsets].map(([shard, offset]) => `${shard}:${offset}`).join(' ')}`);
  }

  async leave(memberId: string): Promise<void> {
    await this.#step('leave', `leave ${memberId}`);
  }

  async members(): Promise<number> {
    return 1;
  }

  forget(): void {
    this.story.push('forget');
  }

  async close(): Promise<void> {
    this.story.push('close');
  }
}

interface Scene {
  readonly group: KafkaShardGroup;
  readonly calls: ScriptedCoordinator;
  readonly logger: TestLogger;
  readonly stop: AbortController;
  /** Runs the member until this many heartbeats were sent. */
  run(heartbeats: number): Promise<void>;
}

function scene(...shares: number[][]): Scene {
  const calls = new ScriptedCoordinator(...shares);
  const [logger, stop] = [new TestLogger(), new AbortController()];
  const group = new KafkaShardGroup(calls, { groupId: 'g', logger, clock: testClock() });
  const changed = async (shards: ReadonlySet<number>): Promise<void> => void calls.story.push(`own ${[...shards].join(' ')}`);
  const run = async (heartbeats: number): Promise<void> => {
    const watched = calls.onHeartbeat;
    calls.onHeartbeat = (count) => {
      watched(count);
      if (count >= heartbeats) stop.abort();
    };
    await group.join(changed, stop.signal);
  };
  return { group, calls, logger, stop, run };
}

/** What was asked of the coordinator up to the end of the membership, without commits. */
function asked(story: readonly string[]): readonly string[] {
  return story.slice(0, story.indexOf('own ')).filter((words) => !words.startsWith('commit'));
}

describe('a member of a group', () => {
  test('joins, takes its shards, sends heartbeats, and at the end stops its work, leaves, and cuts the connections', async () => {
    const { calls, group, run } = scene([0, 2]);
    const owned: boolean[] = [];
    calls.onHeartbeat = () => owned.push(group.owns(0), group.owns(1));
    await run(2);
    expect(calls.story).toEqual([
      "join as ''",
      'sync id1 1',
      'own 0 2',
      'heartbeat id1 1',
      'heartbeat id1 1',
      'own ',
      'leave id1',
      'close',
    ]);
    expect(owned).toEqual([true, false, true, false]);
    expect([group.owns(0), group.state().member]).toEqual([false, false]);
  });

  test.each(['REBALANCE_IN_PROGRESS', 'ILLEGAL_GENERATION'])(
    '%s: joins again with its id, and keeps its shards meanwhile',
    async (type) => {
      const { calls, run } = scene([0, 1], [1]);
      calls.refusals.heartbeat = [undefined, refusal(type)];
      await run(3);
      expect(asked(calls.story)).toEqual([
        "join as ''",
        'sync id1 1',
        'own 0 1',
        'heartbeat id1 1',
        'heartbeat id1 1',
        "join as 'id1'",
        'sync id1 2',
        'own 1',
        'heartbeat id1 2',
      ]);
    },
  );

  test.each<[string, boolean]>([
    ['REBALANCE_IN_PROGRESS', true],
    ['ILLEGAL_GENERATION', true],
    ['NOT_COORDINATOR_FOR_GROUP', true],
    ['UNKNOWN_MEMBER_ID', false],
    ['FENCED_INSTANCE_ID', false],
  ])('after %s, whether it still owns its shards: %s', async (type, owns) => {
    const { calls, group, run } = scene([0]);
    calls.refusals.heartbeat = [undefined, refusal(type), refusal('BROKER_NOT_AVAILABLE')];
    calls.refusals.join = [undefined, refusal('BROKER_NOT_AVAILABLE')];
    const seen: unknown[] = [];
    const { join, heartbeat } = calls;
    calls.join = async (memberId) => {
      seen.push([group.owns(0), group.state().member]);
      return join.call(calls, memberId);
    };
    calls.heartbeat = async (member) => {
      seen.push([group.owns(0), group.state().member]);
      return heartbeat.call(calls, member);
    };
    await run(4);
    // Before the join, the first and the second heartbeat; then after the refusal.
    expect(seen.slice(0, 4)).toEqual([
      [false, false],
      [true, true],
      [true, true],
      [owns, owns],
    ]);
  });

  test.each(['UNKNOWN_MEMBER_ID', 'FENCED_INSTANCE_ID'])('%s: joins as a new member, and goes on with its work meanwhile', async (type) => {
    const { calls, run } = scene([0]);
    calls.refusals.heartbeat = [refusal(type)];
    await run(2);
    expect(asked(calls.story)).toEqual([
      "join as ''",
      'sync id1 1',
      'own 0',
      'heartbeat id1 1',
      "join as ''",
      'sync id2 2',
      'own 0',
      'heartbeat id2 2',
    ]);
  });

  test.each([
    refusal('NOT_COORDINATOR_FOR_GROUP'),
    refusal('GROUP_COORDINATOR_NOT_AVAILABLE'),
    refusal('GROUP_LOAD_IN_PROGRESS'),
    refusal('BROKER_NOT_AVAILABLE'),
    refusal('A_CODE_OF_TOMORROW'),
    Object.assign(new Error('Failed to find group coordinator'), { name: 'KafkaJSGroupCoordinatorNotFound', retriable: false }),
    new LineproofError('UNAVAILABLE', 'cannot share the shards: no answer within 5000 ms'),
    new TypeError('of the library'),
  ])('%s at a heartbeat: sends it again, in the same generation', async (error) => {
    const { calls, run } = scene([0]);
    calls.refusals.heartbeat = [undefined, error, error];
    await run(4);
    expect(asked(calls.story)).toEqual(["join as ''", 'sync id1 1', 'own 0', ...Array(4).fill('heartbeat id1 1')]);
  });

  test('the same at a join or a sync: joins again', async () => {
    const { calls, run } = scene([0]);
    calls.refusals.join = [refusal('GROUP_COORDINATOR_NOT_AVAILABLE'), refusal('GROUP_LOAD_IN_PROGRESS')];
    calls.refusals.sync = [refusal('NOT_COORDINATOR_FOR_GROUP'), refusal('REBALANCE_IN_PROGRESS'), refusal('UNKNOWN_MEMBER_ID')];
    await run(1);
    expect(asked(calls.story)).toEqual([
      "join as ''",
      "join as ''",
      "join as ''",
      'sync id1 1',
      "join as 'id1'",
      'sync id1 2',
      "join as 'id1'",
      'sync id1 3',
      "join as ''",
      'sync id2 4',
      'own 0',
      'heartbeat id2 4',
    ]);
  });

  test('without an answered heartbeat for the session it owns nothing, says so, and joins again as often as it takes', async () => {
    const { calls, group, logger, run } = scene([0]);
    const away = refusal('BROKER_NOT_AVAILABLE');
    calls.refusals.heartbeat = [undefined, ...Array(40).fill(away)];
    const seen: [boolean, string | undefined][] = [];
    calls.onHeartbeat = () => seen.push([group.owns(0), group.state().problem]);
    calls.refusals.join = [undefined, ...Array(10).fill(away)];
    await run(43);
    const joins = calls.story.filter((words) => words.startsWith('join'));
    expect(joins.length).toBeGreaterThan(2);
    expect(joins.slice(1).every((words) => words === "join as 'id1'")).toBe(true);
    expect(seen[3]).toEqual([true, 'cannot share the shards as g: BROKER_NOT_AVAILABLE']);
    expect(seen.some(([owns]) => !owns)).toBe(true);
    expect(seen.at(-1)).toEqual([true, undefined]);
    expect(logger.lines).toEqual(['warn the group does not answer; trying again']);
  });

  test.each([
    ['GROUP_AUTHORIZATION_FAILED', /chainGroup, archiveGroup/],
    ['TOPIC_AUTHORIZATION_FAILED', /not authorised for the topic/],
    ['CLUSTER_AUTHORIZATION_FAILED', /not authorised for the cluster/],
    ['INCONSISTENT_GROUP_PROTOCOL', /chainGroup, archiveGroup/],
    ['INVALID_GROUP_ID', /chainGroup, archiveGroup/],
    ['INVALID_SESSION_TIMEOUT', /group\.min\.session\.timeout\.ms/],
  ])('%s, wherever it comes: once it passes; lasting, the work ends, and the error names the setting', async (type, setting) => {
    for (const call of ['join', 'sync', 'heartbeat', 'commit'] as const) {
      const once = scene([0]);
      once.calls.refusals[call] = [refusal(type)];
      once.calls.onHeartbeat = () => once.group.committed(0, 1);
      await once.run(20);
      const { calls, group, run } = scene([0]);
      calls.refusals[call] = Array(2_000).fill(refusal(type));
      calls.onHeartbeat = () => group.committed(0, 1);
      const error = await run(2_000).catch((thrown: unknown) => thrown);
      expect([call, error]).toEqual([call, expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringMatching(setting) })]);
      expect(calls.story).toContain('own ');
      expect(calls.story.at(-1)).toBe('close');
    }
  });

  test('a coordinator that answers nothing does not keep it from ending', async () => {
    const { calls, stop, run } = scene([0]);
    calls.refusals.join = ['hang'];
    const ended = run(1);
    await new Promise((resolve) => setImmediate(resolve));
    stop.abort();
    await ended;
    expect(calls.story).toEqual(["join as ''", 'own ', 'close']);
  });

  test('may join again after its membership ended, as a new member', async () => {
    const { calls, group, run } = scene([0]);
    calls.refusals.heartbeat = Array(2_000).fill(refusal('GROUP_AUTHORIZATION_FAILED'));
    await expect(run(2_000)).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    expect(group.state()).toMatchObject({ member: false, heardAgeMs: undefined, commitWaitsMs: undefined });
    calls.refusals.heartbeat = [];
    calls.story.length = 0;
    await run(3);
    expect(calls.story.filter((words) => words.startsWith('join'))).toEqual(["join as ''"]);
  });

  test('heartbeats go on until the work on the shards has ended', async () => {
    const { calls, group, stop } = scene([0]);
    let finish = (): void => undefined;
    const working = new Promise<void>((resolve) => {
      finish = resolve;
    });
    calls.onHeartbeat = (count) => {
      if (count === 1) stop.abort();
      if (count === 5) finish();
    };
    await group.join(async (shards) => (shards.size === 0 ? working : undefined), stop.signal);
    expect(calls.story.filter((words) => words.startsWith('heartbeat')).length).toBeGreaterThanOrEqual(5);
    expect(calls.story.slice(-2)).toEqual(['leave id1', 'close']);
  });
});

describe('commits', () => {
  function commits(story: readonly string[]): readonly string[] {
    return story.filter((words) => words.startsWith('commit'));
  }

  test('that fail are sent again; a newer offset replaces an older one; what the group took is told, and nothing else', async () => {
    const { calls, group, run } = scene([0, 1]);
    calls.refusals.commit = [refusal('NOT_COORDINATOR_FOR_GROUP'), refusal('REQUEST_TIMED_OUT')];
    const told: unknown[] = [];
    calls.onHeartbeat = (count) => {
      if (count === 1) group.committed(0, 5);
      if (count === 1) group.committed(1, 7);
      if (count === 3) group.committed(0, 6);
      told.push([...group.state().committed]);
    };
    await run(20);
    expect(commits(calls.story).at(0)).toBe('commit 1 0:5 1:7');
    expect(commits(calls.story).at(-1)).toBe('commit 1 0:6 1:7');
    expect(told[0]).toEqual([]);
    expect(told.at(-1)).toEqual([
      [0, 6],
      [1, 7],
    ]);
    expect(group.state().commitWaitsMs).toBeUndefined();
  });

  test('of shards that went to others are given up: an old offset must not replace a newer one of theirs', async () => {
    const { calls, group, run } = scene([0, 1], [1]);
    calls.refusals.commit = Array(3).fill(refusal('REBALANCE_IN_PROGRESS'));
    calls.refusals.heartbeat = [undefined, undefined, refusal('REBALANCE_IN_PROGRESS')];
    calls.onHeartbeat = (count) => {
      if (count === 2) group.committed(0, 5);
      if (count === 2) group.committed(1, 7);
      if (count === 5) group.committed(0, 9);
    };
    await run(20);
    expect(
      commits(calls.story)
        .filter((words) => words.startsWith('commit 2'))
        .at(-1),
    ).toBe('commit 2 1:7');
    expect(calls.story.filter((words) => /^commit 2.* 0:/.test(words))).toEqual([]);
  });

  test('that do not take while heartbeats do make the member look for the coordinator and join again within a minute, and say so', async () => {
    const clock = testClock();
    const calls = new ScriptedCoordinator([0]);
    const group = new KafkaShardGroup(calls, { groupId: 'g', logger: new TestLogger(), clock });
    const stop = new AbortController();
    calls.refusals.commit = Array(1000).fill(refusal('NOT_COORDINATOR_FOR_GROUP'));
    const said: string[] = [];
    calls.onHeartbeat = (count) => {
      if (count === 1) group.committed(0, 5);
      const { commitProblem, commitWaitsMs = 0 } = group.state();
      if (commitWaitsMs > 15_000 && commitProblem !== undefined) said.push(commitProblem);
      if (clock.monotonicMs() - startMs > 60_000) stop.abort();
    };
    const startMs = clock.monotonicMs();
    await group.join(async () => undefined, stop.signal);
    expect(said[0]).toMatch(/commit offsets of the group g: NOT_COORDINATOR_FOR_GROUP/);
    const joins = calls.story.flatMap((words, at) => (words.startsWith('join') ? [calls.story.slice(Math.max(0, at - 1), at + 1)] : []));
    expect(joins).toEqual([["join as ''"], ['forget', "join as 'id1'"], ['forget', "join as 'id1'"]]);
  });

  test('of the last offsets are sent before the member leaves', async () => {
    const { calls, group, run } = scene([0]);
    calls.onHeartbeat = () => group.committed(0, 5);
    await run(1);
    expect(calls.story.slice(-3)).toEqual(['commit 1 0:5', 'leave id1', 'close']);
  });
});
