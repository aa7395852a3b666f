import { describe, expect, test } from '@jest/globals';
import type { Verdict } from '../../auditor/verdict.ts';
import { verifyArchive } from '../../auditor/verify.ts';
import { logKeysOf } from '../../core/archive/archive-keys.ts';
import type { HeartbeatLane } from '../../core/formats/batch.ts';
import { shardOf } from '../../core/formats/shard.ts';
import { parseVerifierKey } from '../../core/keys/key.ts';
import type { Policy } from '../../core/policy/policy-document.ts';
import { ForgedArchive } from '../support/forged-archive.ts';
import {
  type BlockOptions,
  makeWorld,
  START_MICROS,
  type TestLane,
  type TestMessage,
  testSigner,
  type World,
} from '../support/producer.ts';
import { required, SECOND } from '../support/rich-archive.ts';
import { codes } from '../support/scene.ts';

type Messages = BlockOptions['messages'];

/** A log whose producer must be heard every ten seconds, by one clock: all times are seconds after its start. */
class Talk {
  readonly world: World;
  readonly home: number;
  readonly archives: readonly ForgedArchive[];
  readonly lane: TestLane;

  constructor(world: World) {
    this.world = world;
    this.home = shardOf(world.producer.name, world.shards);
    const first = new ForgedArchive(world, 0);
    this.archives = [first, ...Array.from({ length: world.shards - 1 }, (_, i) => new ForgedArchive(world, i + 1, first.objects))];
    this.lane = this.newLane('epoch');
  }

  newLane(word: string, signer = this.world.producer): TestLane {
    return this.world.lane(word, signer, shardOf(signer.name, this.world.shards));
  }

  /** A heartbeat that was signed then. */
  beat(seconds: number, lane = this.lane, lanes: readonly HeartbeatLane[] = []): Promise<TestMessage> {
    return lane.next([], { createdAt: START_MICROS + seconds * SECOND, lanes: [...lanes] });
  }

  async block(seconds: number, messages: Messages = [], shard = this.home): Promise<void> {
    const time = START_MICROS + seconds * SECOND;
    await required(this.archives[shard]).block({ messages, acceptedAt: time, appendedAt: time });
  }

  close(shard = this.home): Promise<void> {
    return required(this.archives[shard]).close();
  }

  async verify(): Promise<Verdict> {
    return verifyArchive(required(this.archives[0]).objects, { keys: [parseVerifierKey(this.world.root.verifierKey)] });
  }

  /** How long a producer was silent, by the findings of a verdict. */
  async silences(): Promise<string[]> {
    const { findings } = await this.verify();
    return findings
      .filter(({ code }) => code === 'SILENCE')
      .map(({ message }) => message.replace(/^.* (was silent for .* s) from .*:(\d\d).*$/, '$1 from $2'));
  }

  /** A next policy under which producers must be heard so often; null: not at all. */
  async demand(heartbeatMs: number | null): Promise<void> {
    await this.world.nextPolicy((policy) => ({ ...policy, producers: policy.producers.map((each) => ({ ...each, heartbeatMs })) }));
  }
}

async function talk(change: Partial<Policy> = {}, heartbeatMs: number | null = 10_000, shards = 1): Promise<Talk> {
  const world = await makeWorld({
    shards,
    policy: (policy) => ({
      ...policy,
      segmentMaxAgeMs: 10_000,
      clockSkewMs: 0,
      producers: policy.producers.map((entry) => ({ ...entry, heartbeatMs })),
      ...change,
    }),
  });
  return new Talk(world);
}

