import { beforeAll, describe, expect, test } from '@jest/globals';
import { accept } from '../../../../core/acceptance/accept.ts';
import type { AcceptanceRule } from '../../../../core/acceptance/acceptance-rules.ts';
import type { LogState } from '../../../../core/acceptance/log-state.ts';
import { concat } from '../../../../core/base/bytes.ts';
import { LIMITS } from '../../../../core/base/limits.ts';
import { REASON_TRAITS, REASONS, type ReasonName } from '../../../../core/base/reasons.ts';
import { eventDigest } from '../../../../core/formats/event.ts';
import { EVENT_SCHEMA } from '../../../../core/formats/event-schema.ts';
import type { Receipt } from '../../../../core/formats/evidence.ts';
import { type Forgery, forge, honest } from '../../../support/forged-block.ts';
import { makeWorld, type TestMessage, testId, type World } from '../../../support/producer.ts';

/** Producers may write to `a…` only; types other than CREATE are not theirs; `activity` is required on `ab`. */
let world: World;
let state: LogState;

beforeAll(async () => {
  world = await makeWorld({
    policy: (policy) => ({
      ...policy,
      producers: policy.producers.map((each) => ({ ...each, streams: ['a*'], types: ['CREATE'] })),
      requiredFields: [{ streams: ['ab'], fields: ['activity'] }],
    }),
  });
  state = world.state();
});

function one(stream: string): Uint8Array {
  return world.events(stream, 'one')[0] as Uint8Array;
}

/** An event for each reason that one alone can have, in a policy of one shard. */
const REFUSED: Readonly<Partial<Record<ReasonName, () => Uint8Array>>> = {
  EVENT_TOO_LARGE: () => new Uint8Array(LIMITS.eventBytes + 1),
  EVENT_MALFORMED: () => concat(one('a'), Uint8Array.of(0)),
  // Byte 16 is the length of the stream's name, byte 17 its only character, byte 18 the type.
  EVENT_INVALID: () => one('a').map((byte, i) => (i === 17 ? 7 : byte)),
  STREAM_NOT_PERMITTED: () => one('b'),
  TYPE_NOT_PERMITTED: () => one('a').map((byte, i) => (i === 18 ? 2 : byte)),
  FIELD_MISSING: () => one('ab'),
};

/** The honest block of these events, the second of which is already linked with other content where `known` says so. */
async function blockOf(events: readonly Uint8Array[], known = false): Promise<Forgery> {
  const message: TestMessage = await world.lane(`lane ${events.length} ${known}`).next([...events]);
  let asked = 0;
  const hit = { logIndex: 7, digest: new Uint8Array(16) };
  // The header is looked up first.
  return honest(world, state, { messages: [message], known: () => (known && asked++ === 1 ? hit : undefined) });
}

async function judge(forgery: Forgery): Promise<'accepted' | AcceptanceRule> {
  const verdict = accept(state, await forge(state, forgery), world.context);
  if (verdict.kind === 'refused') return verdict.rule;
  expect(verdict.kind).toBe('accepted');
  return 'accepted';
}

function changeReceipt(forgery: Forgery, change: Partial<Receipt>): void {
  forgery.inputs = forgery.inputs.map((input) => ({ ...input, receipts: input.receipts.map((each) => ({ ...each, ...change })) }));
}

