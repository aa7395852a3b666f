import { eventDigest } from '../../core/formats/event.ts';
import { acceptAnyway } from '../support/forged-batch.ts';
import { rechain } from '../support/forged-block.ts';
import { testSigner } from '../support/producer.ts';
import { required } from '../support/rich-archive.ts';
import { changeLink, firstOf, SEVENS } from '../support/violation.ts';
import { ALL_ELSE, type Attack } from './attack.ts';
import { byChainer, type ForgedStep } from './forging.ts';

const STRANGER = testSigner('stranger');

/** Seals that lie about the log. */
const SEALS: readonly ForgedStep[] = [
  {
    name: 'seal-of-another-log',
    spoil: ({ seal }) => (seal.origin = 'example.org/log/1'),
    stopped: 'ORIGIN',
    seen: 'LOG SEAL_ORIGIN',
    failed: 'LOG',
  },
  {
    name: 'seal-at-another-leaf',
    spoil: ({ seal }, { archive }) => (seal.firstIndex = archive.size - 2),
    stopped: 'FIRST_INDEX',
    seen: 'LOG SEAL_INDEX',
    failed: 'LOG',
  },
  { name: 'seal-over-other-links', spoil: ({ seal }) => (seal.links = 3), stopped: 'LINK_COUNT', seen: 'LOG SEAL_INDEX', failed: 'LOG' },
  {
    name: 'seal-after-another',
    spoil: ({ seal }) => (seal.previous = SEVENS),
    stopped: 'PREVIOUS_SEAL',
    seen: 'LOG SEAL_PREVIOUS',
    failed: 'LOG',
  },
  { name: 'seal-with-another-root', spoil: ({ seal }) => (seal.root = SEVENS), stopped: 'ROOT', seen: 'LOG SEAL_ROOT', failed: 'LOG' },
  {
    name: 'seal-over-other-evidence',
    spoil: ({ seal }) => (seal.evidence = SEVENS),
    stopped: 'EVIDENCE_HASH',
    seen: 'ARCHIVE EVIDENCE_DIGEST',
    failed: 'ARCHIVE',
    unchecked: ALL_ELSE,
  },
  {
    name: 'seal-by-a-stranger',
    spoil: (forgery) => (forgery.signer = STRANGER),
    stopped: 'CHAINER_KEY',
    seen: 'SIGNATURES CHAINER_UNKNOWN',
    failed: 'SIGNATURES',
  },
  {
    name: 'seal-by-a-stranger-of-the-same-name',
    spoil: (forgery, { chainer }) => Object.assign(forgery, { signer: testSigner(chainer.name, 'stranger'), keyId: chainer.keyId }),
    stopped: 'CHAINER_SIGNATURE',
    seen: 'SIGNATURES SEAL_SIGNATURE',
    failed: 'SIGNATURES',
  },
  {
    name: 'seal-without-a-signature',
    spoil: (forgery) => (forgery.signature = new Uint8Array(0)),
    stopped: 'CHAINER_SIGNATURE',
    seen: 'SIGNATURES SEAL_SIGNATURE',
    failed: 'SIGNATURES',
  },
  {
    name: 'seal-by-the-retired-chainer',
    spoil: (forgery, { world }) => (forgery.signer = world.chainer),
    stopped: 'CHAINER_KEY',
    seen: 'SIGNATURES CHAINER_NOT_ACTIVE',
    failed: 'SIGNATURES',
  },
  {
    name: 'input-left-out',
    options: ({ archive }) => ({ inputFrom: archive.state.head.inputTo + 5 }),
    stopped: 'INPUT_FROM',
    seen: 'COMPLETE INPUT_HOLE',
    failed: 'COMPLETE',
  },
  {
    name: 'input-used-twice',
    options: ({ archive }) => ({ inputFrom: archive.state.head.inputTo - 1 }),
    stopped: 'INPUT_FROM',
    seen: 'COMPLETE INPUT_HOLE',
    failed: 'COMPLETE',
  },
  {
    name: 'input-of-an-unnamed-generation',
    options: () => ({ inputGeneration: 1 }),
    stopped: 'INPUT_FROM',
    seen: 'COMPLETE INPUT_GENERATION',
    failed: 'COMPLETE',
  },
  {
    name: 'input-consumed-without-evidence',
    spoil: ({ seal }, { archive }) => (seal.inputTo = archive.state.head.inputTo + 5),
    stopped: 'EVIDENCE_OFFSETS',
    seen: 'COMPLETE OFFSETS',
    failed: 'COMPLETE',
  },
];