describe('silence', () => {
  test('of a producer that is obliged and never appears is open, from the first block that obliges it to the end of the last closed segment', async () => {
    const given = await talk();
    await given.block(0, [1]);
    await given.block(30);
    await given.close();
    const verdict = await given.verify();
    expect([verdict.result, codes(verdict), codes(verdict, 'OPEN')]).toEqual(['OPEN', [], ['COMPLETE SILENCE']]);
    expect(verdict.findings.find(({ code }) => code === 'SILENCE')?.message).toBe(
      'example.org/log/producer must be heard every 10 s and was silent for 30 s from 2026-01-01T00:00:00.000Z on',
    );
  });

  test.each([
    ['the whole interval between heartbeats', 0, []],
    ['a microsecond more', 1, ['was silent for 10 s from 05']],
  ])('is measured to the microsecond: %s', async (_, micros, found) => {
    const given = await talk();
    await given.block(0);
    await given.block(5, [await given.beat(5)]);
    await given.block(20, [await given.beat(15 + micros / SECOND)]);
    await given.block(24);
    await given.close();
    expect(await given.silences()).toEqual(found);
  });

  test('leaves room for the clock skew', async () => {
    const given = await talk({ clockSkewMs: 2000 });
    await given.block(0);
    await given.block(12, [await given.beat(12)]);
    await given.block(24);
    await given.close();
    expect(await given.silences()).toEqual([]);
  });

  test('is not broken by batches: only a heartbeat states how far all lanes are', async () => {
    const given = await talk();
    await given.block(0);
    for (const time of [5, 10, 15]) await given.block(time, [await given.lane.next(given.world.events('a', `${time}`))]);
    await given.close();
    expect(await given.silences()).toEqual(['was silent for 15 s from 00']);
  });

  test('does not end with a final statement: only a policy ends the duty', async () => {
    const given = await talk();
    await given.block(0, [await given.beat(0, given.lane, [{ epoch: given.lane.epoch, shard: 0, number: 1, seq: 0, final: true }])]);
    await given.block(30);
    await given.close();
    const verdict = await given.verify();
    expect(codes(verdict, 'OPEN')).toEqual(['COMPLETE SILENCE']);
  });

  test('counts the heartbeats of all epochs by the times at which they were signed, in whatever order they came', async () => {
    const given = await talk();
    const other = given.newLane('other');
    await given.block(0);
    await given.block(20, [await given.beat(8), await given.beat(18)]);
    await given.block(22, [await other.next([], { createdAt: START_MICROS + 13 * SECOND })]);
    await given.block(25);
    await given.close();
    expect(await given.silences()).toEqual([]);
  });

  test('is not a late arrival: heartbeats that waited are a note', async () => {
    const given = await talk();
    await given.block(0);
    const waiting: TestMessage[] = [];
    for (const time of [9, 18, 27, 36]) waiting.push(await given.beat(time));
    await given.block(40, waiting);
    await given.close();
    const verdict = await given.verify();
    expect([codes(verdict, 'OPEN'), codes(verdict, 'NOTE')]).toEqual([['COMPLETE LANE_OPEN'], ['ORDER CLOCK_OR_DELAY']]);
  });

  test('is not hidden by heartbeats that are dated late or ahead', async () => {
    const given = await talk();
    await given.block(0);
    await given.block(8, [await given.beat(1), await given.beat(1000)]);
    await given.block(16, [await given.beat(2)]);
    await given.close();
    expect(await given.silences()).toEqual(['was silent for 14 s from 02']);
  });

  test('is broken by a statement of several pages only once it is complete', async () => {
    const given = await talk();
    const page = Array.from({ length: 80 }, (_, i) => ({ epoch: given.newLane(`${i}`).epoch, shard: 0, number: 0, seq: 0, final: false }));
    await given.block(0);
    await given.block(9, [await given.beat(9, given.lane, page)]);
    await given.block(12);
    await given.close();
    expect(await given.silences()).toEqual(['was silent for 12 s from 00']);
    await given.block(14, [await given.beat(9)]);
    await given.block(15);
    await given.close();
    expect(await given.silences()).toEqual([]);
  });
});

