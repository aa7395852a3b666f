import { equal } from '../../core/base/bytes.ts';
import { REASONS } from '../../core/base/reasons.ts';
import { eventDigest } from '../../core/formats/event.ts';
import type { EvidenceInput, Receipt } from '../../core/formats/evidence.ts';
import { dedupKeyOfEvent } from '../../core/formats/identity.ts';
import type { Forgery } from '../support/forged-block.ts';
import { testId } from '../support/producer.ts';
import { required } from '../support/rich-archive.ts';
import { changeInput, SEVENS } from '../support/violation.ts';
import type { Attack } from './attack.ts';
import { byChainer, type ForgedStep } from './forging.ts';
import type { Messages, Spoil, Stage } from './stage.ts';

const OTHER = { attributes: [{ key: 'word', value: 'other' }] };

/** A batch whose event was linked just before. */
const doubled = async (stage: Stage): Promise<Messages> => [await stage.wide.say(0, 'later 1')];
/** A batch with an event that has the identity of one before, and other content. */
const conflicting = async ({ world, wide }: Stage): Promise<Messages> => [
  await wide.lanes[0].next([world.schema.encode(world.event('a', 'later 1', OTHER))]),
];
/** One event that may be linked, and one that may not. */
const halfForbidden = async ({ world, narrow }: Stage): Promise<Messages> => [
  await narrow.lanes[0].next([...narrow.events(0, 'good'), ...world.events('a', 'bad')]),
];

const allReceipts =
  (part: Partial<Receipt>): Spoil =>
  (forgery) =>
    changeInput(forgery, 0, { receipts: required(forgery.inputs[0]).receipts.map((each) => ({ ...each, ...part })) });

/** Takes the block's last link out, and gives its event a receipt at the position. */
function hide(forgery: Forgery, receipt: Pick<Receipt, 'outcome' | 'reason' | 'original' | 'id'>): void {
  const { position, event } = required(forgery.links.pop());
  const bytes = required(forgery.events.pop());
  const others = required(forgery.inputs[0]).receipts;
  const receipts = [...others, { position, digest: event, ...receipt }].toSorted((a, b) => a.position - b.position);
  changeInput(forgery, 0, { receipts });
  if (receipt.outcome !== 'DUPLICATE') forgery.refused.splice(others.filter((each) => each.position < position).length, 0, bytes);
}

const hidden =
  (receipt: Pick<Receipt, 'outcome' | 'reason' | 'original' | 'id'>): Spoil =>
  (forgery) =>
    hide(forgery, receipt);

const UNIQUE = { failed: 'UNIQUE' };
const COMPLETE = { failed: 'COMPLETE' };

