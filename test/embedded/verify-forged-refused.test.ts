import { describe, expect, test } from '@jest/globals';
import { logKeysOf } from '../../core/archive/archive-keys.ts';
import { REASONS } from '../../core/base/reasons.ts';
import { eventDigest } from '../../core/formats/event.ts';
import { EVENT_SCHEMA } from '../../core/formats/event-schema.ts';
import type { Receipt } from '../../core/formats/evidence.ts';
import type { SegmentForgery } from '../support/forged-archive.ts';
import type { Forgery } from '../support/forged-block.ts';
import { makeWorld, testId } from '../support/producer.ts';
import { required } from '../support/rich-archive.ts';
import { codes, makeScene, type Scene } from '../support/scene.ts';
import { changeInput } from '../support/violation.ts';

/** A scene in which the producer may write to stream `a` only. */
async function narrowScene(): Promise<Scene> {
  return makeScene(
    await makeWorld({
      policy: (policy) => ({
        ...policy,
        segmentMaxAgeMs: 10_000,
        producers: policy.producers.map((each) => ({ ...each, streams: ['a'] })),
      }),
    }),
  );
}

/** What is found when a batch has one event that may be linked and one that may not, and block or archive are changed. */
async function found(spoil: (forgery: Forgery) => void, forgery: SegmentForgery = {}): Promise<string[]> {
  const scene = await narrowScene();
  const events = [...scene.world.events('a', 'good'), ...scene.world.events('b', 'bad')];
  await scene.block([await scene.lane.next(events)], spoil);
  return codes(await scene.end(forgery));
}

const nothing = (): void => undefined;

describe('a chainer that leaves an event out', () => {
  test('for the reason that the event gives is right', async () => {
    expect(await found(nothing)).toEqual([]);
  });

  test.each([
    ['for another reason', { reason: REASONS.TYPE_NOT_PERMITTED }],
    ['under another identity', { id: testId('another') }],
    ['under no identity', { id: null }],
  ])('%s: COMPLETE', async (_, part: Partial<Receipt>) => {
    const spoil = (forgery: Forgery): void =>
      changeInput(forgery, 0, { receipts: required(forgery.inputs[0]).receipts.map((each) => ({ ...each, ...part })) });
    expect(await found(spoil)).toEqual(['COMPLETE RECEIPT_REASON']);
  });

  test.each([
    ['as not permitted', { outcome: 'REJECTED', reason: REASONS.STREAM_NOT_PERMITTED, original: null }],
    ['as malformed', { outcome: 'REJECTED', reason: REASONS.EVENT_MALFORMED, original: null }],
  ] as const)('that it had to link, %s: COMPLETE', async (_, part) => {
    const hide = (forgery: Forgery): void => {
      const bytes = required(forgery.events.pop());
      forgery.links.pop();
      const receipt: Receipt = { position: 0, digest: eventDigest(EVENT_SCHEMA.digest, bytes), id: testId('a good'), ...part };
      changeInput(forgery, 0, { receipts: [receipt, ...required(forgery.inputs[0]).receipts] });
      forgery.refused.unshift(bytes);
    };
    expect(await found(hide)).toEqual(['COMPLETE RECEIPT_REASON']);
  });

  test('and does not carry it, or carries more: ARCHIVE', async () => {
    expect(await found((forgery) => forgery.refused.pop())).toEqual(['ARCHIVE REFUSED_COUNT']);
    expect(await found((forgery) => forgery.refused.push(new Uint8Array(3)))).toEqual(['ARCHIVE REFUSED_COUNT']);
  });

  test('and carries another one: ARCHIVE', async () => {
    expect(await found((forgery) => (forgery.refused = [new Uint8Array(3)]))).toEqual(['ARCHIVE REFUSED_DIGEST']);
  });
});

describe('an archive', () => {
  test('has a file of refused events only where some were refused', async () => {
    const scene = await narrowScene();
    const names = (): string[] => [...scene.archive.objects.map.keys()].filter((key) => key.endsWith('.refused.avro'));
    expect(names()).toEqual([]);
    await scene.block([await scene.lane.next(scene.world.events('b', 'bad'))]);
    expect(codes(await scene.end())).toEqual([]);
    expect(names()).toEqual([logKeysOf(0).refused(18, scene.archive.size)]);
  });

  test('that lost the file: ARCHIVE', async () => {
    const scene = await narrowScene();
    await scene.block([await scene.lane.next(scene.world.events('b', 'bad'))]);
    await scene.end();
    const { map } = scene.archive.objects;
    for (const key of map.keys()) if (key.endsWith('.refused.avro')) map.delete(key);
    expect(codes(await scene.verify())).toEqual(['ARCHIVE MISSING']);
  });

  test.each<[string, SegmentForgery, string[]]>([
    ['left the records out', { refused: () => [] }, ['ARCHIVE REFUSED_COUNT']],
    [
      'put them under another block',
      { refused: (all) => all.map((each) => ({ ...each, sealIndex: each.sealIndex - 1 })) },
      ['ARCHIVE RECORD_EXTRA', 'ARCHIVE REFUSED_COUNT'],
    ],
    [
      'put an event in twice',
      { refused: (all) => all.map((each) => ({ ...each, events: [...each.events, ...each.events] })) },
      ['ARCHIVE REFUSED_COUNT'],
    ],
    ['exchanged an event', { refused: (all) => all.map((each) => ({ ...each, events: [new Uint8Array(9)] })) }, ['ARCHIVE REFUSED_DIGEST']],
  ])('whose archiver %s: ARCHIVE', async (_, forgery, failed) => {
    expect(await found(nothing, forgery)).toEqual(failed);
  });

  test('whose manifest lists the file twice: ARCHIVE', async () => {
    const twice: SegmentForgery = {
      manifest: (manifest) => ({ ...manifest, objects: [...manifest.objects, required(manifest.objects.at(-1))] }),
    };
    expect(await found(nothing, twice)).toEqual(['ARCHIVE MANIFEST_OBJECTS']);
  });
});
