import { beforeAll, describe, expect, test } from '@jest/globals';
import { sha256 } from '#crypto';
import { type Intake, lookupKeys, type Ordered, order } from '../../../chainer/order.ts';
import { overlay } from '../../../core/acceptance/log-state.ts';
import { toHex } from '../../../core/base/bytes.ts';
import { LIMITS } from '../../../core/base/limits.ts';
import { REASONS } from '../../../core/base/reasons.ts';
import { eventDigest } from '../../../core/formats/event.ts';
import { decodeLeaf, type Link, MARKS } from '../../../core/formats/leaf.ts';
import { decodeRejected } from '../../../core/formats/rejected.ts';
import { leafHash } from '../../../core/tree/hash.ts';
import { type BlockOptions, makeWorld, START_MICROS, type TestLane, type TestMessage, type World } from '../../support/producer.ts';
import { ShardParts } from '../../support/shard-parts.ts';

/** Where an identity or header was seen before the message under test. */
type Place = 'nowhere' | 'in this block' | 'in flight' | 'pending' | 'in the index';
const KNOWN_PLACES: readonly Place[] = ['in this block', 'in flight', 'pending', 'in the index'];
const MALFORMED = new Uint8Array([1, 2, 3]);

let world: World;

beforeAll(async () => {
  world = await makeWorld({
    policy: (policy) => ({ ...policy, producers: policy.producers.map((producer) => ({ ...producer, streams: ['a', 'b'] })) }),
  });
});

/** An event of stream `a` with the identity of `word` and other content. */
function otherContent(word: string): Uint8Array {
  return world.schema.encode(world.event('a', word, { attributes: [{ key: 'word', value: `another ${word}` }] }));
}

function allowed(word: string): Uint8Array {
  return world.events('a', word)[0] as Uint8Array;
}

/** A shard that met `before` in `place`, one message to a block. */
async function meet(place: Place, before: readonly TestMessage[]): Promise<ShardParts> {
  const parts = new ShardParts(world, 1_000);
  await parts.sync.lookup([], parts.signal);
  for (const message of before) {
    if (place === 'in flight') await parts.launch({ messages: [message] });
    if (place !== 'pending' && place !== 'in the index') continue;
    await parts.append({ messages: [message] });
    await parts.tail();
  }
  if (place !== 'in the index') return parts;
  parts.nowMs += 1_000;
  await parts.sync.lookup([], parts.signal);
  expect(parts.index.size(0)).toBeGreaterThan(0);
  return parts;
}

interface Outcome {
  readonly intakes: readonly Intake[];
  readonly ordered: Ordered;
}

/** What becomes of `messages` after `before` was met in `place`; those of this block come first in it. */
async function orderAfter(place: Place, before: readonly TestMessage[], messages: BlockOptions['messages']): Promise<Outcome> {
  const parts = await meet(place, before);
  const intakes = world.intakes(parts.top, { messages: place === 'in this block' ? [...before, ...messages] : messages });
  const known = await parts.sync.lookup(intakes.flatMap(lookupKeys), parts.signal);
  if (known === undefined) throw new Error('the watermark of the index should be the expected one');
  const rules = { acceptedAt: START_MICROS, inputGeneration: 0, laneRetentionMicros: 1e12, clockSkewMicros: 1e12 };
  return { intakes, ordered: order(parts.top, intakes, known, rules) };
}

/** The entry of the last message, in short. */
function lastInput({ ordered: { inputs } }: Outcome): { outcome: string; reason: number; receipts: (string | number | null)[][] } {
  const { outcome = 'none', reason = -1, receipts = [] } = inputs.at(-1) ?? {};
  return { outcome, reason, receipts: receipts.map((receipt) => [receipt.position, receipt.outcome, receipt.reason, receipt.original]) };
}

/** The links of the last message. */
function lastLinks({ intakes, ordered }: Outcome): Link[] {
  const offset = intakes.at(-1)?.offset;
  return ordered.links.map((bytes) => decodeLeaf(bytes) as Link).filter(({ inputOffset }) => inputOffset === offset);
}

/** Position and marks of the links of the last message. */
function linked(outcome: Outcome): number[][] {
  return lastLinks(outcome).map(({ position, marks }) => [position, marks]);
}

