import type { EvidenceInput } from '../../core/formats/evidence.ts';
import { START_MICROS } from '../support/producer.ts';
import { required, SECOND } from '../support/rich-archive.ts';
import { changeInput } from '../support/violation.ts';
import type { Attack } from './attack.ts';
import { byChainer, type ForgedStep } from './forging.ts';
import type { Spoil, Stage } from './stage.ts';

const SKEW = SECOND;
const WINDOW = 601 * SECOND;

const appended =
  (at: (stage: Stage) => number): Spoil =>
  (forgery, stage) =>
    changeInput(forgery, 0, { appendedAt: at(stage) } satisfies Partial<EvidenceInput>);

const BLOCKS: readonly ForgedStep[] = [
  {
    name: 'block-dated-back',
    options: ({ archive }) => ({ acceptedAt: archive.state.head.acceptedAt - 1 }),
    stopped: 'ACCEPTED_AT',
    seen: 'ORDER ACCEPTED_BACK',
    failed: 'ARCHIVE ORDER',
  },
  { name: 'block-dated-as-the-one-before', options: ({ archive }) => ({ acceptedAt: archive.state.head.acceptedAt }), seen: null },
  {
    name: 'block-dated-back-to-the-segment-before',
    options: () => ({ acceptedAt: START_MICROS }),
    stopped: 'ACCEPTED_AT',
    seen: 'ORDER ACCEPTED_BACK',
    failed: 'ARCHIVE ORDER',
  },
  {
    name: 'input-dated-back',
    spoil: appended(() => START_MICROS),
    stopped: 'EVIDENCE_TIME',
    seen: 'ORDER APPENDED_BACK',
    failed: 'ORDER',
  },
  {
    name: 'input-ahead-of-its-block',
    spoil: appended(({ time }) => time + SKEW + 1),
    stopped: 'EVIDENCE_TIME',
    seen: 'ORDER APPENDED_AHEAD',
    failed: 'ORDER',
  },
  { name: 'input-ahead-by-the-clock-skew', spoil: appended(({ time }) => time + SKEW), seen: null },
  {
    name: 'input-ahead-near-2-53',
    spoil: appended(() => 2 ** 53 - 1),
    stopped: 'EVIDENCE_TIME',
    seen: 'ORDER APPENDED_AHEAD',
    failed: 'ORDER POLICY',
  },
  {
    name: 'inputs-in-another-order-of-time',
    messages: async ({ wide }) => [await wide.say(0, 'x'), await wide.say(0, 'y')],
    spoil: (forgery) => changeInput(forgery, 1, { appendedAt: required(forgery.inputs[0]).appendedAt - 1 }),
    stopped: 'EVIDENCE_TIME',
    seen: 'ORDER APPENDED_BACK',
    failed: 'ORDER',
  },
];

/** An event is linked again `ago` after it was linked first, by a chainer that forgot it. */
function linkedAgain(name: string, ago: number, more: Pick<Attack, 'keys' | 'seen' | 'failed'>): Attack {
  return {
    name,
    play: async (stage) => {
      await stage.block([await stage.wide.say(0, 'again')]);
      await stage.close();
      stage.time = stage.archive.state.head.acceptedAt;
      const first = stage.time - 62 * SECOND;
      stage.time = first + ago - 2 * SECOND;
      stage.archive.forget();
      await stage.block([await stage.wide.say(0, 'again')]);
    },
    ...more,
  };
}

const PLAYED: readonly Attack[] = [
  linkedAgain('event-linked-again-within-the-window', WINDOW, { keys: ['chainer'], seen: 'UNIQUE LINKED_TWICE', failed: 'UNIQUE' }),
  linkedAgain('producer-repeats-itself-after-the-window', WINDOW + 1, { keys: ['producer'], seen: 'UNIQUE REPEATED_AFTER_WINDOW' }),
  {
    name: 'chainer-dates-all-ahead',
    keys: ['chainer'],
    play: async (stage) => {
      stage.time += 20 * SECOND;
      await stage.block([await stage.wide.say(0, 'x')]);
    },
    seen: null,
  },
  {
    name: 'chainer-waits',
    keys: ['chainer'],
    play: async (stage) => {
      const message = await stage.wide.say(0, 'x');
      stage.time += 40 * SECOND;
      await stage.block([message]);
    },
    seen: 'ORDER CLOCK_OR_DELAY',
  },
  {
    name: 'producer-dates-its-batch-back',
    keys: ['producer'],
    play: async (stage) =>
      stage.block([await stage.wide.lanes[0].next(stage.wide.events(0, 'x'), { createdAt: START_MICROS - 3600 * SECOND })]),
    seen: 'ORDER CLOCK_OR_DELAY',
  },
  {
    name: 'producer-dates-its-batch-ahead',
    keys: ['producer'],
    play: async (stage) => stage.block([await stage.wide.lanes[0].next(stage.wide.events(0, 'x'), { createdAt: 2 ** 53 - 1 })]),
    seen: 'ORDER CLOCK_SKEW',
  },
  {
    name: 'producer-dates-its-event-back',
    keys: ['producer'],
    play: async (stage) => {
      const event = stage.world.event('a', 'x', { occurredAt: -(2 ** 53 - 1) });
      await stage.block([await stage.wide.lanes[0].next([stage.world.schema.encode(event)])]);
    },
    seen: null,
  },
];

export const TIME_ATTACKS: readonly Attack[] = [...BLOCKS.flatMap(byChainer), ...PLAYED];
