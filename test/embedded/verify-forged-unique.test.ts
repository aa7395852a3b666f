import { describe, expect, test } from '@jest/globals';
import type { Receipt } from '../../core/formats/evidence.ts';
import type { Forgery } from '../support/forged-block.ts';
import { type TestMessage, testId } from '../support/producer.ts';
import { required, SECOND } from '../support/rich-archive.ts';
import { codes, makeScene, type Scene } from '../support/scene.ts';
import { changeInput, expectFound, firstOf, refuse, type Violation } from '../support/violation.ts';

describe('uniqueness', () => {
  const doubled = async (scene: Scene): Promise<TestMessage[]> => [await scene.say('early 1')];
  const receiptOf = (forgery: Forgery, part: Partial<Receipt>): void =>
    changeInput(forgery, 0, { receipts: required(forgery.inputs[0]).receipts.map((receipt) => ({ ...receipt, ...part })) });
  const rows: readonly Violation[] = [
    { name: 'an honest receipt', failed: [], messages: doubled },
    {
      name: 'an event is linked again within the window',
      failed: ['UNIQUE LINKED_TWICE'],
      messages: doubled,
      options: () => ({ known: () => undefined }),
    },
    {
      name: 'a receipt points to another event',
      failed: ['UNIQUE ORIGINAL_OTHER'],
      messages: doubled,
      spoil: (forgery) => receiptOf(forgery, { original: 0 }),
    },
    {
      name: 'a receipt points to a seal',
      failed: ['UNIQUE ORIGINAL_MISSING'],
      messages: doubled,
      spoil: (forgery) => receiptOf(forgery, { original: 2 }),
    },
    {
      name: 'a receipt points to what comes later',
      failed: ['UNIQUE ORIGINAL_MISSING'],
      messages: async (scene) => [await scene.say('early 1'), await scene.say('x')],
      spoil: (forgery, { archive }) => receiptOf(forgery, { original: archive.size }),
    },
    {
      name: 'a receipt points to what comes later in its own batch',
      failed: ['UNIQUE ORIGINAL_MISSING'],
      messages: async (scene) => [await scene.say('early 1', 'x')],
      spoil: (forgery, { archive }) => receiptOf(forgery, { original: archive.size }),
    },
    {
      name: 'a receipt has the position of a link, and points to it',
      failed: ['COMPLETE POSITION', 'UNIQUE ORIGINAL_MISSING'],
      spoil: (forgery, { archive }) => {
        const { event } = required(forgery.links[1]);
        const original = archive.size + 1;
        const receipt: Receipt = { position: 1, digest: event, id: testId('a y'), outcome: 'DUPLICATE', reason: 0, original };
        changeInput(forgery, 0, { receipts: [receipt] });
      },
    },
    {
      name: 'a receipt has another id than its original',
      failed: ['UNIQUE ORIGINAL_OTHER'],
      messages: doubled,
      spoil: (forgery) => receiptOf(forgery, { id: testId('another') }),
    },
    {
      name: 'a receipt that points to an original has no id',
      failed: ['UNIQUE ORIGINAL_OTHER'],
      messages: doubled,
      spoil: (forgery) => receiptOf(forgery, { id: null }),
    },
    {
      name: 'a duplicate is called a conflict',
      failed: ['UNIQUE RECEIPT_WRONG'],
      messages: doubled,
      spoil: (forgery, _, given) => {
        receiptOf(forgery, { outcome: 'CONFLICT' });
        forgery.refused.push(...firstOf(given).events);
      },
    },
    {
      name: 'a new event is hidden behind a DUPLICATE receipt',
      failed: ['UNIQUE ORIGINAL_OTHER'],
      spoil: (forgery) => {
        const { event } = required(forgery.links.pop());
        forgery.events.pop();
        const receipt: Receipt = { position: 1, digest: event, id: testId('a y'), outcome: 'DUPLICATE', reason: 0, original: 0 };
        changeInput(forgery, 0, { receipts: [receipt] });
      },
    },
    {
      name: 'a new event is hidden behind a CONFLICT receipt that points to its id in another stream',
      failed: ['UNIQUE ORIGINAL_OTHER'],
      messages: async ({ world, lane }) => [
        await lane.next([...world.events('a', 'x'), world.schema.encode(world.event('b', 'same', { id: testId('a early 0') }))]),
      ],
      spoil: (forgery) => {
        const { event } = required(forgery.links.pop());
        forgery.refused.push(required(forgery.events.pop()));
        const receipt: Receipt = { position: 1, digest: event, id: testId('a early 0'), outcome: 'CONFLICT', reason: 0, original: 0 };
        changeInput(forgery, 0, { receipts: [receipt] });
      },
    },
    {
      name: 'a batch is called repeated and was never accepted',
      failed: ['COMPLETE GAP', 'UNIQUE REPEATED_WRONG'],
      spoil: (forgery, _, given) => refuse(forgery, firstOf(given), { outcome: 'REPEATED' }),
    },
    {
      name: 'an event comes again with other content: a report',
      failed: [],
      notes: ['UNIQUE CONFLICT'],
      messages: async ({ world, lane }) => [
        await lane.next([world.schema.encode(world.event('a', 'early 1', { attributes: [{ key: 'word', value: 'other' }] }))]),
      ],
    },
    {
      name: 'a duplicate within one batch, and in the next one of the block',
      failed: [],
      messages: async (scene) => [await scene.say('x', 'x', 'y'), await scene.say('x')],
    },
  ];
  test.each(rows)('$name: $failed', expectFound);

  test.each([
    ['longer ago than `dedupWindow`, by less than the clock skew', 60 * SECOND + 1, ['UNIQUE LINKED_TWICE'], []],
    ['as long ago as the window is', 61 * SECOND, ['UNIQUE LINKED_TWICE'], []],
    ['a microsecond longer ago', 61 * SECOND + 1, [], ['UNIQUE REPEATED_AFTER_WINDOW']],
  ])('an event that is linked again, %s', async (_, ago, failed, notes) => {
    const scene = await makeScene();
    await scene.block([await scene.say('again')]);
    const time = scene.time + ago;
    scene.archive.forget();
    scene.world.now = time;
    await scene.block([await scene.say('again')], undefined, { appendedAt: time, acceptedAt: time });
    await scene.archive.close();
    scene.time = time;
    const verdict = await scene.end();
    expect([codes(verdict), codes(verdict, 'NOTE')]).toEqual([failed, notes]);
  });

  test.each([
    ['as long ago as the window is', 61 * SECOND, ['UNIQUE LINKED_TWICE'], []],
    ['a microsecond longer ago', 61 * SECOND + 1, [], ['UNIQUE REPEATED_AFTER_WINDOW']],
  ])('an event that is linked again %s counts from its own batch, not from the first of its block', async (_, ago, failed, notes) => {
    const scene = await makeScene();
    await scene.block([await scene.say('again')]);
    const time = scene.time + ago;
    scene.archive.forget();
    const batches = [await scene.say('x'), await scene.say('again')];
    await scene.block(batches, (forgery) => changeInput(forgery, 1, { appendedAt: time }), { acceptedAt: time });
    await scene.archive.close();
    scene.time = time;
    const verdict = await scene.end();
    expect([codes(verdict), codes(verdict, 'NOTE').filter((code) => code.startsWith('UNIQUE'))]).toEqual([failed, notes]);
  });

  test('an event that is linked again after the window, and a batch that is replayed after its lane was forgotten, are reports', async () => {
    const scene = await makeScene();
    const first = await scene.world.lane('replayed').next(scene.world.events('a', 'replayed'));
    await scene.block([first]);
    scene.time += 20 * SECOND;
    await scene.block([]);
    await scene.archive.close();
    scene.time += 3600 * SECOND;
    scene.archive.forget();
    await scene.block([first]);
    const verdict = await scene.end();
    expect(codes(verdict)).toEqual([]);
    expect(codes(verdict, 'NOTE')).toEqual(['UNIQUE REPEATED_AFTER_WINDOW', 'UNIQUE REPLAY']);
  });
});

