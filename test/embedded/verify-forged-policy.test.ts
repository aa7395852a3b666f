import { describe, expect, test } from '@jest/globals';
import { frame } from '../../core/avro/framing.ts';
import { LIMITS } from '../../core/base/limits.ts';
import { REASONS, reasonName } from '../../core/base/reasons.ts';
import type { BatchHeader } from '../../core/formats/batch.ts';
import { forgedSignature } from '../support/forged-batch.ts';
import { BATCH_SCHEMA_ID, type BlockOptions, type TestMessage, testSigner } from '../support/producer.ts';
import { richWorld } from '../support/rich-archive.ts';
import { codes, makeScene, Scene } from '../support/scene.ts';
import { changeInput, changeLink, expectFound, firstOf, refuse, SEVENS, type Violation } from '../support/violation.ts';

test('the first seal of a log names a policy that is not there: POLICY', async () => {
  const scene = new Scene(await richWorld());
  await scene.block([1], ({ seal }) => (seal.policy = SEVENS));
  await scene.archive.publish();
  expect(codes(await scene.verify())).toEqual(['POLICY POLICY_MISSING']);
});

/** Messages that are refused, each for another reason. */
async function faulty({ world }: Scene): Promise<BlockOptions['messages']> {
  const batch = (word: string, header: Partial<BatchHeader> = {}, signer = world.producer): Promise<TestMessage> =>
    world.lane(word, signer).next(world.events('a', word), header);
  const good = await batch('good');
  return [
    new Uint8Array(LIMITS.messageBytes + 1),
    new Uint8Array([1, 2, 3]),
    frame(BATCH_SCHEMA_ID + 1, good.value.subarray(5)),
    frame(BATCH_SCHEMA_ID, new Uint8Array(3)),
    await world.message(new Uint8Array(3), good.events),
    await batch('origin', { origin: 'example.org/other' }),
    await batch('shard', { shard: 1 }),
    await batch('large', { count: LIMITS.batchEvents + 1 }),
    await batch('count', { count: 3 }),
    await batch('count of a stranger', { count: 3 }, testSigner('stranger')),
    await batch('stranger', {}, testSigner('stranger')),
    forgedSignature(await batch('forged')),
    await batch('schema', { schema: SEVENS }),
    await batch('root', { root: SEVENS }),
  ];
}

describe('decisions about input', () => {
  const rows: readonly Violation[] = [
    { name: 'a link is marked without a gap', failed: ['POLICY MARKS_WRONG'], spoil: (forgery) => changeLink(forgery, 1, { marks: 1 }) },
    {
      name: 'a link after a gap is not marked',
      failed: ['COMPLETE GAP', 'POLICY MARKS_WRONG'],
      messages: async (scene) => {
        await scene.say('left out');
        return [await scene.say('x')];
      },
      spoil: (forgery) => changeLink(forgery, 0, { marks: 0 }),
    },
    ...(
      [
        'HEADER_MALFORMED',
        'ORIGIN_WRONG',
        'SHARD_WRONG',
        'LANES_WRONG',
        'KEY_UNKNOWN',
        'KEY_NOT_ACTIVE',
        'SIGNATURE_WRONG',
        'SCHEMA_NOT_IN_FORCE',
        'LANE_FORK',
        'FRAMING_INVALID',
      ] as const
    ).map(
      (name): Violation => ({
        name: `a good batch is rejected as ${name}`,
        failed: ['COMPLETE GAP', 'POLICY REASON_WRONG'],
        spoil: (forgery, _, given) => refuse(forgery, firstOf(given), { outcome: 'REJECTED', reason: REASONS[name] }),
      }),
    ),
    {
      name: 'a batch is rejected as too large, which its header does not contradict',
      failed: ['COMPLETE GAP'],
      spoil: (forgery, _, given) => refuse(forgery, firstOf(given), { outcome: 'REJECTED', reason: REASONS.BATCH_TOO_LARGE }),
    },
    {
      name: 'a bad signature is called a wrong root',
      failed: ['COMPLETE GAP', 'POLICY REASON_WRONG'],
      messages: async (scene) => [forgedSignature(await scene.say('x'))],
      spoil: (forgery) => changeInput(forgery, 0, { reason: REASONS.ROOT_WRONG }),
    },
    ...([REASONS.HEADER_MALFORMED, REASONS.LANE_FORK] as const).map(
      (reason): Violation => ({
        name: `a message that can be taken apart is rejected without its header, as ${reasonName(reason)}`,
        failed: ['COMPLETE GAP', 'POLICY REASON_WRONG'],
        spoil: (forgery, _, given) => refuse(forgery, firstOf(given), { outcome: 'REJECTED', reason, batch: null }),
      }),
    ),
    {
      name: 'a batch that jumps ahead in its lane is rejected as a fork',
      failed: ['COMPLETE GAP', 'POLICY REASON_WRONG'],
      messages: async (scene) => {
        await scene.say('left out');
        return [await scene.say('x')];
      },
      spoil: (forgery, _, given) => refuse(forgery, firstOf(given), { outcome: 'REJECTED', reason: REASONS.LANE_FORK }),
    },
    {
      name: 'messages that are not batches, and batches with every fault that their header shows, are rejected as such',
      failed: [],
      messages: faulty,
    },
    {
      name: 'a batch of another origin is called one with another number of events',
      failed: ['POLICY REASON_WRONG'],
      messages: async ({ world }) => [await world.lane('foreign').next(world.events('a', 'x'), { origin: 'example.org/other' })],
      spoil: (forgery) => changeInput(forgery, 0, { reason: REASONS.COUNT_WRONG }),
    },
    {
      name: 'a fork is rejected as such',
      failed: [],
      messages: async ({ world }) => [await world.lane('scene').next(world.events('a', 'x'))],
    },
  ];
  test.each(rows)('$name: $failed', expectFound);

  test('a seal goes back to an earlier policy: POLICY', async () => {
    const scene = await makeScene();
    const first = scene.world.policy;
    await scene.world.nextPolicy();
    await scene.block([await scene.say('x')]);
    await scene.block([await scene.say('y')], undefined, { policy: first });
    expect(codes(await scene.end())).toEqual(['POLICY POLICY_BACK']);
  });

  test('a policy of a later format level: POLICY', async () => {
    const scene = await makeScene();
    await scene.world.nextPolicy((policy) => ({ ...policy, formatLevel: 2 }));
    await scene.block([await scene.say('x')]);
    expect(codes(await scene.end())).toEqual(['POLICY FORMAT_LEVEL']);
  });
});
