import { frame } from '../../core/avro/framing.ts';
import { REASONS } from '../../core/base/reasons.ts';
import { encodeSignedBatch } from '../../core/formats/batch.ts';
import { acceptAnyway, forgedSignature, inputOf } from '../support/forged-batch.ts';
import { BATCH_SCHEMA_ID, type TestMessage, testId, testSigner } from '../support/producer.ts';
import { required } from '../support/rich-archive.ts';
import { firstOf, refuse, SEVENS, twice } from '../support/violation.ts';
import type { Attack } from './attack.ts';
import { byChainer, type ForgedStep } from './forging.ts';
import { Speaker, type Spoil, type Stage } from './stage.ts';

const accepted: Spoil = (forgery, { archive }, given) => acceptAnyway(archive.state, forgery, firstOf(given));
const GAP = { seen: 'COMPLETE GAP', failed: 'COMPLETE' };

/** The message with other events under the same signed header. */
function carrying(message: TestMessage, events: readonly Uint8Array[]): TestMessage {
  const changed = { ...message, events };
  return { ...changed, value: frame(BATCH_SCHEMA_ID, encodeSignedBatch(changed)) };
}

/** Batches that an honest chainer refuses, accepted. */
const ACCEPTED: readonly ForgedStep[] = [
  {
    name: 'batch-of-a-stranger',
    messages: async ({ world }) => [await world.lane('stranger', testSigner('stranger')).next(world.events('a', 'x'))],
    spoil: accepted,
    stopped: 'BATCH',
    seen: 'SIGNATURES BATCH_UNACCEPTABLE',
    failed: 'SIGNATURES',
    open: 'COMPLETE',
  },
  {
    name: 'batch-of-a-stranger-of-the-same-name',
    messages: async ({ world }) => [await world.lane('stranger', testSigner(world.producer.name, 'stranger')).next(world.events('a', 'x'))],
    spoil: accepted,
    stopped: 'BATCH',
    seen: 'SIGNATURES BATCH_UNACCEPTABLE',
    failed: 'SIGNATURES',
    open: 'COMPLETE',
  },
  {
    name: 'batch-with-a-wrong-signature',
    messages: async ({ wide }) => [forgedSignature(await wide.say(0, 'x'))],
    spoil: accepted,
    stopped: 'BATCH',
    honest: GAP,
    seen: 'SIGNATURES BATCH_UNACCEPTABLE',
    failed: 'SIGNATURES',
  },
  {
    name: 'batch-of-another-origin',
    messages: async ({ world }) => [await world.lane('foreign').next(world.events('a', 'x'), { origin: 'example.org/other' })],
    spoil: accepted,
    stopped: 'BATCH',
    seen: 'POLICY BATCH_UNACCEPTABLE',
    failed: 'POLICY',
    open: 'COMPLETE',
  },
  {
    name: 'batch-of-another-shard',
    messages: async ({ world }) => [await world.lane('foreign').next(world.events('a', 'x'), { shard: 1 })],
    spoil: accepted,
    stopped: 'BATCH',
    seen: 'POLICY BATCH_UNACCEPTABLE',
    failed: 'POLICY',
    open: 'COMPLETE',
  },
  {
    name: 'batch-out-of-its-lane',
    messages: async ({ world }) => [await world.lane('wide').next(world.events('a', 'x'))],
    spoil: accepted,
    stopped: 'LANE',
    seen: 'ORDER LANE_WRONG',
    failed: 'COMPLETE ORDER',
  },
  {
    name: 'batch-accepted-twice',
    messages: async ({ wide }) => twice(await wide.say(0, 'x')),
    spoil: accepted,
    stopped: 'LANE',
    seen: 'ORDER LANE_WRONG',
    failed: 'ORDER UNIQUE',
  },
  {
    name: 'batch-after-another-header',
    messages: async ({ world, wide }) => [await wide.lanes[0].next(world.events('a', 'x'), { previous: SEVENS })],
    spoil: accepted,
    stopped: 'LANE',
    honest: GAP,
    seen: 'COMPLETE LANE_PREVIOUS',
    failed: 'COMPLETE ORDER',
  },
  {
    name: 'event-on-a-stream-of-others',
    messages: async ({ world, narrow }) => [await narrow.lanes[0].next(world.events('a', 'x'))],
    spoil: accepted,
    stopped: 'EVENT',
    seen: 'SIGNATURES EVENT_UNACCEPTABLE',
    failed: 'SIGNATURES',
  },
  {
    name: 'event-of-a-type-that-is-not-permitted',
    messages: async ({ world, narrow }) => [await narrow.lanes[0].next([world.schema.encode(world.event('b/1', 'x', { type: 'DELETE' }))])],
    spoil: (forgery, { archive }, given) => acceptAnyway(archive.state, forgery, firstOf(given), { stream: 'b/1' }),
    stopped: 'EVENT',
    seen: 'SIGNATURES EVENT_UNACCEPTABLE',
    failed: 'SIGNATURES',
  },
  {
    name: 'repeated-batch-with-a-wrong-signature',
    messages: async ({ wide }) => twice(await wide.say(0, 'x')),
    spoil: (forgery, _, given) => {
      const { appendedAt } = required(forgery.inputs[1]);
      forgery.inputs[1] = inputOf(forgedSignature(firstOf(given)), { outcome: 'REPEATED', appendedAt });
    },
    seen: 'SIGNATURES BATCH_UNACCEPTABLE',
    failed: 'SIGNATURES',
  },
  {
    name: 'batch-called-repeated',
    spoil: (forgery, _, given) => refuse(forgery, firstOf(given), { outcome: 'REPEATED' }),
    seen: 'UNIQUE REPEATED_WRONG',
    failed: 'COMPLETE UNIQUE',
  },
];

