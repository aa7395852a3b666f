import { expect, test } from '@jest/globals';
import { SegmentCounts } from '../../../archiver/segment-counts.ts';
import { keyText } from '../../../chainer/order.ts';
import type { LogState } from '../../../core/acceptance/log-state.ts';
import { eventDigest } from '../../../core/formats/event.ts';
import { dedupKeyOfEvent } from '../../../core/formats/identity.ts';
import type { DedupHit } from '../../../core/ports/dedup-index.ts';
import { type BlockOptions, makeWorld, START_MICROS, testId, testSigner, type World } from '../../support/producer.ts';

const SECOND = 1_000_000;

/** Has the next block accepted, counted and applied. */
async function step(world: World, state: LogState, counts: SegmentCounts, options: BlockOptions): Promise<void> {
  const { accepted } = await world.block(state, options);
  counts.add(accepted);
  state.apply(accepted.delta);
}

test('a segment counts what its blocks say, each thing by itself', async () => {
  const other = testSigner('example.org/log/a-producer');
  const world = await makeWorld({
    policy: (policy) => ({
      ...policy,
      producers: [...policy.producers, { ...policy.producers[0], key: other.verifierKey, streams: ['b'] } as (typeof policy.producers)[0]],
    }),
  });
  const state = world.state();
  const counts = new SegmentCounts();
  const [lane, second, narrow] = [world.lane('one'), world.lane('two'), world.lane('three', other)];
  const late = world.schema.encode(world.event('a', 'late', { occurredAt: START_MICROS + 5 * SECOND }));
  const [one, two] = world.events('a', 'one', 'two') as [Uint8Array, Uint8Array];
  const repeated = await lane.next([one, two, late], { sampledOut: 4 });
  await step(world, state, counts, {
    messages: [repeated, repeated, repeated, 3, new Uint8Array(2), new Uint8Array(2), { span: 5, section: new Uint8Array(1) }],
    acceptedAt: START_MICROS + 6 * SECOND,
  });
  await step(world, state, counts, {
    messages: [
      await lane.next([one, two, ...world.events('a', 'four')], { sampledOut: 7 }),
      await lane.next([], { sampledOut: 7 }),
      await second.next([world.schema.encode(world.event('a', 'late', { occurredAt: START_MICROS - SECOND }))], { sampledOut: 2 }),
      await narrow.next(world.events('b', 'one', 'two')),
      await narrow.next(world.events('a', 'forbidden')),
    ],
    acceptedAt: START_MICROS + 9 * SECOND,
    known: knownOf(world, { one, two, late }),
  });
  expect(counts.summary()).toEqual({
    counts: {
      links: 6,
      seals: 2,
      duplicates: 2,
      conflicts: 1,
      repeated: 2,
      rejected: 8,
      empty: 3,
      sampledOut: 9,
      perProducer: [
        { producer: other.name, links: 2 },
        { producer: world.producer.name, links: 4 },
      ],
    },
    occurred: { from: START_MICROS, to: START_MICROS + 5 * SECOND },
    accepted: { from: START_MICROS + 6 * SECOND, to: START_MICROS + 9 * SECOND },
    policies: [world.policy.hex],
    offsets: [{ generation: 0, from: 0, to: 18 }],
  });
});

test('without a block there is no time at which one was accepted, nor anything else', () => {
  expect(new SegmentCounts().summary()).toMatchObject({
    counts: { links: 0, seals: 0, sampledOut: 0, perProducer: [] },
    occurred: null,
    accepted: { from: 0, to: 0 },
    policies: [],
    offsets: [],
  });
});

test('a conflict is not a rejection, and producers come in the order of their names', async () => {
  const other = testSigner('example.org/log/a-producer');
  const world = await makeWorld({
    policy: (policy) => ({
      ...policy,
      producers: [...policy.producers, { ...policy.producers[0], key: other.verifierKey } as (typeof policy.producers)[0]],
    }),
  });
  const state = world.state();
  const counts = new SegmentCounts();
  const lane = world.lane('one');
  const [one, two] = world.events('a', 'one', 'two') as [Uint8Array, Uint8Array];
  await step(world, state, counts, {
    messages: [await world.lane('first', other).next(world.events('b', 'first')), await lane.next([one, two])],
  });
  const changed = ['one', 'two'].map((word) => world.schema.encode(world.event('a', word, { occurredAt: START_MICROS + SECOND })));
  await step(world, state, counts, { messages: [await lane.next(changed)], known: knownOf(world, { one, two }) });
  expect(counts.summary().counts).toMatchObject({
    links: 3,
    conflicts: 2,
    rejected: 0,
    perProducer: [
      { producer: other.name, links: 1 },
      { producer: world.producer.name, links: 2 },
    ],
  });
});

test('times reach from the earliest, wherever it comes, and policies are in the order of their digests', async () => {
  const world = await makeWorld();
  const state = world.state();
  const counts = new SegmentCounts();
  const lane = world.lane('one');
  const times = [3, 1, 2, 5].map((seconds) => START_MICROS + seconds * SECOND);
  for (const [i, occurredAt] of times.entries()) {
    if (i > 0) await world.nextPolicy();
    await step(world, state, counts, { messages: [await lane.next([world.schema.encode(world.event('a', `${i}`, { occurredAt }))])] });
  }
  const inForce = world.policies.versions.map(({ hex }) => hex);
  expect(inForce).not.toEqual(inForce.toSorted());
  expect(counts.summary()).toMatchObject({
    occurred: { from: START_MICROS + SECOND, to: START_MICROS + 5 * SECOND },
    policies: inForce.toSorted(),
  });
});

test('the highest number of dropped events that a lane states counts, even if a later header states less', async () => {
  const world = await makeWorld();
  const [first, second] = [world.lane('one'), world.lane('two')];
  const counts = new SegmentCounts();
  await step(world, world.state(), counts, {
    messages: [
      await first.next(world.events('a', '1'), { sampledOut: 7 }),
      await second.next(world.events('a', '2'), { sampledOut: 2 }),
      await first.next(world.events('a', '3'), { sampledOut: 5 }),
    ],
  });
  expect(counts.summary().counts.sampledOut).toBe(9);
});

/** The index of a chainer that linked these events, by their words on stream `a`, in its first block. */
function knownOf(world: World, events: Readonly<Record<string, Uint8Array>>): (key: Uint8Array) => DedupHit | undefined {
  const hits = new Map(
    Object.entries(events).map(([word, bytes], logIndex) => [
      keyText(dedupKeyOfEvent('a', testId(`a ${word}`))),
      { logIndex, digest: eventDigest(world.schema.digest, bytes).slice(0, 16) },
    ]),
  );
  return (key) => hits.get(keyText(key));
}

test('producers are listed by the UTF-8 bytes of their names', async () => {
  const names = ['example.org/log/\u{1F600}', 'example.org/log/\uFF21'];
  const signers = names.map((name) => testSigner(name));
  const world = await makeWorld({
    policy: (policy) => ({
      ...policy,
      producers: signers.map(
        ({ verifierKey }) => ({ ...policy.producers[0], key: verifierKey, streams: ['*'] }) as (typeof policy.producers)[0],
      ),
    }),
  });
  const counts = new SegmentCounts();
  const messages = await Promise.all(signers.map((signer, i) => world.lane(`${i}`, signer).next(world.events('a', `${i}`))));
  await step(world, world.state(), counts, { messages });
  expect(counts.summary().counts.perProducer.map(({ producer }) => producer)).toEqual(names.toReversed());
});