const RECEIPTS: readonly ForgedStep[] = [
  {
    name: 'duplicate-linked-again',
    messages: doubled,
    options: () => ({ known: () => undefined }),
    seen: 'UNIQUE LINKED_TWICE',
    ...UNIQUE,
  },
  {
    name: 'conflict-linked',
    messages: conflicting,
    options: () => ({ known: () => undefined }),
    seen: 'UNIQUE LINKED_TWICE',
    ...UNIQUE,
  },
  { name: 'duplicate-of-another-event', messages: doubled, spoil: allReceipts({ original: 0 }), seen: 'UNIQUE ORIGINAL_OTHER', ...UNIQUE },
  { name: 'duplicate-of-a-seal', messages: doubled, spoil: allReceipts({ original: 3 }), seen: 'UNIQUE ORIGINAL_MISSING', ...UNIQUE },
  {
    name: 'duplicate-of-what-comes-later',
    messages: async (stage) => [await stage.wide.say(0, 'later 1'), await stage.wide.say(0, 'x')],
    spoil: (forgery, { archive }) =>
      changeInput(forgery, 0, { receipts: [{ ...required(required(forgery.inputs[0]).receipts[0]), original: archive.size }] }),
    seen: 'UNIQUE ORIGINAL_MISSING',
    ...UNIQUE,
  },
  {
    name: 'duplicate-of-nothing-near-2-53',
    messages: doubled,
    spoil: allReceipts({ original: 2 ** 53 - 1 }),
    seen: 'UNIQUE ORIGINAL_MISSING',
    ...UNIQUE,
  },
  {
    name: 'duplicate-under-another-id',
    messages: doubled,
    spoil: allReceipts({ id: testId('another') }),
    seen: 'UNIQUE ORIGINAL_OTHER',
    ...UNIQUE,
  },
  { name: 'duplicate-without-an-id', messages: doubled, spoil: allReceipts({ id: null }), seen: 'UNIQUE ORIGINAL_OTHER', ...UNIQUE },
  {
    name: 'duplicate-with-another-digest',
    messages: doubled,
    spoil: allReceipts({ digest: SEVENS }),
    stopped: 'BATCH_ROOT',
    seen: 'SIGNATURES BATCH_ROOT',
    failed: 'SIGNATURES UNIQUE',
  },
  {
    name: 'duplicate-called-a-conflict',
    messages: doubled,
    spoil: (forgery, stage, given) => {
      allReceipts({ outcome: 'CONFLICT' })(forgery, stage, given);
      forgery.refused.push(...stage.wide.events(0, 'later 1'));
    },
    seen: 'UNIQUE RECEIPT_WRONG',
    ...UNIQUE,
  },
  {
    name: 'conflict-called-a-duplicate',
    messages: conflicting,
    spoil: (forgery, stage, given) => {
      allReceipts({ outcome: 'DUPLICATE' })(forgery, stage, given);
      forgery.refused = [];
    },
    seen: 'UNIQUE RECEIPT_WRONG',
    ...UNIQUE,
  },
  {
    name: 'event-hidden-as-a-duplicate',
    spoil: hidden({ outcome: 'DUPLICATE', reason: 0, original: 0, id: testId('a y') }),
    seen: 'UNIQUE ORIGINAL_OTHER',
    ...UNIQUE,
  },
  {
    name: 'event-hidden-as-a-duplicate-of-another-id',
    spoil: hidden({ outcome: 'DUPLICATE', reason: 0, original: 0, id: testId('a early 1') }),
    seen: 'UNIQUE RECEIPT_WRONG',
    ...UNIQUE,
  },
  {
    name: 'event-hidden-as-a-conflict',
    spoil: hidden({ outcome: 'CONFLICT', reason: 0, original: 0, id: testId('a y') }),
    seen: 'UNIQUE ORIGINAL_OTHER',
    ...UNIQUE,
  },
  {
    name: 'event-hidden-as-a-conflict-of-another-id',
    spoil: hidden({ outcome: 'CONFLICT', reason: 0, original: 0, id: testId('a early 1') }),
    stopped: 'RECEIPT',
    seen: 'COMPLETE RECEIPT_REASON',
    failed: 'COMPLETE',
  },
  {
    name: 'event-hidden-as-a-conflict-with-another-stream',
    messages: async ({ world, wide }) => [
      await wide.lanes[0].next([...wide.events(0, 'x'), world.schema.encode(world.event('x', 'same', { id: testId('a early 1') }))]),
    ],
    spoil: hidden({ outcome: 'CONFLICT', reason: 0, original: 0, id: testId('a early 1') }),
    seen: 'UNIQUE ORIGINAL_OTHER',
    ...UNIQUE,
  },
  {
    name: 'receipt-over-a-link',
    spoil: (forgery, { archive }) => {
      const { event } = required(forgery.links[1]);
      changeInput(forgery, 0, {
        receipts: [{ position: 1, digest: event, id: testId('a y'), outcome: 'DUPLICATE', reason: 0, original: archive.size + 1 }],
      });
    },
    stopped: 'POSITIONS',
    seen: 'COMPLETE POSITION',
    failed: 'COMPLETE UNIQUE',
  },
  {
    name: 'receipt-beyond-its-batch',
    messages: doubled,
    spoil: (forgery) => {
      const [receipt] = required(forgery.inputs[0]).receipts;
      changeInput(forgery, 0, { receipts: [required(receipt), { ...required(receipt), position: 2 ** 31 - 1 }] });
    },
    stopped: 'POSITIONS',
    seen: 'COMPLETE POSITION',
    ...COMPLETE,
  },
  {
    name: 'event-hidden-as-not-permitted',
    spoil: hidden({ outcome: 'REJECTED', reason: REASONS.STREAM_NOT_PERMITTED, original: null, id: testId('a y') }),
    stopped: 'RECEIPT',
    seen: 'COMPLETE RECEIPT_REASON',
    ...COMPLETE,
  },
  {
    name: 'event-hidden-as-malformed',
    spoil: hidden({ outcome: 'REJECTED', reason: REASONS.EVENT_MALFORMED, original: null, id: null }),
    stopped: 'RECEIPT',
    seen: 'COMPLETE RECEIPT_REASON',
    ...COMPLETE,
  },
  {
    name: 'event-refused-for-another-reason',
    messages: halfForbidden,
    spoil: allReceipts({ reason: REASONS.TYPE_NOT_PERMITTED }),
    stopped: 'RECEIPT',
    seen: 'COMPLETE RECEIPT_REASON',
    ...COMPLETE,
  },
  {
    name: 'event-refused-under-another-id',
    messages: halfForbidden,
    spoil: allReceipts({ id: testId('another') }),
    stopped: 'RECEIPT',
    seen: 'COMPLETE RECEIPT_REASON',
    ...COMPLETE,
  },
  {
    name: 'refused-event-not-carried',
    messages: halfForbidden,
    spoil: (forgery) => (forgery.refused = []),
    stopped: 'REFUSED_COUNT',
    seen: 'ARCHIVE REFUSED_COUNT',
    failed: 'ARCHIVE',
  },
  {
    name: 'refused-event-carried-twice',
    messages: halfForbidden,
    spoil: (forgery) => forgery.refused.push(SEVENS),
    stopped: 'REFUSED_COUNT',
    seen: 'ARCHIVE REFUSED_COUNT',
    failed: 'ARCHIVE',
  },
  {
    name: 'refused-event-exchanged',
    messages: halfForbidden,
    spoil: (forgery) => (forgery.refused = [SEVENS]),
    stopped: 'RECEIPT_DIGEST',
    seen: 'ARCHIVE REFUSED_DIGEST',
    failed: 'ARCHIVE',
  },
  {
    name: 'reason-of-no-rule',
    messages: halfForbidden,
    spoil: allReceipts({ reason: 40 }),
    stopped: 'EVIDENCE_FORMAT',
    seen: 'ARCHIVE EVIDENCE_FORMAT',
    failed: 'ARCHIVE',
    unchecked: 'LOG STREAMS SIGNATURES ORDER COMPLETE UNIQUE POLICY',
  },
];

