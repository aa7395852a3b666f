import { expect, test } from '@jest/globals';
import { takeApart, type WalkedBlock } from '../../../core/chain/chain-walk.ts';
import { eventDigest } from '../../../core/formats/event.ts';
import { parseVerifierKey } from '../../../core/keys/key.ts';
import type { ProducerEntry } from '../../../core/policy/policy-document.ts';
import { outcomeOf, type SoughtEvent } from '../../../prover/attested/block-outcome.ts';
import { type BlockOptions, makeWorld, type TestLane, testSigner, type World } from '../../support/producer.ts';
import { required } from '../../support/rich-archive.ts';

const OTHER = testSigner('example.org/log/other');

/** A log whose second producer may write to no stream. */
function world(): Promise<World> {
  return makeWorld({
    origin: 'example.org/log',
    policy: (policy) => {
      const [first] = policy.producers as [ProducerEntry];
      return {
        ...policy,
        producers: [
          { ...first, streams: ['a'] },
          { ...first, key: OTHER.verifierKey, streams: [] },
        ],
      };
    },
  });
}

async function blockOf(made: World, messages: BlockOptions['messages']): Promise<WalkedBlock> {
  const { value } = await made.block(made.state(0), { messages });
  return required(takeApart({ kind: 'record', offset: 0, timestampMicros: 0, key: null, value, headers: {} }));
}

const sought = ({ producer, schema }: World, bytes: Uint8Array, { epoch }: TestLane): SoughtEvent => ({
  digest: eventDigest(schema.digest, bytes),
  producer: parseVerifierKey(producer.verifierKey),
  place: { epoch, seq: 0 },
});

test('a batch that was refused to its own producer is refused, and so is an event', async () => {
  const made = await world();
  const [bytes] = made.events('b', 'x') as [Uint8Array];
  const lane = made.lane('own', made.producer, 0);
  expect(outcomeOf(await blockOf(made, [await lane.next([bytes])]), sought(made, bytes, lane))).toMatchObject({ what: 'event' });
});

test('a batch that a stranger sends under our name and lane refuses us nothing', async () => {
  const made = await world();
  const [bytes] = made.events('a', 'x') as [Uint8Array];
  const lane = made.lane('own', testSigner(made.producer.name, 'stranger'), 0);
  expect(outcomeOf(await blockOf(made, [await lane.next([bytes])]), sought(made, bytes, lane))).toBeUndefined();
});

test('an event of ours in the batch of another producer, who may not publish it, refuses us nothing', async () => {
  const made = await world();
  const [bytes] = made.events('a', 'x') as [Uint8Array];
  const [lane, others] = [made.lane('own', made.producer, 0), made.lane('other', OTHER, 0)];
  const theirs = await others.next([bytes]);
  expect(outcomeOf(await blockOf(made, [theirs]), sought(made, bytes, lane))).toBeUndefined();
  expect(outcomeOf(await blockOf(made, [theirs, await lane.next([bytes])]), sought(made, bytes, lane))).toMatchObject({ kind: 'linked' });
});