describe('a policy that makes the dedup window longer', () => {
  async function linkedAgain(afterMs: number, blocksBefore = 0): Promise<Scene> {
    const scene = await makeScene();
    await scene.block([await scene.say('again')]);
    scene.time += afterMs * 1000;
    await scene.block([await scene.say('between')]);
    await scene.archive.close();
    await scene.world.nextPolicy((policy) => ({ ...policy, dedupWindowMs: 3 * policy.dedupWindowMs }));
    scene.archive.forget();
    for (let i = 0; i < blocksBefore; i++) await scene.block([await scene.say(`under the longer window ${i}`)]);
    await scene.block([await scene.say('again')]);
    return scene;
  }

  test('does not bring back what had left it before', async () => {
    const verdict = await (await linkedAgain(70_000)).end();
    expect([codes(verdict), codes(verdict, 'NOTE')]).toEqual([[], ['UNIQUE REPEATED_AFTER_WINDOW']]);
  });

  test('does not bring it back after its first block either', async () => {
    const verdict = await (await linkedAgain(70_000, 1)).end();
    expect([codes(verdict), codes(verdict, 'NOTE')]).toEqual([[], ['UNIQUE REPEATED_AFTER_WINDOW']]);
  });

  test('holds what was in it', async () => {
    expect(codes(await (await linkedAgain(50_000)).end())).toEqual(['UNIQUE LINKED_TWICE']);
  });
});