/** What is kept of the last message for `provenance.rejected`. */
function kept({ intakes, ordered }: Outcome): (string | number)[][] {
  const offset = intakes.at(-1)?.offset;
  return ordered.rejected
    .map(decodeRejected)
    .filter(({ inputOffset }) => inputOffset === offset)
    .map(({ position, outcome, reason, bytes }) => [position, outcome, reason, toHex(sha256(bytes))]);
}

function hashOf(bytes: Uint8Array): string {
  return toHex(sha256(bytes));
}

describe('an event of an accepted batch', () => {
  test('is linked if its identity is not known', async () => {
    const outcome = await orderAfter('nowhere', [], [await world.lane('one').next([allowed('x')])]);
    expect([lastInput(outcome), linked(outcome), kept(outcome)]).toEqual([{ outcome: 'ACCEPTED', reason: 0, receipts: [] }, [[0, 0]], []]);
  });

  test.each(KNOWN_PLACES)('leaves a DUPLICATE receipt where its identity is known %s with the same content', async (place) => {
    const before = [await world.lane('one').next([allowed('w'), allowed('x')])];
    const outcome = await orderAfter(place, before, [await world.lane('two').next([allowed('x'), allowed('y')])]);
    expect(lastInput(outcome)).toEqual({ outcome: 'ACCEPTED', reason: 0, receipts: [[0, 'DUPLICATE', 0, 1]] });
    expect([linked(outcome), kept(outcome)]).toEqual([[[1, 0]], []]);
  });

  test.each(KNOWN_PLACES)('leaves a CONFLICT receipt and its bytes where it is known %s with other content', async (place) => {
    const before = [await world.lane('one').next([allowed('w'), allowed('x')])];
    const outcome = await orderAfter(place, before, [await world.lane('two').next([otherContent('x'), allowed('y')])]);
    expect(lastInput(outcome)).toEqual({ outcome: 'ACCEPTED', reason: 0, receipts: [[0, 'CONFLICT', 0, 1]] });
    expect(linked(outcome)).toEqual([[1, 0]]);
    expect(kept(outcome)).toEqual([[0, 'CONFLICT', 0, hashOf(otherContent('x'))]]);
  });

  test('leaves a DUPLICATE receipt where its own batch has it twice', async () => {
    const outcome = await orderAfter('nowhere', [], [await world.lane('one').next([allowed('x'), allowed('x'), otherContent('x')])]);
    expect(lastInput(outcome).receipts).toEqual([
      [1, 'DUPLICATE', 0, 0],
      [2, 'CONFLICT', 0, 0],
    ]);
    expect(linked(outcome)).toEqual([[0, 0]]);
  });

  test.each<[string, number, () => Uint8Array]>([
    ['that nobody can read', REASONS.EVENT_MALFORMED, () => MALFORMED],
    ['on a stream that its producer must not write', REASONS.STREAM_NOT_PERMITTED, () => world.events('c', 'x')[0] as Uint8Array],
  ])('%s leaves a REJECTED receipt and its bytes', async (_, reason, event) => {
    const outcome = await orderAfter('nowhere', [], [await world.lane('one').next([event(), allowed('y')])]);
    expect(lastInput(outcome).receipts).toEqual([[0, 'REJECTED', reason, null]]);
    expect([linked(outcome), kept(outcome)]).toEqual([[[1, 0]], [[0, 'REJECTED', reason, hashOf(event())]]]);
  });

  test('names its identity in a REJECTED receipt where it can be read', async () => {
    const { ordered } = await orderAfter('nowhere', [], [await world.lane('one').next([MALFORMED, ...world.events('c', 'x')])]);
    expect(ordered.inputs[0]?.receipts.map(({ id }) => id)).toEqual([null, world.event('c', 'x').id]);
  });
});