describe('the event of a receipt', () => {
  test.each(Object.entries(REFUSED))('is judged again: %s', async (name, make) => {
    const forgery = await blockOf([make()]);
    expect(forgery.inputs[0]?.receipts).toMatchObject([{ outcome: 'REJECTED', reason: REASONS[name as ReasonName] }]);
    expect(forgery.refused).toEqual([make()]);
    expect(await judge(forgery)).toBe('accepted');
  });

  test.each(Object.entries(REFUSED))('is refused under every other reason than its own, and as a conflict: %s', async (name, make) => {
    const honestReason = REASONS[name as ReasonName];
    const others = Object.values(REASON_TRAITS).filter(({ rejects, number }) => rejects === 'event' && number !== honestReason);
    for (const { number } of others) {
      const forgery = await blockOf([make()]);
      changeReceipt(forgery, { reason: number });
      expect([number, await judge(forgery)]).toEqual([number, 'RECEIPT']);
    }
    const forgery = await blockOf([make()]);
    changeReceipt(forgery, { outcome: 'CONFLICT', reason: REASONS.NONE, original: 0 });
    expect(await judge(forgery)).toBe('RECEIPT');
  });

  test('that could be linked is not rejected for any reason', async () => {
    for (const { number, rejects } of Object.values(REASON_TRAITS)) {
      if (rejects !== 'event') continue;
      const forgery = await blockOf([one('a')]);
      const [input] = forgery.inputs;
      const digest = eventDigest(EVENT_SCHEMA.digest, one('a'));
      const receipt: Receipt = { position: 0, digest, id: testId('one'), outcome: 'REJECTED', reason: number, original: null };
      forgery.inputs = [{ ...(input as NonNullable<typeof input>), receipts: [receipt] }];
      Object.assign(forgery, { links: [], events: [], refused: [one('a')] });
      expect([number, await judge(forgery)]).toEqual([number, 'RECEIPT']);
    }
  });

  test('that is in conflict is carried too, with the identity that it states', async () => {
    const forgery = await blockOf([one('a')], true);
    expect(forgery.inputs[0]?.receipts).toMatchObject([{ outcome: 'CONFLICT', original: 7 }]);
    expect(forgery.refused).toEqual([one('a')]);
    expect(await judge(forgery)).toBe('accepted');
    changeReceipt(forgery, { id: testId('another') });
    expect(await judge(forgery)).toBe('RECEIPT');
    changeReceipt(forgery, { id: null });
    expect(await judge(forgery)).toBe('RECEIPT');
  });

  test('states an identity exactly where one can be read', async () => {
    const unreadable = await blockOf([(REFUSED.EVENT_MALFORMED as () => Uint8Array)()]);
    changeReceipt(unreadable, { id: testId('one') });
    expect(await judge(unreadable)).toBe('RECEIPT');
    const readable = await blockOf([one('b')]);
    changeReceipt(readable, { id: null });
    expect(await judge(readable)).toBe('RECEIPT');
  });

  test('is the event that the receipt names', async () => {
    const forgery = await blockOf([one('b')]);
    forgery.refused = [one('c')];
    expect(await judge(forgery)).toBe('RECEIPT_DIGEST');
  });

  test.each<[string, (refused: Uint8Array[]) => Uint8Array[]]>([
    ['one is left out', (refused) => refused.slice(1)],
    ['none is there', () => []],
    ['one is there twice', (refused) => [...refused, refused[1] as Uint8Array]],
  ])('is there once for each receipt: %s', async (_, change) => {
    const forgery = await blockOf([one('b'), one('c'), one('a')]);
    forgery.refused = change(forgery.refused);
    expect(['REFUSED_COUNT', 'RECEIPT_DIGEST']).toContain(await judge(forgery));
  });

  test('is in the order of the receipts', async () => {
    const forgery = await blockOf([one('b'), one('c')]);
    forgery.refused = forgery.refused.toReversed();
    expect(await judge(forgery)).toBe('RECEIPT_DIGEST');
  });
});

test('a duplicate brings no event: the log has it', async () => {
  const forgery = await blockOf([one('a')]);
  const message = forgery.inputs[0];
  const digest = eventDigest(EVENT_SCHEMA.digest, one('a'));
  const receipt: Receipt = { position: 0, digest, id: testId('one'), outcome: 'DUPLICATE', reason: 0, original: 0 };
  forgery.inputs = [{ ...(message as NonNullable<typeof message>), receipts: [receipt] }];
  Object.assign(forgery, { links: [], events: [] });
  expect(await judge(forgery)).toBe('accepted');
  forgery.refused = [one('a')];
  expect(await judge(forgery)).toBe('REFUSED_COUNT');
});
