import { describe, expect, test } from '@jest/globals';
import type { BatchHeader } from '../../core/formats/batch.ts';
import { acceptAnyway } from '../support/forged-batch.ts';
import { rechain } from '../support/forged-block.ts';
import { required, SECOND } from '../support/rich-archive.ts';
import { codes, makeScene, type Scene } from '../support/scene.ts';
import { changeLink, expectFound, firstOf, SEVENS, speech, type Violation } from '../support/violation.ts';

describe('a new generation of the input', () => {
  const renewed = async (): Promise<Scene> => {
    const scene = await makeScene();
    await scene.world.nextPolicy((policy) => ({ ...policy, inputGeneration: { generation: 1, firstOffsets: [7] } }));
    return scene;
  };

  test.each([
    ['as the policy names it', 1, 7, []],
    ['of a later number', 2, 7, ['COMPLETE INPUT_GENERATION']],
    ['from another offset', 1, 8, ['COMPLETE INPUT_GENERATION']],
  ])('%s', async (_, inputGeneration, inputFrom, failed) => {
    const scene = await renewed();
    await scene.block(await speech(scene), undefined, { inputGeneration, inputFrom });
    expect(codes(await scene.end())).toEqual(failed);
  });

  test('is not left again, even under the policy before', async () => {
    const scene = await makeScene();
    const before = scene.world.policy;
    await scene.world.nextPolicy((policy) => ({ ...policy, inputGeneration: { generation: 1, firstOffsets: [7] } }));
    await scene.block(await speech(scene), undefined, { inputGeneration: 1, inputFrom: 7 });
    await scene.block([await scene.say('back')], undefined, { inputGeneration: 0, inputFrom: 0, policy: before });
    const verdict = await scene.verify();
    expect(codes(verdict)).toEqual([]);
    await scene.archive.close();
    expect(codes(await scene.verify())).toEqual(expect.arrayContaining(['COMPLETE INPUT_GENERATION', 'POLICY POLICY_BACK']));
  });
});