describe('a batch whose header continues its lane', () => {
  /** Two messages of one lane, then events of each fate: known, contradicted, refused, new, new. */
  async function scene(header: (lane: TestLane) => Parameters<TestLane['next']>[1]): Promise<[TestMessage[], TestMessage]> {
    const lane = world.lane('one');
    const before = [await lane.next([allowed('x')]), await lane.next([allowed('y')])];
    const events = [allowed('x'), otherContent('y'), MALFORMED, allowed('z'), allowed('zz')];
    return [before, await lane.next(events, header(lane))];
  }

  const RECEIPTS = (first: number, second: number) => [
    [0, 'DUPLICATE', 0, first],
    [1, 'CONFLICT', 0, second],
    [2, 'REJECTED', REASONS.EVENT_MALFORMED, null],
  ];

  for (const place of KNOWN_PLACES) {
    // In one block the second link is leaf 1; else the seal of the first block is.
    const second = place === 'in this block' ? 1 : 2;

    test(`NEXT, after headers known ${place}: its events are judged one by one, and no link has a mark`, async () => {
      const [before, message] = await scene(() => ({}));
      const outcome = await orderAfter(place, before, [message]);
      expect(lastInput(outcome)).toEqual({ outcome: 'ACCEPTED', reason: 0, receipts: RECEIPTS(0, second) });
      expect(linked(outcome)).toEqual([
        [3, 0],
        [4, 0],
      ]);
      expect(kept(outcome).map(([position, what]) => [position, what])).toEqual([
        [1, 'CONFLICT'],
        [2, 'REJECTED'],
      ]);
    });

    test(`GAP, after headers known ${place}: the same, and its first link says that there is a gap before it`, async () => {
      const [before, message] = await scene((lane) => ({ number: lane.number + 1, firstSeq: lane.seq + 5 }));
      const outcome = await orderAfter(place, before, [message]);
      expect(lastInput(outcome)).toEqual({ outcome: 'ACCEPTED', reason: 0, receipts: RECEIPTS(0, second) });
      expect(linked(outcome)).toEqual([
        [3, MARKS.gapBefore],
        [4, 0],
      ]);
    });

    test(`FORK, after headers known ${place}: it is refused as a whole, and its bytes are kept`, async () => {
      const [before, message] = await scene((lane) => ({ number: lane.number - 1, firstSeq: lane.seq - 1 }));
      const outcome = await orderAfter(place, before, [message]);
      expect(lastInput(outcome)).toEqual({ outcome: 'REJECTED', reason: REASONS.LANE_FORK, receipts: [] });
      expect(linked(outcome)).toEqual([]);
      expect(kept(outcome)).toEqual([[-1, 'REJECTED', REASONS.LANE_FORK, hashOf(message.value)]]);
      expect(outcome.ordered.inputs.at(-1)?.message).toEqual(sha256(message.value));
    });

    test.each([0, 1])(`REPEATED, its header known ${place} as number %s: nothing of it is linked, refused or kept`, async (number) => {
      const [before] = await scene(() => ({}));
      const outcome = await orderAfter(place, before, [before[number] as TestMessage]);
      expect(lastInput(outcome)).toEqual({ outcome: 'REPEATED', reason: 0, receipts: [] });
      expect([linked(outcome), kept(outcome)]).toEqual([[], []]);
      expect(outcome.ordered.inputs.at(-1)?.message).toBeNull();
    });
  }

  test('GAP, at the first header of its lane that comes: its first link says that there is a gap before it', async () => {
    const message = await world.lane('late').next([allowed('x')], { number: 3, firstSeq: 3, previous: new Uint8Array(32).fill(7) });
    expect(linked(await orderAfter('nowhere', [], [message]))).toEqual([[0, MARKS.gapBefore]]);
  });

  test('makes the lane that the next header of the same block is judged by; a fork and a repeated header do not', async () => {
    const lane = world.lane('one');
    const [first, second] = [await lane.next([allowed('x')]), await lane.next([allowed('y')])];
    const fork = await world.lane('one').next([allowed('fork')]);
    const third = await lane.next([allowed('fork'), allowed('z')]);
    const { ordered } = await orderAfter('nowhere', [], [first, fork, second, first, third]);
    expect(ordered.inputs.map(({ outcome }) => outcome)).toEqual(['ACCEPTED', 'REJECTED', 'ACCEPTED', 'REPEATED', 'ACCEPTED']);
    // What a refused batch holds is not known afterwards.
    expect(ordered.inputs.at(-1)?.receipts).toEqual([]);
    expect(ordered.links).toHaveLength(4);
  });
});

