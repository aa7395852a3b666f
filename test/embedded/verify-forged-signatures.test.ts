import { describe, test } from '@jest/globals';
import { REASONS } from '../../core/base/reasons.ts';
import { eventDigest } from '../../core/formats/event.ts';
import { acceptAnyway, forgedSignature, inputOf } from '../support/forged-batch.ts';
import { testSigner } from '../support/producer.ts';
import { narrow, required } from '../support/rich-archive.ts';
import { changeInput, changeLink, expectFound, firstOf, refuse, twice, type Violation } from '../support/violation.ts';

describe('signatures', () => {
  const rows: readonly Violation[] = [
    {
      name: 'the seal is signed by a stranger',
      failed: ['SIGNATURES CHAINER_UNKNOWN'],
      spoil: (forgery) => (forgery.signer = testSigner('stranger')),
    },
    {
      name: 'the seal is signed by a stranger under the chainer’s name and id',
      failed: ['SIGNATURES SEAL_SIGNATURE'],
      spoil: (forgery, { world }) => {
        forgery.signer = testSigner(world.chainer.name, 'stranger');
        forgery.keyId = world.chainer.keyId;
      },
    },
    {
      name: 'the seal has no signature at all',
      failed: ['SIGNATURES SEAL_SIGNATURE'],
      spoil: (forgery) => (forgery.signature = new Uint8Array(0)),
    },
    {
      name: 'a batch of a stranger is accepted',
      failed: ['SIGNATURES BATCH_UNACCEPTABLE'],
      // The manifest is right nevertheless, also about the time of its earliest event.
      messages: async ({ world }) => [
        await world.lane('stranger', testSigner('stranger')).next([world.schema.encode(world.event('a', 'x', { occurredAt: 1 }))]),
      ],
      spoil: (forgery, { archive }, given) => acceptAnyway(archive.state, forgery, firstOf(given)),
    },
    {
      name: 'a batch with a wrong signature is accepted',
      failed: ['SIGNATURES BATCH_UNACCEPTABLE'],
      messages: async (scene) => [forgedSignature(await scene.say('x'))],
      spoil: (forgery, { archive }, given) => acceptAnyway(archive.state, forgery, firstOf(given)),
    },
    {
      name: 'a repeated batch has a wrong signature',
      failed: ['SIGNATURES BATCH_UNACCEPTABLE'],
      messages: async (scene) => twice(await scene.say('x')),
      spoil: (forgery, _, given) => {
        const { appendedAt } = required(forgery.inputs[1]);
        forgery.inputs[1] = inputOf(forgedSignature(firstOf(given)), { outcome: 'REPEATED', appendedAt });
      },
    },
    {
      name: 'an event is exchanged for another one',
      failed: ['SIGNATURES BATCH_ROOT'],
      spoil: (forgery, { world }) => {
        const [bytes] = world.events('a', 'something else');
        forgery.events[1] = required(bytes);
        changeLink(forgery, 1, { event: eventDigest(world.schema.digest, required(bytes)) });
      },
    },
    {
      name: 'a header that cannot be read is accepted',
      failed: ['COMPLETE GAP', 'POLICY BATCH_UNACCEPTABLE', 'SIGNATURES LINK_WITHOUT_BATCH'],
      spoil: (forgery) => {
        const { batch } = required(forgery.inputs[0]);
        changeInput(forgery, 0, { batch: { ...required(batch ?? undefined), header: new Uint8Array([1, 2, 3]) } });
      },
    },
    {
      name: 'a link without a batch',
      failed: ['COMPLETE GAP', 'SIGNATURES LINK_WITHOUT_BATCH'],
      spoil: (forgery, _, given) => {
        const { links, events } = forgery;
        refuse(forgery, firstOf(given), { outcome: 'REJECTED', reason: REASONS.ROOT_WRONG });
        Object.assign(forgery, { links, events });
      },
    },
    {
      name: 'an event on a stream that its producer may not use',
      failed: ['SIGNATURES EVENT_UNACCEPTABLE'],
      messages: async ({ world }) => [await world.lane('narrow', narrow()).next(world.events('a', 'x'))],
      spoil: (forgery, { archive }, given) => acceptAnyway(archive.state, forgery, firstOf(given)),
    },
    {
      name: 'an event of a type that its producer may not use',
      failed: ['SIGNATURES EVENT_UNACCEPTABLE'],
      messages: async ({ world }) => [
        await world.lane('narrow', narrow()).next([world.schema.encode(world.event('b/1', 'x', { type: 'DELETE' }))]),
      ],
      spoil: (forgery, { archive }, given) => acceptAnyway(archive.state, forgery, firstOf(given), { stream: 'b/1' }),
    },
  ];
  test.each(rows)('$name: $failed', expectFound);
});