describe('completeness', () => {
  const rows: readonly Violation[] = [
    {
      name: 'input is left out before the block',
      failed: ['COMPLETE INPUT_HOLE'],
      options: ({ archive }) => ({ inputFrom: archive.state.head.inputTo + 5 }),
    },
    {
      name: 'the input goes on in a generation that no policy names',
      failed: ['COMPLETE INPUT_GENERATION'],
      options: () => ({ inputGeneration: 1 }),
    },
    {
      name: 'the evidence accounts for less than the seal consumes',
      failed: ['COMPLETE OFFSETS'],
      spoil: ({ seal }, { archive }) => (seal.inputTo = archive.state.head.inputTo + 5),
    },
    {
      name: 'an event of a batch is dropped',
      failed: ['COMPLETE EVENTS_MISSING'],
      spoil: (forgery) => {
        forgery.links.pop();
        forgery.events.pop();
      },
    },
    {
      name: 'an event is linked twice over another one of its batch',
      failed: ['COMPLETE EVENTS_MISSING', 'COMPLETE POSITION', 'ORDER LINK_ORDER', 'UNIQUE LINKED_TWICE'],
      spoil: (forgery, { archive }) => {
        const link = required(forgery.links[0]);
        forgery.links = rechain(archive.state, [link, link]);
        forgery.events = [required(forgery.events[0]), required(forgery.events[0])];
      },
    },
    {
      name: 'a link has a position that its batch does not have',
      failed: ['COMPLETE EVENTS_MISSING', 'COMPLETE POSITION'],
      spoil: (forgery) => changeLink(forgery, 1, { position: 2 }),
    },
    {
      name: 'a batch of a lane is left out',
      failed: ['COMPLETE GAP'],
      messages: async (scene) => {
        await scene.say('left out', 'this too');
        return [await scene.say('x')];
      },
    },
    {
      name: 'a batch that follows another header than its lane’s last is accepted',
      failed: ['COMPLETE LANE_PREVIOUS', 'ORDER LANE_WRONG'],
      messages: async ({ world, lane }) => [await lane.next(world.events('a', 'x'), { previous: SEVENS })],
      spoil: (forgery, { archive }, given) => acceptAnyway(archive.state, forgery, firstOf(given)),
    },
    {
      name: 'a lane leaves out sequence numbers',
      failed: ['COMPLETE GAP'],
      messages: async ({ world, lane }) => {
        lane.seq += 4;
        return [await lane.next(world.events('a', 'x'))];
      },
    },
    {
      name: 'a heartbeat of a lane is left out',
      failed: ['COMPLETE GAP'],
      messages: async (scene) => {
        await scene.lane.next([]);
        return [await scene.say('x')];
      },
    },
    {
      name: 'a lane uses sequence numbers again',
      failed: ['COMPLETE SEQUENCE'],
      messages: async ({ world, lane }) => {
        lane.seq -= 1;
        return [await lane.next(world.events('a', 'x'))];
      },
    },
    ...[
      { what: 'batches and events', number: 4, seq: 12 },
      { what: 'only a heartbeat', number: 2, seq: 0 },
      { what: 'only events', number: 1, seq: 5 },
    ].map(
      ({ what, ...stated }): Violation => ({
        name: `a final statement says that more was sent, ${what}: the tail was cut`,
        failed: ['COMPLETE GAP'],
        messages: async ({ world }) => {
          const lane = world.lane('cut');
          return [await lane.next([], { lanes: [{ epoch: lane.epoch, shard: 0, ...stated, final: true }] })];
        },
      }),
    ),
    {
      name: 'a lane goes on after a statement that is not its last',
      failed: [],
      notes: [],
      messages: async ({ world }) => {
        const [lane, other] = [world.lane('going on'), world.lane('other')];
        const lanes = [{ epoch: lane.epoch, shard: 0, number: 1, seq: 1, final: false }];
        return [await lane.next(world.events('a', 'x')), await other.next([], { lanes }), await lane.next(world.events('a', 'y'))];
      },
    },
    {
      name: 'a lane went on after its end, and its end is stated again',
      failed: [],
      notes: [],
      messages: async ({ world }) => {
        const [lane, other] = [world.lane('ended'), world.lane('other')];
        const end = (number: number): BatchHeader['lanes'] => [{ epoch: lane.epoch, shard: 0, number, seq: number, final: true }];
        return [
          await lane.next(world.events('a', 'x')),
          await other.next([], { lanes: end(1) }),
          await lane.next(world.events('a', 'y')),
          await other.next([], { lanes: end(2) }),
        ];
      },
    },
    {
      name: 'fewer batches are stated than before, so that a cut tail would not show',
      failed: ['COMPLETE GAP'],
      notes: ['COMPLETE STATEMENT_BACK'],
      messages: async ({ world }) => {
        const [lane, other] = [world.lane('cut'), world.lane('other')];
        const end = (number: number): BatchHeader['lanes'] => [{ epoch: lane.epoch, shard: 0, number, seq: number, final: true }];
        return [await lane.next(world.events('a', 'x')), await other.next([], { lanes: end(2) }), await other.next([], { lanes: end(1) })];
      },
    },
    {
      name: 'a spool that was set back: a lane is stated shorter than before, and all of it is there',
      failed: [],
      notes: ['COMPLETE STATEMENT_BACK'],
      messages: async ({ world }) => {
        const [lane, other] = [world.lane('set back'), world.lane('other')];
        const end = (number: number): BatchHeader['lanes'] => [{ epoch: lane.epoch, shard: 0, number, seq: number, final: true }];
        const sent = [await lane.next(world.events('a', 'x')), await lane.next(world.events('a', 'y'))];
        return [...sent, await other.next([], { lanes: end(2) }), await other.next([], { lanes: end(1) })];
      },
    },
    {
      name: 'fewer events are stated as sampled out than before',
      failed: [],
      notes: ['COMPLETE STATEMENT_BACK'],
      messages: async ({ world }) => {
        const lane = world.lane('sampled');
        return [await lane.next(world.events('a', 'x'), { sampledOut: 7 }), await lane.next(world.events('a', 'y'), { sampledOut: 6 })];
      },
    },
    {
      name: 'a lane went on after it was stated as ended: a copied spool',
      failed: [],
      notes: ['COMPLETE COPIED_SPOOL'],
      messages: async ({ world }) => {
        const [lane, other] = [world.lane('copied'), world.lane('other')];
        const lanes = [{ epoch: lane.epoch, shard: 0, number: 1, seq: 1, final: true }];
        const sent = [await lane.next(world.events('a', 'x')), await lane.next(world.events('a', 'y'))];
        return [...sent, await other.next([], { lanes: [...lanes, { epoch: other.epoch, shard: 0, number: 1, seq: 0, final: true }] })];
      },
    },
  ];
  test.each(rows)('$name: $failed', expectFound);

  test('the tail of a lane is missing as soon as its own shard says so', async () => {
    const scene = await makeScene();
    await scene.block([await scene.say('x')]);
    scene.time += 20 * SECOND;
    const lane = scene.world.lane('cut');
    await scene.block([await lane.next([], { lanes: [{ epoch: lane.epoch, shard: 0, number: 2, seq: 1, final: true }] })]);
    await scene.archive.close();
    expect(codes(await scene.verify())).toEqual(['COMPLETE GAP']);
  });

  test('the dropped events that producers state are counted, once for each lane', async () => {
    const scene = await makeScene();
    const [first, second] = [scene.world.lane('first'), scene.world.lane('second')];
    await scene.block([
      await first.next(scene.world.events('a', 'x'), { sampledOut: 2 }),
      await first.next(scene.world.events('a', 'y'), { sampledOut: 3 }),
      await second.next(scene.world.events('a', 'z'), { sampledOut: 4 }),
    ]);
    const verdict = await scene.end();
    expect([codes(verdict), verdict.properties.COMPLETE.counts['sampledOut']]).toEqual([[], 7]);
  });

  test('the highest number of dropped events that a lane states is counted, even if a later header states less', async () => {
    const scene = await makeScene();
    const lane = scene.world.lane('first');
    await scene.block([
      await lane.next(scene.world.events('a', 'x'), { sampledOut: 3 }),
      await lane.next(scene.world.events('a', 'y'), { sampledOut: 2 }),
    ]);
    const verdict = await scene.end();
    expect([codes(verdict), verdict.properties.COMPLETE.counts['sampledOut']]).toEqual([[], 3]);
  });

  test('an end that was stated stays stated, whatever is said of the lane later', async () => {
    const scene = await makeScene();
    const [ended, other] = [scene.world.lane('ended'), scene.world.lane('other')];
    const end = { epoch: ended.epoch, shard: 0, number: 1, seq: 1 };
    const own = { epoch: other.epoch, shard: 0, number: 2, seq: 0, final: true };
    await scene.block([
      await ended.next(scene.world.events('a', 'x')),
      await other.next([], { lanes: [{ ...end, final: true }] }),
      await other.next([], { lanes: [{ ...end, final: false }, own] }),
    ]);
    const verdict = await scene.end();
    expect([codes(verdict), codes(verdict, 'OPEN')]).toEqual([[], []]);
  });

  test('a gap names the missing events', async () => {
    const scene = await makeScene();
    await scene.say('left out', 'this too');
    await scene.block([await scene.say('x')]);
    const gap = (await scene.end()).findings.find(({ code }) => code === 'GAP');
    expect(gap?.message).toContain('batches 6 and events 12–13');
    const other = await makeScene();
    await other.lane.next([]);
    await other.block([await other.say('x')]);
    expect((await other.end()).findings.find(({ code }) => code === 'GAP')?.message).toContain('batches 6 and events none');
  });
});
