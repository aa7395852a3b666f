import { describe, expect, test } from '@jest/globals';
import { acceptAnyway } from '../support/forged-batch.ts';
import { rechain } from '../support/forged-block.ts';
import { START_MICROS } from '../support/producer.ts';
import { SECOND } from '../support/rich-archive.ts';
import { codes, makeScene } from '../support/scene.ts';
import { changeInput, changeLink, expectFound, firstOf, speech, twice, type Violation } from '../support/violation.ts';

describe('order', () => {
  const rows: readonly Violation[] = [
    {
      name: 'a link has another time than its seal',
      failed: ['ORDER LINK_TIME'],
      spoil: (forgery) => changeLink(forgery, 1, { acceptedAt: 1 }),
    },
    {
      name: 'the events of a batch change places',
      failed: ['ORDER LINK_ORDER'],
      spoil: (forgery, { archive }) => {
        forgery.links = rechain(archive.state, forgery.links.toReversed());
        forgery.events.reverse();
      },
    },
    {
      name: 'two batches of a lane change places',
      failed: ['ORDER LINK_ORDER'],
      messages: async (scene) => [await scene.say('x', 'y'), await scene.say('z')],
      spoil: (forgery, { archive }) => {
        forgery.links = rechain(archive.state, [...forgery.links.slice(2), ...forgery.links.slice(0, 2)]);
        forgery.events.push(...forgery.events.splice(0, 2));
      },
    },
    {
      name: 'the block was accepted before the one that it follows',
      failed: ['ORDER ACCEPTED_BACK'],
      options: ({ archive }) => ({ acceptedAt: archive.state.head.acceptedAt - 1 }),
    },
    {
      name: 'the input was appended before the one that it follows',
      failed: ['ORDER APPENDED_BACK'],
      spoil: (forgery) => changeInput(forgery, 0, { appendedAt: START_MICROS }),
    },
    {
      name: 'the input was appended later than its block was made, by more than the clock skew',
      failed: ['ORDER APPENDED_AHEAD'],
      spoil: (forgery, { time, world }) => changeInput(forgery, 0, { appendedAt: time + world.policy.policy.clockSkewMs * 1000 + 1 }),
    },
    {
      name: 'a fork of a lane is accepted',
      failed: ['COMPLETE LANE_BACK', 'ORDER LANE_WRONG'],
      messages: async ({ world }) => [await world.lane('scene').next(world.events('a', 'x'))],
      spoil: (forgery, { archive }, given) => acceptAnyway(archive.state, forgery, firstOf(given)),
    },
    {
      name: 'the last batch of a lane is accepted again',
      failed: ['ORDER LANE_WRONG', 'UNIQUE LINKED_TWICE'],
      notes: ['UNIQUE REPLAY'],
      messages: async (scene) => twice(await scene.say('x')),
      spoil: (forgery, { archive }, given) => acceptAnyway(archive.state, forgery, firstOf(given)),
    },
    {
      name: 'a block has the time of the one before',
      failed: [],
      options: ({ archive }) => ({ acceptedAt: archive.state.head.acceptedAt }),
    },
    {
      name: 'a producer’s clock runs ahead by what is allowed',
      failed: [],
      notes: [],
      messages: async ({ world, lane, time }) => [await lane.next(world.events('a', 'x'), { createdAt: time + 3 * SECOND })],
    },
    {
      name: 'a producer’s clock runs behind, or its batch waited, by what is allowed',
      failed: [],
      notes: [],
      messages: async ({ world, lane, time }) => [await lane.next(world.events('a', 'x'), { createdAt: time + SECOND })],
    },
    {
      name: 'a producer’s clock runs behind, or its batch waited: a report',
      failed: [],
      notes: ['ORDER CLOCK_OR_DELAY'],
      messages: async ({ world, lane, time }) => [await lane.next(world.events('a', 'x'), { createdAt: time - 60 * SECOND })],
    },
    {
      name: 'a producer’s clock runs ahead: a report',
      failed: [],
      notes: ['ORDER CLOCK_SKEW'],
      messages: async ({ world, lane, time }) => [await lane.next(world.events('a', 'x'), { createdAt: time + 60 * SECOND })],
    },
  ];
  test.each(rows)('$name: $failed', expectFound);
});

test('a new policy lets the time of acceptance step back', async () => {
  const scene = await makeScene();
  await scene.world.nextPolicy();
  await scene.block(await speech(scene), undefined, { acceptedAt: scene.archive.state.head.acceptedAt - SECOND });
  expect(codes(await scene.end())).toEqual([]);
});

test('a lane is held for exactly as long as the policy says', async () => {
  const scene = await makeScene();
  const lane = scene.world.lane('held');
  const event = (word: string): Uint8Array[] => scene.world.events('a', word);
  await scene.block([await lane.next(event('first'))]);
  const until = scene.archive.state.head.appendedAt + 600 * SECOND;
  await scene.block([await scene.say('x')], undefined, { appendedAt: until, acceptedAt: until });
  await scene.archive.close();
  await scene.block([await lane.next(event('second'))], undefined, { appendedAt: until, acceptedAt: until });
  scene.time = until;
  expect(codes(await scene.end())).toEqual([]);
});