/** A good batch that is refused for this reason. */
function refusedAs(reason: keyof typeof REASONS, failed: string, batch?: null): ForgedStep {
  return {
    name: `batch-refused-as-${reason.toLowerCase().replaceAll('_', '-')}${batch === null ? '-without-its-header' : ''}`,
    spoil: (forgery, _, given) => {
      refuse(forgery, firstOf(given), { outcome: 'REJECTED', reason: REASONS[reason], ...(batch === null && { batch }) });
    },
    seen: failed === 'COMPLETE' ? 'COMPLETE GAP' : 'POLICY REASON_WRONG',
    failed,
  };
}

const REFUSED: readonly ForgedStep[] = [
  ...(
    [
      'FRAMING_INVALID',
      'HEADER_MALFORMED',
      'ORIGIN_WRONG',
      'SHARD_WRONG',
      'LANES_WRONG',
      'KEY_UNKNOWN',
      'KEY_NOT_ACTIVE',
      'SIGNATURE_WRONG',
      'SCHEMA_NOT_IN_FORCE',
      'LANE_FORK',
    ] as const
  ).map((reason) => refusedAs(reason, 'COMPLETE POLICY')),
  ...(['BATCH_TOO_LARGE', 'COUNT_WRONG', 'ROOT_WRONG'] as const).map((reason) => refusedAs(reason, 'COMPLETE')),
  refusedAs('BATCH_MALFORMED', 'COMPLETE', null),
  refusedAs('MESSAGE_TOO_LARGE', 'COMPLETE', null),
  refusedAs('LANE_FORK', 'COMPLETE POLICY', null),
];

/** A schema that only its producer knows: no archive can hold events under it. */
const UNLISTED: Attack = {
  name: 'batch-under-an-unlisted-schema',
  keys: ['chainer'],
  play: async (stage) => stage.block([await stage.world.lane('foreign').next(stage.world.events('a', 'x'), { schema: SEVENS })], accepted),
  stopped: ['BATCH'],
  seen: null,
};