const GARBAGE = new Uint8Array([1]);

/** A run of three messages, one alone, and unreadable records; `part` changes an entry of the honest evidence. */
function entry(
  name: string,
  at: number,
  part: (entry: EvidenceInput, all: readonly EvidenceInput[]) => Partial<EvidenceInput>,
  outcome: Pick<ForgedStep, 'stopped' | 'seen' | 'failed' | 'unchecked'>,
): ForgedStep {
  return {
    name,
    messages: async (stage) => [
      await stage.wide.say(0, 'x'),
      GARBAGE,
      GARBAGE,
      GARBAGE,
      { span: 1000, section: GARBAGE },
      GARBAGE,
      GARBAGE,
    ],
    spoil: ({ inputs }) => {
      inputs[at] = { ...required(inputs[at]), ...part(required(inputs[at]), inputs) };
    },
    ...outcome,
  };
}

const MALFORMED = {
  stopped: 'EVIDENCE_FORMAT',
  seen: 'ARCHIVE EVIDENCE_FORMAT',
  failed: 'ARCHIVE',
  unchecked: 'LOG STREAMS SIGNATURES ORDER COMPLETE UNIQUE POLICY',
};

const ENTRIES: readonly ForgedStep[] = [
  entry('run-of-the-largest-size', 1, () => ({ span: 16_384 }), { seen: null }),
  entry('run-of-one-message-more', 1, () => ({ span: 16_385 }), MALFORMED),
  entry('run-of-no-message', 1, () => ({ span: 0 }), MALFORMED),
  entry('run-with-a-batch', 1, (_, all) => ({ batch: required(all[0]).batch }), MALFORMED),
  entry('run-of-what-a-header-shows', 1, () => ({ reason: 11 }), MALFORMED),
  entry('run-at-the-end-of-its-block', 4, () => ({ span: 2 }), MALFORMED),
  entry('accepted-message-over-two-offsets', 0, () => ({ span: 2 }), MALFORMED),
  entry('accepted-message-with-a-reason', 0, () => ({ reason: 4 }), MALFORMED),
  entry('accepted-message-with-a-digest', 0, () => ({ message: SEVENS }), MALFORMED),
  entry('accepted-message-without-a-batch', 0, () => ({ batch: null }), MALFORMED),
  entry('unreadable-records-of-the-largest-size', 2, () => ({ span: 2 ** 31 - 1 }), { seen: null }),
  entry('unreadable-records-with-a-batch', 2, (_, all) => ({ batch: required(all[0]).batch }), MALFORMED),
  entry('unreadable-records-without-a-digest', 2, () => ({ message: null }), MALFORMED),
  entry('message-refused-for-no-rule', 3, () => ({ reason: 19 }), MALFORMED),
  entry(
    'receipts-of-what-was-refused',
    3,
    () => ({ receipts: [{ position: 0, digest: SEVENS, id: null, outcome: 'REJECTED', reason: 32, original: null }] }),
    MALFORMED,
  ),
  entry(
    'empty-offsets-with-a-batch',
    3,
    (_, all) => ({ outcome: 'EMPTY', reason: 0, message: null, batch: required(all[0]).batch }),
    MALFORMED,
  ),
  {
    name: 'evidence-that-is-not-avro',
    spoil: (forgery) => (forgery.evidence = SEVENS),
    ...MALFORMED,
  },
  {
    name: 'evidence-with-a-byte-behind-it',
    messages: async () => [1],
    spoil: (forgery) => (forgery.evidence = Uint8Array.from([2, 6, 2, 0, 0, 0, 0, 0, 0, 0])),
    ...MALFORMED,
  },
];

