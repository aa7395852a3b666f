import { describe, expect, test } from '@jest/globals';
import { verifyArchive } from '../../auditor/verify.ts';
import { REASONS } from '../../core/base/reasons.ts';
import { parseVerifierKey } from '../../core/keys/key.ts';
import { carrying, forgedSignature } from '../support/forged-batch.ts';
import { type BlockOptions, type TestMessage, testSigner } from '../support/producer.ts';
import { farewell, narrow, richArchive, richWorld } from '../support/rich-archive.ts';
import { codes, makeScene, type Scene } from '../support/scene.ts';
import { refuse } from '../support/violation.ts';

describe('what was refused', () => {
  test('is counted by reason and by producer, messages apart from events', async () => {
    const world = await richWorld();
    const { objects } = await richArchive(world);
    const { refused } = await verifyArchive(objects, { keys: [parseVerifierKey(world.root.verifierKey)] });
    expect(refused).toEqual({
      messages: 1,
      events: 2,
      records: 0,
      byReason: [
        { reason: 'FRAMING_INVALID', messages: 1, events: 0, records: 0 },
        { reason: 'STREAM_NOT_PERMITTED', messages: 0, events: 1, records: 0 },
        { reason: 'CONFLICT', messages: 0, events: 1, records: 0 },
      ],
      byProducer: [
        { producer: narrow().name, proven: true, messages: 0, events: 1, records: 0 },
        { producer: world.producer.name, proven: true, messages: 0, events: 1, records: 0 },
      ],
      otherNames: { messages: 0, events: 0, records: 0 },
      nameless: { messages: 1, events: 0, records: 0 },
    });
  });

  test('under a name that no key proves is told apart from what its owner signed, and such names are bounded', async () => {
    const scene = await makeScene();
    const { world } = scene;
    const forged = forgedSignature(await world.lane('forged').next(world.events('a', 'x')));
    const thieves = Array.from({ length: 103 }, (_, i) => testSigner(`example.org/thief/${100 + i}`));
    await scene.block([forged, ...(await Promise.all(thieves.map((thief) => world.lane('stolen', thief).next(world.events('a', 'x')))))]);
    const { refused, result } = await scene.end();
    expect([result, refused.messages, refused.otherNames]).toEqual(['OK', 104, { messages: 4, events: 0, records: 0 }]);
    expect(refused.byReason).toEqual([
      { reason: 'KEY_UNKNOWN', messages: 103, events: 0, records: 0 },
      { reason: 'SIGNATURE_WRONG', messages: 1, events: 0, records: 0 },
    ]);
    expect([refused.byProducer.length, refused.byProducer.filter(({ proven }) => proven)]).toEqual([100, []]);
    expect(refused.byProducer[0]).toEqual({ producer: world.producer.name, proven: false, messages: 1, events: 0, records: 0 });
  });

  test('counts each message of a run, and unreadable records as what they are: nobody knows whether they were messages', async () => {
    const scene = await makeScene();
    const garbage = new Uint8Array(2);
    await scene.block([garbage, garbage, garbage, { span: 1000, section: Uint8Array.of(1) }, garbage, await scene.say('x'), garbage]);
    const { refused, properties, result } = await scene.end();
    expect(refused).toMatchObject({ messages: 5, events: 0, records: 1000, nameless: { messages: 5, events: 0, records: 1000 } });
    expect(refused.byReason).toEqual([
      { reason: 'FRAMING_INVALID', messages: 5, events: 0, records: 0 },
      { reason: 'RECORDS_UNREADABLE', messages: 0, events: 0, records: 1000 },
    ]);
    expect([result, properties.COMPLETE.result]).toEqual(['OK', 'OK']);
    expect(properties.COMPLETE.counts['offsets']).toBe(6 + 1006 + 3);
  });

  test.each<[string, (good: TestMessage) => BlockOptions['messages']]>([
    ['unreadable', (good) => [{ span: 1, section: good.value }, 1]],
    ['a part of a run', () => [new Uint8Array(2), new Uint8Array(2), 1]],
  ])('a good batch that a chainer calls %s is a hole in its lane', async (_, forged) => {
    const scene = await makeScene();
    await scene.block(forged(await scene.say('left out')));
    const verdict = await scene.end();
    expect(codes(verdict)).toEqual(['COMPLETE GAP']);
  });
});

describe('a signed header whose events no longer fit it', () => {
  const first = (scene: Scene, word: string): Promise<TestMessage> => scene.world.lane(word).next(scene.world.events('a', word));

  test.each([
    ['fewer events than it counts', () => []],
    ['another event', (scene: Scene) => scene.world.events('a', 'swapped')],
  ] as const)('keeps COMPLETE open where the message carries %s, even in a lane of which nothing else is known', async (_, events) => {
    const scene = await makeScene();
    await scene.block([carrying(await first(scene, 'x'), events(scene))]);
    const verdict = await scene.end();
    expect([verdict.result, codes(verdict), codes(verdict, 'OPEN')]).toEqual(['OPEN', [], ['COMPLETE HEADER_UNSETTLED']]);
    const found = verdict.findings.filter(({ code }) => code === 'HEADER_UNSETTLED');
    expect(found.map(({ place }) => place)).toEqual([expect.objectContaining({ shard: 0, offset: 6 })]);
    expect(found[0]?.message).toContain(scene.world.producer.name);
  });

  test('keeps COMPLETE open where a chainer calls a good batch too large', async () => {
    const scene = await makeScene();
    const good = await first(scene, 'x');
    await scene.block([good], (forgery) =>
      refuse(forgery, good, { outcome: 'REJECTED', reason: REASONS.BATCH_TOO_LARGE, message: new Uint8Array(32) }),
    );
    expect(codes(await scene.end(), 'OPEN')).toEqual(['COMPLETE HEADER_UNSETTLED']);
  });

  test('is one finding, however often it was refused', async () => {
    const scene = await makeScene();
    const swapped = carrying(await first(scene, 'x'), []);
    await scene.block([swapped, swapped, swapped]);
    expect((await scene.end()).findings.filter(({ code }) => code === 'HEADER_UNSETTLED')).toHaveLength(1);
  });

  test.each(['before', 'after'] as const)('asks for nothing where the header was accepted %s', async (when) => {
    const scene = await makeScene();
    const lane = scene.world.lane('once');
    const good = await lane.next(scene.world.events('a', 'x'));
    const swapped = carrying(good, []);
    await scene.block(when === 'before' ? [good, swapped] : [swapped, good]);
    await scene.block([await farewell(lane)]);
    const verdict = await scene.end();
    expect([verdict.result, verdict.refused.messages]).toEqual(['OK', 1]);
  });

  test('asks for nothing where nobody signed it, and where the header itself counts too many events', async () => {
    const scene = await makeScene();
    const stolen = carrying(forgedSignature(await first(scene, 'x')), []);
    const many = await scene.world.lane('many').next([], { count: 1025, root: new Uint8Array(32) });
    await scene.block([stolen, many]);
    const verdict = await scene.end();
    expect([verdict.result, verdict.refused.byReason.map(({ reason }) => reason)]).toEqual(['OK', ['BATCH_TOO_LARGE', 'COUNT_WRONG']]);
  });
});