const calledUnreadable = (stage: Stage): Promise<void> => stage.block([{ span: 1, section: SEVENS }]);

/** Whole epochs of which no header is logged. */
const SILENT: readonly Attack[] = [
  {
    name: 'epoch-called-unreadable',
    keys: ['chainer'],
    play: async (stage) => {
      await new Speaker(stage.world, 'wide', stage.world.producer, 1, 'lost').say(0, 'x');
      await calledUnreadable(stage);
    },
    refused: 'RECORDS_UNREADABLE',
    seen: null,
  },
  {
    name: 'epoch-called-malformed',
    keys: ['chainer'],
    play: async (stage) => {
      await new Speaker(stage.world, 'wide', stage.world.producer, 1, 'lost').say(0, 'x');
      await stage.block([SEVENS]);
    },
    refused: 'FRAMING_INVALID',
    seen: null,
  },
  {
    name: 'epoch-called-empty',
    keys: ['chainer'],
    play: async (stage) => {
      await new Speaker(stage.world, 'wide', stage.world.producer, 1, 'lost').say(0, 'x');
      await stage.block([1]);
    },
    seen: null,
  },
  {
    name: 'batch-called-unreadable',
    keys: ['chainer'],
    play: async (stage) => {
      await stage.wide.say(0, 'x');
      await calledUnreadable(stage);
    },
    ...GAP,
  },
  {
    name: 'batch-called-malformed',
    keys: ['chainer'],
    play: async (stage) => {
      await stage.wide.say(0, 'x');
      await stage.block([SEVENS]);
    },
    ...GAP,
  },
  {
    name: 'batch-called-part-of-a-run',
    keys: ['chainer'],
    play: async (stage) => {
      await stage.wide.say(0, 'x');
      await stage.block([SEVENS, SEVENS, SEVENS, 1]);
    },
    ...GAP,
  },
  {
    name: 'batch-called-empty',
    keys: ['chainer'],
    play: async (stage) => {
      await stage.wide.say(0, 'x');
      await stage.block([1]);
    },
    ...GAP,
  },
];

