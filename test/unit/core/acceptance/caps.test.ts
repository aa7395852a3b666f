import { beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { accept } from '../../../../core/acceptance/accept.ts';
import { LogState, laneKey, overlay } from '../../../../core/acceptance/log-state.ts';
import { reasonName } from '../../../../core/base/reasons.ts';
import type { Policy } from '../../../../core/policy/policy-document.ts';
import type { PolicyInForce } from '../../../../core/policy/policy-history.ts';
import type { Signer } from '../../../../core/ports/signer.ts';
import { forge, honest } from '../../../support/forged-block.ts';
import { type BlockOptions, makeWorld, START_MICROS, type TestLane, testSigner, type World } from '../../../support/producer.ts';

const OTHER: Signer = testSigner('example.org/log/other');
const RETENTION_MICROS = 600_000 * 1000;

/** Versions of the policy: up to two streams and lanes, up to three, no stream. */
let world: World;
let [two, three, none]: PolicyInForce[] = [];
let state: LogState;
let lanes = 0;
let words = 0;

beforeAll(async () => {
  const capped =
    (maxStreams: number, maxLanes: number) =>
    (policy: Policy): Policy => {
      const [own] = policy.producers as [Policy['producers'][0]];
      const producers = [
        { ...own, maxStreams, maxLanes },
        { ...own, key: OTHER.verifierKey, maxStreams: 5, maxLanes: 5 },
      ];
      return { ...policy, clockSkewMs: 1000, dedupWindowMs: 200_000, laneRetentionMs: 600_000, producers };
    };
  world = await makeWorld({ policy: capped(2, 2) });
  await world.nextPolicy(capped(3, 3));
  await world.nextPolicy(capped(0, 3));
  [two, three, none] = world.policies.versions as PolicyInForce[];
});

beforeEach(() => {
  state = world.state();
});

/** A lane that nobody used yet. */
function lane(signer = world.producer): TestLane {
  lanes += 1;
  return world.lane(`lane ${lanes}`, signer);
}

/** Appends the block that a chainer makes, and says what became of each input and of its events. */
async function block(messages: BlockOptions['messages'], options: Partial<BlockOptions> = {}): Promise<string[]> {
  const { accepted } = await world.block(state, { messages, policy: two as PolicyInForce, ...options });
  state.apply(accepted.delta);
  return accepted.inputs.map(({ outcome, reason, receipts }) =>
    [outcome, reason === 0 ? [] : reasonName(reason), receipts.map((each) => `${each.position} ${reasonName(each.reason)}`)]
      .flat()
      .join(' '),
  );
}

/** What acceptance says of the block that a chainer would make under one policy, sealed under another. */
async function sealedUnder(policy: PolicyInForce, made: PolicyInForce, messages: BlockOptions['messages']): Promise<string> {
  const forgery = honest(world, state, { messages, policy: made });
  const verdict = accept(state, await forge(state, { ...forgery, seal: { ...forgery.seal, policy: policy.digest } }), world.context);
  return verdict.kind === 'refused' ? verdict.rule : verdict.kind;
}

/** An event on each stream, that was never there. */
const on = (...streams: readonly string[]): Uint8Array[] => streams.flatMap((stream) => world.events(stream, `word ${words++}`));

describe('a producer at its cap of streams', () => {
  test('begins no other stream, within a block and after it, and goes on with those that it has', async () => {
    const own = lane();
    expect(await block([await own.next(on('a', 'b', 'c', 'a', 'c'))])).toEqual(['ACCEPTED 2 STREAM_CAP 4 STREAM_CAP']);
    expect(await block([await own.next(on('c', 'b')), await own.next(on('d', 'a'))])).toEqual([
      'ACCEPTED 0 STREAM_CAP',
      'ACCEPTED 0 STREAM_CAP',
    ]);
    expect([state.streamCount, state.stream('b')?.index, state.streamsOf(world.producer.name)]).toEqual([2, 1, 2]);
  });

  test('goes on with streams that others began, and others begin what it may not', async () => {
    const [own, other] = [lane(), lane(OTHER)];
    expect(await block([await own.next(on('a', 'b')), await other.next(on('c')), await own.next(on('c'))])).toEqual([
      'ACCEPTED',
      'ACCEPTED',
      'ACCEPTED',
    ]);
    expect([state.stream('c')?.producer, state.stream('a')?.producer]).toEqual([OTHER.name, world.producer.name]);
    expect([state.streamsOf(world.producer.name), state.streamsOf(OTHER.name)]).toEqual([2, 1]);
  });

  test('has what a lower cap no longer allows, and begins nothing new; a higher one lets it begin more', async () => {
    const own = lane();
    await block([await own.next(on('a', 'b'))]);
    expect(await block([await own.next(on('a', 'b', 'c'))], { policy: three as PolicyInForce })).toEqual(['ACCEPTED']);
    expect(await block([await own.next(on('a', 'b', 'c', 'd'))], { policy: none as PolicyInForce })).toEqual(['ACCEPTED 3 STREAM_CAP']);
  });
});

describe('acceptance', () => {
  test('demands the cap of streams where a link would pass it', async () => {
    expect(await sealedUnder(two as PolicyInForce, two as PolicyInForce, [await lane().next(on('a', 'b', 'c'))])).toBe('accepted');
    expect(await sealedUnder(two as PolicyInForce, three as PolicyInForce, [await lane().next(on('a', 'b', 'c'))])).toBe('EVENT');
    await block([await lane().next(on('a', 'b'))]);
    expect(await sealedUnder(two as PolicyInForce, three as PolicyInForce, [await lane().next(on('c'))])).toBe('EVENT');
    expect(await sealedUnder(two as PolicyInForce, three as PolicyInForce, [await lane().next(on('a', 'b'))])).toBe('accepted');
  });

  test('refuses a receipt for the cap where it is not reached, before the event or at all', async () => {
    for (const streams of [
      ['a', 'b', 'c'],
      ['a', 'b', 'c', 'a'],
      ['a', 'b', 'a', 'c', 'b'],
    ])
      expect(await sealedUnder(three as PolicyInForce, two as PolicyInForce, [await lane().next(on(...streams))])).toBe('RECEIPT');
    await block([await lane().next(on('a', 'b'))]);
    expect(await sealedUnder(three as PolicyInForce, two as PolicyInForce, [await lane().next(on('c'))])).toBe('RECEIPT');
  });

  test('refuses a receipt for the cap of an event whose stream is there', async () => {
    const message = await lane().next(on('a', 'b'));
    const empty = world.state();
    // Made where the streams are not there: the cap of none refuses both.
    const forgery = honest(world, empty, { messages: [message], policy: none as PolicyInForce });
    await block([await lane().next(on('a', 'b'))]);
    const here = {
      ...honest(world, state, { messages: [message], policy: none as PolicyInForce }),
      inputs: forgery.inputs.map((input) => ({ ...input, appendedAt: state.head.appendedAt })),
      refused: forgery.refused,
      links: [],
      events: [],
    };
    const verdict = accept(state, await forge(state, here), world.context);
    expect(verdict).toMatchObject({ kind: 'refused', rule: 'RECEIPT' });
  });

  test('demands the cap of lanes', async () => {
    const messages = [await lane().next(on('a')), await lane().next(on('a')), await lane().next(on('a'))];
    expect(await sealedUnder(two as PolicyInForce, two as PolicyInForce, messages)).toBe('accepted');
    expect(await sealedUnder(two as PolicyInForce, three as PolicyInForce, messages)).toBe('LANE');
    expect(await sealedUnder(three as PolicyInForce, two as PolicyInForce, messages)).toBe('LANE');
  });
});

describe('a producer at its cap of lanes', () => {
  test('begins no other lane, and goes on with those that it has', async () => {
    const [one, other, third] = [lane(), lane(), lane()];
    const first = [await one.next(on('a')), await other.next(on('a')), await third.next(on('a')), await lane(OTHER).next(on('b'))];
    expect(await block(first)).toEqual(['ACCEPTED', 'ACCEPTED', 'REJECTED LANE_CAP', 'ACCEPTED']);
    expect(await block([await third.next(on('a')), await one.next(on('a')), await other.next(on('a'))])).toEqual([
      'REJECTED LANE_CAP',
      'ACCEPTED',
      'ACCEPTED',
    ]);
    expect([state.lanesOf(world.producer.name), state.lanesOf(OTHER.name)]).toEqual([2, 1]);
  });

  test('begins another one once the state has forgotten one, which is after the block that lets it', async () => {
    await block([await lane().next(on('a')), await lane().next(on('a'))]);
    const late = state.head.appendedAt + RETENTION_MICROS + 1_000_000;
    const [third, fourth] = [lane(), lane()];
    const time = { appendedAt: late, acceptedAt: late };
    expect(await block([await third.next(on('a'))], time)).toEqual(['REJECTED LANE_CAP']);
    expect([state.lanesOf(world.producer.name), state.lanes.size]).toEqual([0, 0]);
    expect(await block([await fourth.next(on('a'))])).toEqual(['ACCEPTED']);
  });
});

test('a view of blocks that are not applied yet counts as the state will', async () => {
  const [one, other] = [lane(), lane()];
  await block([await one.next(on('a')), await lane(OTHER).next(on('b'))]);
  let view = overlay(
    state,
    (await world.block(state, { messages: [await other.next(on('a', 'c'))], policy: two as PolicyInForce })).accepted.delta,
  );
  const late = state.head.appendedAt + RETENTION_MICROS + 1_000_000;
  const options = { messages: [await one.next(on('c', 'd'))], policy: two as PolicyInForce, appendedAt: late, acceptedAt: late };
  const { accepted } = await world.block(view, options);
  view = overlay(view, accepted.delta);
  const counted = new LogState(accepted.delta.head, [], []);
  const shown = [world.producer.name, OTHER.name].map((name) => [view.streamsOf(name), view.lanesOf(name)]);
  // The first lane went on, the second was last heard too long ago; `d` is a stream too many.
  expect(shown).toEqual([
    [2, 1],
    [1, 0],
  ]);
  expect([...view.lanesBefore(late + 1)]).toEqual([laneKey(world.producer.name, one.epoch)]);
  expect([...view.lanesBefore(late)]).toEqual([]);
  expect([counted.streamsOf(OTHER.name), counted.lanesOf(OTHER.name)]).toEqual([0, 0]);
  expect(START_MICROS).toBeLessThan(late);
});

test('a view counts no block twice when the state below it moves on', async () => {
  const [one, other] = [lane(), lane()];
  const first = await world.block(state, { messages: [await one.next(on('a'))], policy: two as PolicyInForce });
  const below = overlay(state, first.accepted.delta);
  const second = await world.block(below, { messages: [await other.next(on('b'))], policy: two as PolicyInForce });
  const view = overlay(below, second.accepted.delta);
  const { name } = world.producer;
  for (const delta of [undefined, first.accepted.delta]) {
    if (delta !== undefined) state.apply(delta);
    expect([view.streamsOf(name), view.lanesOf(name), below.streamsOf(name), below.lanesOf(name)]).toEqual([2, 2, 1, 1]);
  }
  state.apply(second.accepted.delta);
  expect([state.streamsOf(name), state.lanesOf(name)]).toEqual([2, 2]);
});

test('a state that goes on from a snapshot counts what it holds', async () => {
  await block([await lane().next(on('a', 'b')), await lane(OTHER).next(on('c'))]);
  const again = new LogState(state.head, state.streams, state.lanes);
  for (const { name } of [world.producer, OTHER])
    expect([again.streamsOf(name), again.lanesOf(name)]).toEqual([state.streamsOf(name), state.lanesOf(name)]);
  expect(again.streamsOf(world.producer.name)).toBe(2);
});