/** Links that are not what the producer's batches give. */
const LINKS: readonly ForgedStep[] = [
  {
    name: 'link-beside-the-chain',
    spoil: (forgery) => changeLink(forgery, 1, { previous: SEVENS }),
    stopped: 'LINK_PREVIOUS',
    seen: 'STREAMS STREAM_PREVIOUS',
    failed: 'STREAMS',
  },
  {
    name: 'link-skips-a-position',
    spoil: (forgery) => changeLink(forgery, 1, { index: 99 }),
    stopped: 'LINK_INDEX',
    seen: 'STREAMS STREAM_INDEX',
    failed: 'STREAMS',
  },
  {
    name: 'link-begins-its-stream-again',
    spoil: (forgery) => changeLink(forgery, 0, { index: 0, previous: new Uint8Array(32) }),
    stopped: 'LINK_INDEX',
    seen: 'STREAMS STREAM_PREVIOUS',
    failed: 'STREAMS',
  },
  {
    name: 'link-in-another-stream',
    spoil: (forgery, { archive }) => {
      changeLink(forgery, 1, { stream: 'z' });
      forgery.links = rechain(archive.state, forgery.links);
    },
    stopped: 'LINK_STREAM',
    seen: 'STREAMS EVENT_STREAM',
    failed: 'STREAMS',
  },
  {
    name: 'link-of-the-other-shard',
    messages: async ({ world, wide }) => [await wide.lanes[0].next(world.events('d', 'x'))],
    spoil: (forgery, { archive }, given) => acceptAnyway(archive.state, forgery, firstOf(given), { stream: 'd' }),
    stopped: 'EVENT',
    seen: 'STREAMS STREAM_SHARD',
    failed: 'STREAMS',
  },
  {
    name: 'link-dated-back',
    spoil: (forgery, { time }) => changeLink(forgery, 1, { acceptedAt: time - 1 }),
    stopped: 'LINK_TIME',
    seen: 'ORDER LINK_TIME',
    failed: 'ORDER',
  },
  {
    name: 'link-marked-as-after-a-gap',
    spoil: (forgery) => changeLink(forgery, 1, { marks: 1 }),
    stopped: 'LINK_MARKS',
    seen: 'POLICY MARKS_WRONG',
    failed: 'POLICY',
  },
  {
    name: 'gap-without-its-mark',
    messages: async ({ wide }) => {
      await wide.say(0, 'left out');
      return [await wide.say(0, 'x')];
    },
    spoil: (forgery) => changeLink(forgery, 0, { marks: 0 }),
    stopped: 'LINK_MARKS',
    honest: { seen: 'COMPLETE GAP', failed: 'COMPLETE' },
    seen: 'POLICY MARKS_WRONG',
    failed: 'COMPLETE POLICY',
  },
  {
    name: 'links-change-places',
    spoil: (forgery, { archive }) => {
      forgery.links = rechain(archive.state, forgery.links.toReversed());
      forgery.events.reverse();
    },
    stopped: 'LINK_ORDER',
    seen: 'ORDER LINK_ORDER',
    failed: 'ORDER',
  },
  {
    name: 'batches-change-places',
    messages: async ({ wide }) => [await wide.say(0, 'x', 'y'), await wide.say(0, 'z')],
    spoil: (forgery, { archive }) => {
      forgery.links = rechain(archive.state, [...forgery.links.slice(2), ...forgery.links.slice(0, 2)]);
      forgery.events.push(...forgery.events.splice(0, 2));
    },
    stopped: 'LINK_ORDER',
    seen: 'ORDER LINK_ORDER',
    failed: 'ORDER',
  },
  {
    name: 'event-exchanged',
    spoil: (forgery, { world }) => {
      const bytes = required(world.events('a', 'something else')[0]);
      forgery.events[1] = bytes;
      changeLink(forgery, 1, { event: eventDigest(world.schema.digest, bytes) });
    },
    stopped: 'BATCH_ROOT',
    seen: 'SIGNATURES BATCH_ROOT',
    failed: 'SIGNATURES',
  },
  {
    name: 'event-invented',
    spoil: (forgery, { world, archive }) => {
      const bytes = required(world.events('a', 'invented')[0]);
      const link = required(forgery.links[1]);
      forgery.links = rechain(archive.state, [...forgery.links, { ...link, position: 2, event: eventDigest(world.schema.digest, bytes) }]);
      forgery.events.push(bytes);
    },
    stopped: 'POSITIONS',
    seen: 'COMPLETE POSITION',
    failed: 'COMPLETE',
  },
  {
    name: 'event-invented-without-a-batch',
    messages: async () => [1],
    spoil: (forgery, { world, archive }) => {
      const bytes = required(world.events('a', 'invented')[0]);
      const link = { kind: 'link', stream: 'a', index: 0, previous: SEVENS, schema: world.schema.digest, position: 0, marks: 0 } as const;
      const placed = {
        event: eventDigest(world.schema.digest, bytes),
        acceptedAt: required(forgery.seal.acceptedAt),
        inputOffset: archive.state.head.inputTo,
      };
      forgery.links = rechain(archive.state, [{ ...link, ...placed }]);
      forgery.events.push(bytes);
    },
    stopped: 'LINK_BATCH',
    seen: 'SIGNATURES LINK_WITHOUT_BATCH',
    failed: 'SIGNATURES',
  },
  {
    name: 'event-dropped',
    spoil: (forgery) => {
      forgery.links.pop();
      forgery.events.pop();
    },
    stopped: 'POSITIONS',
    seen: 'COMPLETE EVENTS_MISSING',
    failed: 'COMPLETE',
  },
  {
    name: 'event-linked-over-another',
    spoil: (forgery, { archive }) => {
      const [link, event] = [required(forgery.links[0]), required(forgery.events[0])];
      forgery.links = rechain(archive.state, [link, link]);
      forgery.events = [event, event];
    },
    stopped: 'LINK_ORDER',
    seen: 'COMPLETE POSITION',
    failed: 'COMPLETE ORDER UNIQUE',
  },
  {
    name: 'event-with-a-second-record-behind-it',
    messages: async ({ world, wide }) => [
      await wide.lanes[0].next(world.events('a', 'x').map((bytes) => Uint8Array.from([...bytes, ...bytes]))),
    ],
    spoil: (forgery, { archive }, given) => acceptAnyway(archive.state, forgery, firstOf(given)),
    stopped: 'EVENT',
    seen: 'ARCHIVE CONTAINER',
    failed: 'ARCHIVE',
    unchecked: 'STREAMS SIGNATURES UNIQUE POLICY',
  },
];

const AFTER_FINAL: Attack = {
  name: 'block-after-the-final-one',
  keys: ['chainer', 'log'],
  play: async (stage) => stage.block([await stage.wide.say(0, 'x')], undefined, { final: true }),
  seen: 'LOG AFTER_FINAL',
  failed: 'LOG',
};

export const LINK_ATTACKS: readonly Attack[] = [...[...SEALS, ...LINKS].flatMap(byChainer), AFTER_FINAL];