/** Whether the index is asked for the event `x` of stream `a`, and not for a header. */
function isEvent(key: Uint8Array): boolean {
  return equal(key, dedupKeyOfEvent('a', testId('a x')));
}

/** What somebody with the dedup index, and no key, makes an honest chainer do. */
const INDEX: readonly Attack[] = [
  {
    name: 'index-forgets',
    keys: ['index'],
    play: async (stage) => stage.block(await doubled(stage), undefined, { known: () => undefined }),
    seen: 'UNIQUE LINKED_TWICE',
    failed: 'UNIQUE',
  },
  {
    name: 'index-invents-a-duplicate',
    keys: ['index'],
    play: async (stage) => {
      const [event] = stage.wide.events(0, 'x');
      const digest = eventDigest(stage.world.schema.digest, required(event)).slice(0, 16);
      const message = await stage.wide.say(0, 'x');
      await stage.block([message], undefined, { known: (key) => (isEvent(key) ? { logIndex: 0, digest } : undefined) });
    },
    seen: 'UNIQUE ORIGINAL_OTHER',
    failed: 'UNIQUE',
  },
  {
    name: 'index-invents-a-conflict',
    keys: ['index'],
    play: async (stage) => {
      const message = await stage.wide.say(0, 'x');
      await stage.block([message], undefined, {
        known: (key) => (isEvent(key) ? { logIndex: 0, digest: SEVENS.slice(0, 16) } : undefined),
      });
    },
    seen: 'UNIQUE ORIGINAL_OTHER',
    failed: 'UNIQUE',
  },
  {
    name: 'index-invents-a-repeated-batch',
    keys: ['index'],
    play: async (stage) => {
      const message = await stage.wide.say(0, 'x');
      await stage.block([message], undefined, { known: () => ({ logIndex: -1, digest: SEVENS.slice(0, 16) }) });
    },
    seen: 'UNIQUE REPEATED_WRONG',
    failed: 'COMPLETE UNIQUE',
  },
];

export const RECEIPT_ATTACKS: readonly Attack[] = [...[...RECEIPTS, ...ENTRIES].flatMap(byChainer), ...INDEX];
