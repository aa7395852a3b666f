import { beforeAll, describe, expect, test } from '@jest/globals';
import type { AcceptedBlock } from '../../../../core/acceptance/accept.ts';
import { isSealedBody } from '../../../../core/acceptance/block-body.ts';
import { isSealSignedByAny } from '../../../../core/acceptance/seal-signature.ts';
import type { Block } from '../../../../core/formats/block.ts';
import { eventDigest } from '../../../../core/formats/event.ts';
import { encodeEvidence } from '../../../../core/formats/evidence.ts';
import { decodeLeaf, encodeLink, type Link } from '../../../../core/formats/leaf.ts';
import { makeWorld, testSigner, type World } from '../../../support/producer.ts';

/** The longest name whose length Avro writes in one byte, and one that is a byte longer. */
const [SHORT, LONG] = ['s'.repeat(63), 'l'.repeat(64)];

let world: World;
/** Offsets 0–1 are empty, 2 has three events of which the second was linked before, 3 was refused, 4 has two. */
let accepted: AcceptedBlock;

beforeAll(async () => {
  world = await makeWorld();
  const lane = world.lane('one');
  const first = await lane.next([...world.events(SHORT, '1', '2'), ...world.events(LONG, '1')]);
  const unknown = await world.lane('two', testSigner('example.org/log/nobody')).next(world.events('c', '1'));
  const second = await lane.next(world.events(SHORT, '3', '4'));
  const digest = eventDigest(world.schema.digest, first.events[1] as Uint8Array);
  let asked = 0;
  // The chainer asks for the header of a batch, then for each of its events.
  const known = () => (asked++ === 2 ? { logIndex: 0, digest: digest.subarray(0, 16) } : undefined);
  ({ accepted } = await world.block(world.state(), { messages: [2, first, unknown, second], known }));
});

function at<T>(items: readonly T[], i: number): T {
  return items[i] as T;
}

/** Whether a body passes after `spoil` changed the links and events of the honest one. */
function passes(spoil: (links: Link[], events: Uint8Array[]) => void): boolean {
  const links = accepted.block.links.map((bytes) => decodeLeaf(bytes) as Link);
  const events = [...accepted.block.events];
  spoil(links, events);
  return isSealedBody({ ...accepted.block, links: links.map(encodeLink), events }, accepted.seal);
}

/** The same event under other bytes: another event that the link names rightly. */
function exchange(links: Link[], events: Uint8Array[], i: number, event: Uint8Array): void {
  links[i] = { ...at(links, i), event: eventDigest(world.schema.digest, event) };
  events[i] = event;
}

describe('the body of an accepted block', () => {
  test('is the sealed one', () => {
    expect(accepted.links.map(({ inputOffset, position }) => [inputOffset, position])).toEqual([
      [2, 0],
      [2, 2],
      [4, 0],
      [4, 1],
    ]);
    expect(accepted.inputs.map(({ outcome }) => outcome)).toEqual(['EMPTY', 'ACCEPTED', 'REJECTED', 'ACCEPTED']);
    expect(passes(() => undefined)).toBe(true);
  });

  test.each<[string, (links: Link[], events: Uint8Array[]) => void]>([
    ['another event in the place of one', (links, events) => exchange(links, events, 0, at(world.events(SHORT, 'other'), 0))],
    ['another event in the place of the last one', (links, events) => exchange(links, events, 3, at(world.events(SHORT, 'other'), 0))],
    ['a link that does not name its event', (_, events) => events.splice(0, 1, at(world.events(SHORT, 'other'), 0))],
    [
      'one link less',
      (links, events) => {
        links.pop();
        events.pop();
      },
    ],
    [
      'one link more, of the event that was linked before',
      (links, events) => {
        const event = at(world.events(SHORT, '2'), 0);
        links.splice(1, 0, { ...at(links, 0), position: 1, event: eventDigest(world.schema.digest, event) });
        events.splice(1, 0, event);
      },
    ],
    [
      'the event that was linked before in the place of one that was not',
      (links, events) => {
        exchange(links, events, 0, at(world.events(SHORT, '2'), 0));
        links[0] = { ...at(links, 0), position: 1 };
      },
    ],
    [
      'an event beyond the end of its batch',
      (links) => {
        links[3] = { ...at(links, 3), position: 2 };
      },
    ],
    [
      'an event of a batch that was refused',
      (links) => {
        links[1] = { ...at(links, 1), inputOffset: 3 };
      },
    ],
    [
      'links of two batches in turn',
      (links, events) => {
        links.splice(1, 2, at(links, 2), at(links, 1));
        events.splice(1, 2, at(events, 2), at(events, 1));
      },
    ],
    [
      'links of one batch in another order',
      (links, events) => {
        links.splice(2, 2, at(links, 3), at(links, 2));
        events.splice(2, 2, at(events, 3), at(events, 2));
      },
    ],
    [
      'an event on another stream',
      (links) => {
        links[2] = { ...at(links, 2), stream: 'e' };
      },
    ],
    [
      'an event on another stream whose long name ends otherwise',
      (links) => {
        links[1] = { ...at(links, 1), stream: `${LONG.slice(1)}x` };
      },
    ],
  ])('does not have %s', (_, spoil) => {
    expect(passes(spoil)).toBe(false);
  });

  test('has no bytes that are not links', () => {
    const { block, seal } = accepted;
    const links = (bytes: Uint8Array): Uint8Array[] => [bytes, ...block.links.slice(1)];
    for (const bytes of [new Uint8Array(0), block.seal, at(block.links, 0).subarray(0, -1)])
      expect(isSealedBody({ ...block, links: links(bytes) }, seal)).toBe(false);
  });

  test('has the evidence that the seal hashes', () => {
    const { block, seal } = accepted;
    const evidence = encodeEvidence(accepted.inputs.map((input) => ({ ...input, appendedAt: input.appendedAt + 1 })));
    expect(evidence).not.toEqual(block.evidence);
    expect(isSealedBody({ ...block, evidence }, seal)).toBe(false);
  });
});

describe('a seal that names no policy', () => {
  const signed = (change: Partial<Block> = {}, before: string | null = null) =>
    isSealSignedByAny(world.policies, before, { ...accepted.block, ...change });

  test('is signed by a chainer if a key that may follow the policy before it signed it', () => {
    expect(signed()).toBe(true);
    expect(signed({}, world.policy.hex)).toBe(true);
    expect(signed({}, 'f'.repeat(64))).toBe(false);
  });

  test('is not signed with a wrong signature or under the id of another key', () => {
    expect(signed({ signature: new Uint8Array(64) })).toBe(false);
    expect(signed({ keyId: testSigner('example.org/log/nobody').keyId })).toBe(false);
  });
});