/** What a producer, or whoever carries its messages, can try with an honest chainer. */
const SENT: readonly Attack[] = [
  {
    name: 'batch-dropped-on-its-way',
    keys: ['topics'],
    play: async (stage) => {
      await stage.wide.say(0, 'x');
      await stage.block([1]);
    },
    ...GAP,
  },
  {
    name: 'epoch-dropped-on-its-way',
    keys: ['topics'],
    play: async (stage) => {
      await new Speaker(stage.world, 'wide', stage.world.producer, 1, 'lost').say(0, 'x');
      await stage.block([1]);
    },
    seen: null,
  },
  {
    name: 'batches-change-places-on-their-way',
    keys: ['topics'],
    play: async (stage) => {
      const [one, two] = [await stage.wide.say(0, 'x'), await stage.wide.say(0, 'y')];
      await stage.block([two, one]);
    },
    ...GAP,
  },
  {
    name: 'events-exchanged-on-their-way',
    keys: ['topics'],
    play: async (stage) => stage.block([carrying(await stage.wide.say(0, 'x'), stage.world.events('a', 'y'))]),
    ...GAP,
  },
  {
    name: 'events-cut-on-their-way',
    keys: ['topics'],
    play: async (stage) => stage.block([carrying(await stage.wide.say(0, 'x', 'y'), stage.world.events('a', 'x'))]),
    ...GAP,
  },
  {
    name: 'batch-repeated-on-its-way',
    keys: ['topics'],
    play: async (stage) => {
      const message = await stage.wide.say(0, 'x');
      await stage.block([message, message]);
      await stage.block([message]);
    },
    seen: null,
  },
  {
    name: 'batch-repeated-in-the-other-shard',
    keys: ['topics'],
    play: async (stage) => {
      const message = await stage.wide.say(0, 'x');
      await stage.block([message]);
      await stage.block([message], undefined, { shard: 1 });
    },
    refused: 'SHARD_WRONG',
    seen: null,
  },
  {
    name: 'garbage-on-the-input',
    keys: ['topics'],
    play: async (stage) => stage.block([...Array.from({ length: 50 }, (_, i) => new Uint8Array(i)), 1]),
    refused: 'FRAMING_INVALID',
    seen: null,
  },
  {
    name: 'garbage-under-a-name',
    keys: [],
    play: async (stage) =>
      stage.block([await stage.world.lane('x', testSigner(stage.world.producer.name, 'stranger')).next(stage.world.events('a', 'x'))]),
    refused: 'KEY_UNKNOWN',
    seen: null,
  },
  {
    name: 'producer-leaves-a-batch-out',
    keys: ['producer'],
    play: async (stage) => {
      await stage.wide.say(0, 'left out', 'this too');
      await stage.block([await stage.wide.say(0, 'x')]);
    },
    ...GAP,
  },
  {
    name: 'producer-leaves-events-out',
    keys: ['producer'],
    play: async (stage) => {
      stage.wide.lanes[0].seq += 4;
      await stage.block([await stage.wide.say(0, 'x')]);
    },
    ...GAP,
  },
  {
    name: 'producer-uses-sequence-numbers-again',
    keys: ['producer'],
    play: async (stage) => {
      stage.wide.lanes[0].seq -= 1;
      await stage.block([await stage.wide.say(0, 'x')]);
    },
    seen: 'COMPLETE SEQUENCE',
    failed: 'COMPLETE',
  },
  {
    name: 'producer-forks-its-lane',
    keys: ['producer'],
    play: async (stage) => stage.block([await stage.world.lane('wide').next(stage.world.events('a', 'other history'))]),
    refused: 'LANE_FORK',
    seen: null,
  },
  {
    name: 'producer-begins-its-history-again',
    keys: ['producer'],
    play: async (stage) => {
      const lane = stage.world.lane('again');
      const conflicting = stage.world.event('a', 'early 1', { attributes: [{ key: 'word', value: 'another story' }] });
      await stage.block([await lane.next([stage.world.schema.encode(conflicting)])]);
      await stage.block(
        [await stage.wide.lanes[1].next([], { lanes: [{ epoch: lane.epoch, shard: 0, number: 1, seq: 1, final: true }] })],
        undefined,
        {
          shard: 1,
        },
      );
    },
    seen: 'UNIQUE CONFLICT',
  },
  {
    name: 'producer-on-a-stream-of-others',
    keys: ['producer'],
    play: async (stage) => stage.block([await stage.narrow.lanes[0].next(stage.world.events('a', 'x'))]),
    refused: 'STREAM_NOT_PERMITTED',
    seen: null,
  },
  {
    name: 'producer-under-the-name-of-another',
    keys: ['producer'],
    play: async (stage) =>
      stage.block([
        await stage.world.batch(
          stage.world.events('a', 'x'),
          { epoch: testId('x'), producer: stage.world.producer.name },
          testSigner('example.org/log/narrow'),
        ),
      ]),
    refused: 'KEY_UNKNOWN',
    seen: null,
  },
  {
    name: 'producer-never-stops',
    keys: ['producer'],
    play: async (stage) => stage.block([await stage.world.lane('open').next(stage.world.events('a', 'x'))]),
    seen: 'COMPLETE LANE_OPEN',
    open: 'COMPLETE',
  },
  {
    name: 'producer-lies-about-the-world',
    keys: ['producer'],
    play: async (stage) => stage.block([await stage.wide.say(0, 'the file was deleted')]),
    seen: null,
  },
];

export const BATCH_ATTACKS: readonly Attack[] = [...[...ACCEPTED, ...REFUSED].flatMap(byChainer), UNLISTED, ...SILENT, ...SENT];