describe('a message that is not a batch', () => {
  test('is refused for its reason, and its bytes are kept', async () => {
    const outcome = await orderAfter('nowhere', [], [MALFORMED]);
    expect(lastInput(outcome)).toEqual({ outcome: 'REJECTED', reason: REASONS.FRAMING_INVALID, receipts: [] });
    expect(kept(outcome)).toEqual([[-1, 'REJECTED', REASONS.FRAMING_INVALID, hashOf(MALFORMED)]]);
  });

  test('is kept up to the limit, with its whole size and digest', async () => {
    const large = new Uint8Array(LIMITS.rejectedBytes + 1);
    const { ordered } = await orderAfter('nowhere', [], [large]);
    const record = decodeRejected(ordered.rejected[0] as Uint8Array);
    expect([record.size, record.bytes.length, record.digest]).toEqual([large.length, LIMITS.rejectedBytes, sha256(large)]);
  });

  test('may be offsets at which the log holds nothing: they are one entry', async () => {
    const { ordered } = await orderAfter('nowhere', [], [3, await world.lane('one').next([allowed('x')])]);
    expect(ordered.inputs.map(({ outcome, span }) => [outcome, span])).toEqual([
      ['EMPTY', 3],
      ['ACCEPTED', 1],
    ]);
    expect((decodeLeaf(ordered.links[0] as Uint8Array) as Link).inputOffset).toBe(3);
  });
});

describe('the links of a block', () => {
  test('chain each stream on from where the log has it, through the block itself', async () => {
    const before = [await world.lane('one').next([allowed('1'), ...world.events('b', '1')])];
    const outcome = await orderAfter('pending', before, [
      await world.lane('two').next([allowed('2'), ...world.events('b', '2'), allowed('3')]),
    ]);
    const parts = await meet('pending', before);
    const [a2, b2, a3] = lastLinks(outcome);
    const heads = ['a', 'b'].map((stream) => parts.chain.state.stream(stream));
    expect([a2?.index, b2?.index, a3?.index]).toEqual([1, 1, 2]);
    expect([a2?.previous, b2?.previous]).toEqual(heads.map((end) => end?.hash));
    expect(a3?.previous).toEqual(leafHash(outcome.ordered.links[0] as Uint8Array));
  });

  test('come with the hashes, events and dedup keys that the block is made of', async () => {
    const events = [allowed('1'), allowed('2')];
    const { ordered, intakes } = await orderAfter('nowhere', [], [await world.lane('one').next(events)]);
    expect(ordered.hashes).toEqual(ordered.links.map(leafHash));
    expect(ordered.events).toEqual(events);
    expect(ordered.links.map((bytes) => (decodeLeaf(bytes) as Link).event)).toEqual(
      events.map((event) => eventDigest(world.schema.digest, event)),
    );
    expect(ordered.keys).toEqual(intakes.flatMap(lookupKeys).slice(1));
  });
});

describe('the time of an input', () => {
  /** `appendedAt` of each input of a block that is accepted at START and may be led by 5 µs. */
  function timesOf(before: number, times: readonly (number | null)[]): number[] {
    // Two reasons in turn: messages that are refused for one share an entry.
    const checks = [REASONS.FRAMING_INVALID, REASONS.BATCH_MALFORMED].map((reason) => ({ kind: 'rejected', reason, proof: null }) as const);
    const intakes = times.map((time, offset): Intake => {
      if (time === null) return { kind: 'empty', offset, span: 1 };
      return {
        kind: 'message',
        offset,
        timestampMicros: START_MICROS + time,
        value: new Uint8Array(1),
        check: checks[offset % 2] as (typeof checks)[0],
      };
    });
    const state = world.state();
    const view = overlay(state, {
      head: { ...state.head, appendedAt: START_MICROS + before },
      streams: new Map(),
      lanes: new Map(),
      lanesFrom: 0,
    });
    const rules = { acceptedAt: START_MICROS, inputGeneration: 0, laneRetentionMicros: 1e12, clockSkewMicros: 5 };
    return order(view, intakes, () => undefined, rules).inputs.map(({ appendedAt }) => appendedAt - START_MICROS);
  }

  test('never falls, and input moves it no further than the block and the clock skew', () => {
    expect(timesOf(-9, [-8, -8, -9, 2, 6, 4, 9])).toEqual([-8, -8, -8, 2, 5, 5, 5]);
  });

  test('stays where it is if the log is beyond the clock already', () => {
    expect(timesOf(70, [3, 99])).toEqual([70, 70]);
  });

  test('of offsets without a message is that of the message before', () => {
    expect(timesOf(-9, [null, -5, null, 1])).toEqual([-9, -5, -5, 1]);
  });
});
