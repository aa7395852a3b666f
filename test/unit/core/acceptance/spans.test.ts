import { beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { accept } from '../../../../core/acceptance/accept.ts';
import type { LogState } from '../../../../core/acceptance/log-state.ts';
import { LIMITS } from '../../../../core/base/limits.ts';
import { REASONS } from '../../../../core/base/reasons.ts';
import type { EvidenceInput } from '../../../../core/formats/evidence.ts';
import { decodeLeaf, type Link, MARKS } from '../../../../core/formats/leaf.ts';
import { type Forgery, forge, honest } from '../../../support/forged-block.ts';
import { type BlockOptions, makeWorld, type TestMessage, type World } from '../../../support/producer.ts';

const GARBAGE = Uint8Array.of(1, 2, 3);
const UNREADABLE = { span: 1000, section: Uint8Array.of(9) };

let world: World;
let state: LogState;
let before: TestMessage;
let after: TestMessage;
let messages: BlockOptions['messages'];

beforeAll(async () => {
  world = await makeWorld();
  const lane = world.lane('one');
  [before, after] = [await lane.next(world.events('a', '1')), await lane.next(world.events('a', '2'))];
  messages = [before, GARBAGE, GARBAGE, GARBAGE, UNREADABLE, 5, after, GARBAGE, GARBAGE];
});

beforeEach(() => {
  state = world.state();
});

/** The verdict on the block that `spoil` made of the honest one. */
async function spoilt(spoil: (forgery: Forgery) => void): Promise<string> {
  const forgery = honest(world, state, { messages });
  spoil(forgery);
  const verdict = accept(state, await forge(state, forgery), world.context);
  return verdict.kind === 'accepted' || verdict.kind === 'wait' ? verdict.kind : `${verdict.kind} ${verdict.rule}`;
}

function change(forgery: Forgery, at: number, part: Partial<EvidenceInput>): void {
  forgery.inputs[at] = { ...(forgery.inputs[at] as EvidenceInput), ...part };
}

test('a block with runs and unreadable records is accepted, and the offsets behind them are right', async () => {
  const { accepted } = await world.block(state, { messages });
  expect(accepted.inputs.map(({ outcome, reason, span }) => [outcome, reason, span])).toEqual([
    ['ACCEPTED', 0, 1],
    ['REJECTED', REASONS.FRAMING_INVALID, 3],
    ['REJECTED', REASONS.RECORDS_UNREADABLE, 1000],
    ['EMPTY', 0, 5],
    ['ACCEPTED', 0, 1],
    ['REJECTED', REASONS.FRAMING_INVALID, 1],
    ['REJECTED', REASONS.FRAMING_INVALID, 1],
  ]);
  expect([accepted.delta.head.inputTo, ...accepted.headers.keys()]).toEqual([1012, 0, 1009]);
  expect(accepted.links.map(({ inputOffset, marks }) => [inputOffset, marks])).toEqual([
    [0, 0],
    [1009, 0],
  ]);
  state.apply(accepted.delta);
  expect((await world.block(state, { messages: [1] })).accepted.seal.inputFrom).toBe(1012);
});

describe('a rightly signed block does not count', () => {
  test.each<[string, string, (forgery: Forgery) => void]>([
    ['a run is one shorter than the offsets', 'refused EVIDENCE_OFFSETS', (forgery) => spanKeepingPlace(forgery, 1, 2)],
    ['a run is one longer than the offsets', 'refused EVIDENCE_OFFSETS', (forgery) => spanKeepingPlace(forgery, 1, 4)],
    ['unreadable records cover one offset less', 'refused EVIDENCE_OFFSETS', (forgery) => spanKeepingPlace(forgery, 2, 999)],
    ['a run covers no offset', 'stop EVIDENCE_FORMAT', (forgery) => change(forgery, 1, { span: 0 })],
    ['a run covers an offset backwards', 'stop EVIDENCE_FORMAT', (forgery) => change(forgery, 1, { span: -1 })],
    ['a run has a message more than any', 'stop EVIDENCE_FORMAT', (forgery) => change(forgery, 1, { span: LIMITS.runBytes / 4 + 1 })],
    ['a run has a batch', 'stop EVIDENCE_FORMAT', (forgery) => change(forgery, 1, { batch: before })],
    ['a run has no digest', 'stop EVIDENCE_FORMAT', (forgery) => change(forgery, 1, { message: null })],
    [
      'a run is of a reason that only a header shows',
      'stop EVIDENCE_FORMAT',
      (forgery) => change(forgery, 1, { reason: REASONS.KEY_UNKNOWN }),
    ],
    ['a run is at its end', 'stop EVIDENCE_FORMAT', (forgery) => change(forgery, 6, { span: 2 })],
    ['an accepted message covers two offsets', 'stop EVIDENCE_FORMAT', (forgery) => change(forgery, 0, { span: 2 })],
    ['unreadable records have a batch', 'stop EVIDENCE_FORMAT', (forgery) => change(forgery, 2, { batch: before })],
    ['unreadable records have a receipt', 'stop EVIDENCE_FORMAT', (forgery) => change(forgery, 2, { receipts: [receiptOf(before)] })],
    ['unreadable records cover no offset', 'stop EVIDENCE_FORMAT', (forgery) => change(forgery, 2, { span: 0 })],
    ['unreadable records have no digest', 'stop EVIDENCE_FORMAT', (forgery) => change(forgery, 2, { message: null })],
    ['the offset of a link after a run is off by one', 'refused LINK_BATCH', (forgery) => moveSecondLink(forgery)],
    ['a run swallows an accepted message whose link stays', 'refused LINK_BATCH', (forgery) => swallowSecond(forgery)],
  ])('where %s: %s', async (_, outcome, spoil) => {
    expect([await spoilt(() => undefined), await spoilt(spoil)]).toEqual(['accepted', outcome]);
  });
});

test('a run over a good message is accepted, since no reader sees the message: the hole in its lane is marked', async () => {
  const lane = world.lane('two');
  const first = await lane.next(world.events('a', '1'));
  // The message whose place the garbage takes.
  await lane.next(world.events('a', '2'));
  const forgery = honest(world, state, { messages: [first, GARBAGE, GARBAGE, await lane.next(world.events('a', '3'))] });
  const verdict = accept(state, await forge(state, forgery), world.context);
  expect(verdict.kind).toBe('accepted');
  expect(verdict.kind === 'accepted' ? verdict.links.map(({ marks }) => marks) : []).toEqual([0, MARKS.gapBefore]);
});

/** Another span, while seal and links stay where they are. */
function spanKeepingPlace(forgery: Forgery, at: number, span: number): void {
  change(forgery, at, { span });
  // The links keep the offsets that the seal's place gives them.
  forgery.seal.inputTo = 1012;
}

function moveSecondLink(forgery: Forgery): void {
  forgery.links[1] = { ...(forgery.links[1] as Link), inputOffset: 1008 };
}

/** The run takes in the accepted message behind the unreadable records. */
function swallowSecond(forgery: Forgery): void {
  const [accepted] = forgery.inputs.splice(4, 1);
  const { message, reason } = forgery.inputs[1] as EvidenceInput;
  forgery.inputs[4] = { ...(accepted as EvidenceInput), outcome: 'REJECTED', span: 2, message, reason, batch: null };
}

function receiptOf(message: TestMessage): EvidenceInput['receipts'][number] {
  const digest = new Uint8Array(32);
  expect(message.events).toHaveLength(1);
  return { position: 0, digest, id: null, outcome: 'REJECTED', reason: REASONS.EVENT_INVALID, original: null };
}

test('the links that the tests change are links', async () => {
  const { accepted } = await world.block(state, { messages });
  expect(accepted.block.links.map((bytes) => decodeLeaf(bytes).kind)).toEqual(['link', 'link']);
});