describe('the duty to be heard', () => {
  test('begins with the first block whose policy says so, and ends with the last', async () => {
    const given = await talk({}, null);
    await given.block(0);
    await given.block(46, [await given.beat(46)]);
    await given.demand(10_000);
    await given.block(50);
    await given.block(58);
    await given.demand(null);
    await given.block(99);
    await given.close();
    expect(await given.silences()).toEqual([]);
  });

  test('goes on under the next policy: its longer interval counts for a gap that it came in, and no other', async () => {
    const given = await talk();
    await given.block(0);
    await given.block(9, [await given.beat(9)]);
    await given.demand(30_000);
    await given.block(12, [1]);
    await given.block(35, [await given.beat(35)]);
    await given.demand(10_000);
    await given.block(36);
    await given.block(37, [await given.beat(37)]);
    await given.block(59);
    await given.close();
    expect(await given.silences()).toEqual(['was silent for 22 s from 37']);
  });

  test('is that of the active keys of a producer alone, by the shortest of their intervals', async () => {
    const given = await talk();
    const { world } = given;
    const other = testSigner('example.org/log/other');
    await given.block(0);
    await world.nextPolicy((policy) => {
      const entry = required(policy.producers[0]);
      return {
        ...policy,
        producers: [
          { ...entry, status: 'RETIRED' },
          { ...entry, key: testSigner(world.producer.name, 'fresh').verifierKey, heartbeatMs: null },
          { ...entry, key: other.verifierKey, heartbeatMs: 20_000 },
          { ...entry, key: testSigner(other.name, 'second').verifierKey, heartbeatMs: 60_000 },
        ],
      };
    });
    await given.block(5);
    await given.block(30);
    await given.close();
    const { findings } = await given.verify();
    expect(findings.filter(({ code }) => code === 'SILENCE').map(({ message }) => message)).toEqual([
      expect.stringMatching(/^example\.org\/log\/other must be heard every 20 s and was silent for 25 s/),
    ]);
  });

  test('is not judged in the open tail', async () => {
    const given = await talk();
    await given.block(0, [await given.beat(0)]);
    await given.block(9, [await given.beat(9)]);
    await given.close();
    await given.block(60, [1]);
    await required(given.archives[0]).publish();
    expect(await given.silences()).toEqual([]);
  });

  test('is not judged where evidence of the home shard is missing', async () => {
    const given = await talk();
    await given.block(0, [1]);
    await given.block(30);
    await given.close();
    required(given.archives[0]).objects.map.delete(logKeysOf(0).evidence(0, 2));
    expect(await given.silences()).toEqual([]);
  });
});

describe('the home shard of a producer', () => {
  test.each([
    ['as far as segments may be old', 19, []],
    ['further', 20, ['was silent for 11 s from 09']],
  ])('that is behind another one, %s', async (_, seconds, found) => {
    const given = await talk({}, 10_000, 2);
    const away = 1 - given.home;
    for (const shard of [given.home, away]) await given.block(0, [1], shard);
    await given.block(9, [await given.beat(9)]);
    await given.close();
    await given.block(seconds, [1], away);
    await given.close(away);
    expect(await given.silences()).toEqual(found);
  });

  test('that is empty, or has no closed segment, hides nobody', async () => {
    const given = await talk({}, 10_000, 2);
    const away = 1 - given.home;
    for (const seconds of [0, 25]) await given.block(seconds, [1], away);
    await given.close(away);
    const found = ['was silent for 25 s from 00'];
    expect(await given.silences()).toEqual(found);
    await given.block(24, [await given.beat(10)]);
    await required(given.archives[given.home]).publish();
    expect(await given.silences()).toEqual(found);
  });

  test('that only began has no duty yet', async () => {
    const given = await talk({ segmentMaxAgeMs: 60_000 }, 10_000, 2);
    const away = 1 - given.home;
    for (const seconds of [0, 25]) await given.block(seconds, [1], away);
    await given.close(away);
    expect(await given.silences()).toEqual([]);
  });
});
