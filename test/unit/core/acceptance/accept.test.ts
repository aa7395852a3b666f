import { beforeAll, describe, expect, test } from '@jest/globals';
import { sha256 } from '#crypto';
import { type AcceptContext, accept } from '../../../../core/acceptance/accept.ts';
import type { AcceptanceRule } from '../../../../core/acceptance/acceptance-rules.ts';
import { genesis, LogState, laneKey, overlay } from '../../../../core/acceptance/log-state.ts';
import { SCHEMA_TEXTS } from '../../../../core/avro/schema-texts.ts';
import { equal, toHex } from '../../../../core/base/bytes.ts';
import { eventDigest } from '../../../../core/formats/event.ts';
import { compileEventSchema, EVENT_SCHEMA } from '../../../../core/formats/event-schema.ts';
import { encodeLink, type Link, MARKS } from '../../../../core/formats/leaf.ts';
import { extendFrontier, frontierRoot } from '../../../../core/tree/frontier.ts';
import { leafHash } from '../../../../core/tree/hash.ts';
import { type Forgery, forge, honest, rechain } from '../../../support/forged-block.ts';
import {
  BLOCK_SCHEMA_ID,
  type BlockOptions,
  makeWorld,
  START_MICROS,
  type TestLane,
  type TestMessage,
  testId,
  testSigner,
  type World,
} from '../../../support/producer.ts';

const OTHER = new Uint8Array(32).fill(9);

let world: World;
/** After one block: stream `a` has two links, `b` one; three input offsets are consumed. */
let state: LogState;
let lane: TestLane;
/** The next message of `lane`: a, b, a. */
let next: TestMessage;

beforeAll(async () => {
  world = await makeWorld();
  lane = world.lane('one');
  const first = await lane.next([...world.events('a', '1', '2'), ...world.events('b', '1')]);
  state = world.state();
  const { accepted } = await world.block(state, { messages: [first, new Uint8Array(3), 1] });
  state.apply(accepted.delta);
  next = await lane.next([...world.events('a', '3'), ...world.events('b', '2'), ...world.events('a', '4')]);
});

type Outcome = 'accepted' | 'wait' | `${'refused' | 'stop'} ${AcceptanceRule}`;

function judge(view: LogState, value: Uint8Array, context: AcceptContext = world.context): Outcome {
  const verdict = accept(view, value, context);
  return verdict.kind === 'refused' || verdict.kind === 'stop' ? `${verdict.kind} ${verdict.rule}` : verdict.kind;
}

/** The verdict on the honest next block after `spoil` changed it. It is signed again, so that only the change can be found wrong. */
async function spoilt(spoil: (forgery: Forgery) => void, options?: BlockOptions): Promise<Outcome> {
  const forgery = honest(world, state, options ?? { messages: [next] });
  spoil(forgery);
  return judge(state, await forge(state, forgery));
}

function at<T>(items: readonly T[], i: number): T {
  return items[i] as T;
}

function change<T>(items: T[], i: number, part: Partial<T>): void {
  items[i] = { ...at(items, i), ...part };
}

/** Replaces an ACCEPTED batch by another one. */
function exchange(forgery: Forgery, { header, keyId, signature }: TestMessage): void {
  change(forgery.inputs, 0, { batch: { header, keyId, signature } });
}

describe('a block that follows', () => {
  test('is accepted, whether the chainer built it or its parts were put together by hand', async () => {
    expect(await spoilt(() => undefined)).toBe('accepted');
    expect(judge(state, (await world.block(state, { messages: [next] })).value)).toBe('accepted');
  });

  test('moves the state by exactly what it says', async () => {
    const heartbeat = await world.lane('two').next([]);
    const value = await forge(state, honest(world, state, { messages: [5, next, heartbeat], appendedAt: state.head.appendedAt + 77 }));
    const verdict = accept(state, value, world.context);
    if (verdict.kind !== 'accepted') throw new Error('not accepted');
    const { delta, block, links, leafHashes, inputs, seal } = verdict;
    const leaves = [...block.links, block.seal].map((leaf) => leafHash(leaf));
    expect(leafHashes).toEqual(leaves);
    expect(delta.head).toEqual({
      ...state.head,
      size: state.head.size + 4,
      frontier: extendFrontier(state.head.frontier, leaves),
      seal: at(leaves, 3),
      inputTo: state.head.inputTo + 7,
      appendedAt: state.head.appendedAt + 2077,
      acceptedAt: seal.acceptedAt,
      policy: world.policy.hex,
    });
    expect(delta.head.acceptedAt).toBeGreaterThan(state.head.acceptedAt);
    expect([...delta.streams]).toEqual([
      ['a', { index: 3, hash: leaves[2], logIndex: state.head.size + 2, producer: world.producer.name }],
      ['b', { index: 1, hash: leaves[1], logIndex: state.head.size + 1, producer: world.producer.name }],
    ]);
    const key = laneKey(world.producer.name, lane.epoch);
    expect(delta.lanes.get(key)).toEqual({ number: 2, hash: sha256(next.header), appendedAt: state.head.appendedAt + 1077 });
    expect(delta.lanes.size).toBe(2);
    expect(delta.lanesFrom).toBe(delta.head.appendedAt - world.policy.policy.laneRetentionMs * 1000);
    expect(links.map(({ stream, index }) => `${stream}${index}`)).toEqual(['a2', 'b1', 'a3']);
    expect(inputs.map(({ outcome }) => outcome)).toEqual(['EMPTY', 'ACCEPTED', 'ACCEPTED']);
  });

  test('may be sealed at the same time as the one before', async () => {
    expect(await spoilt(() => undefined, { messages: [next], acceptedAt: state.head.acceptedAt })).toBe('accepted');
  });

  test('goes on with a lane that was silent for the whole retention, and with one that is forgotten marks a gap', async () => {
    const { laneRetentionMs } = world.policy.policy;
    const last = state.lane(laneKey(world.producer.name, lane.epoch))?.appendedAt ?? 0;
    for (const [late, marks] of [
      [0, 0],
      [1, MARKS.gapBefore],
    ] as const) {
      const time = last + laneRetentionMs * 1000 + late;
      const { accepted } = await world.block(state, { messages: [next], appendedAt: time, acceptedAt: time });
      expect(accepted.links.map((link) => link.marks)).toEqual([marks, 0, 0]);
    }
  });

  test('may have input that leads it by just the clock skew, and goes on with a time that leads it by more', async () => {
    const ahead = await spoilt(({ inputs, seal }) =>
      change(inputs, 0, { appendedAt: (seal.acceptedAt as number) + world.policy.policy.clockSkewMs * 1000 }),
    );
    expect(ahead).toBe('accepted');
    const future = new LogState({ ...state.head, appendedAt: state.head.acceptedAt + 1e12 }, state.streams, state.lanes);
    const forgery = honest(world, future, { messages: [next] });
    expect(at(forgery.inputs, 0).appendedAt).toBe(future.head.appendedAt);
    expect(judge(future, await forge(future, forgery))).toBe('accepted');
  });

  test('may be a tick that consumes nothing', async () => {
    expect(await spoilt(() => undefined, { messages: [] })).toBe('accepted');
  });

  test('keeps receipts and links of a batch side by side', async () => {
    const known = { logIndex: 0, digest: at(state.head.frontier.hashes, 0).subarray(0, 16) };
    let asked = 0;
    const outcome = await spoilt(
      (forgery) => {
        expect(at(forgery.inputs, 0).receipts.map(({ position }) => position)).toEqual([1]);
      },
      { messages: [next], known: () => (asked++ === 2 ? known : undefined) },
    );
    expect(outcome).toBe('accepted');
  });
});

test('a failure that is not a rule of acceptance is not a verdict: it is thrown', async () => {
  const value = await forge(state, honest(world, state, { messages: [next] }));
  const failing: AcceptContext = {
    ...world.context,
    eventSchema: () => {
      throw new Error('the disk is gone');
    },
  };
  expect(() => accept(state, value, failing)).toThrow('the disk is gone');
});

describe('bytes that cannot be read', () => {
  test.each<[string, (value: Uint8Array) => Uint8Array]>([
    ['cut', (value) => value.subarray(0, -1)],
    ['with a byte more', (value) => Uint8Array.of(...value, 0)],
    ['without framing', (value) => value.subarray(5)],
    ['empty', () => new Uint8Array(0)],
  ])('%s are ignored', async (_, spoil) => {
    expect(judge(state, spoil(await forge(state, honest(world, state, { messages: [next] }))))).toBe('refused BLOCK_FORMAT');
  });

  test('a seal in an unknown format stops the reader if a chainer key signed it', async () => {
    const outcome = await spoilt((forgery) => {
      forgery.sealBytes = Uint8Array.of(4, 1, 2, 3);
    });
    expect(outcome).toBe('stop SEAL_FORMAT');
  });

  test('a link in the place of the seal stops the reader if a chainer key signed it', async () => {
    const outcome = await spoilt((forgery) => {
      forgery.sealBytes = encodeLink(at(forgery.links, 0));
    });
    expect(outcome).toBe('stop SEAL_FORMAT');
  });

  test('a seal in an unknown format is ignored if no chainer key signed it', async () => {
    for (const signer of [testSigner('stranger'), testSigner(world.chainer.name, 'another seed')]) {
      const outcome = await spoilt((forgery) => {
        Object.assign(forgery, { signer, keyId: world.chainer.keyId, sealBytes: Uint8Array.of(4) });
      });
      expect(outcome).toBe('refused SEAL_FORMAT');
    }
  });

  test('evidence in an unknown format stops the reader', async () => {
    const outcome = await spoilt((forgery) => {
      forgery.evidence = Uint8Array.of(1, 2, 3);
      forgery.seal.inputTo = state.head.inputTo + 1;
    });
    expect(outcome).toBe('stop EVIDENCE_FORMAT');
  });

  test('a link in an unknown format, or a seal in its place, stops the reader', async () => {
    const link = await spoilt((forgery) => {
      forgery.linkBytes = forgery.links.map((each, i) => (i === 1 ? Uint8Array.of(4, 9) : encodeLink(each)));
    });
    expect(link).toBe('stop LINK_FORMAT');
    const { block } = (await world.block(state, { messages: [] })).accepted;
    const seal = await spoilt((forgery) => {
      forgery.linkBytes = forgery.links.map((each, i) => (i === 1 ? block.seal : encodeLink(each)));
    });
    expect(seal).toBe('stop LINK_FORMAT');
  });

  test('links that somebody without a key exchanged for an unknown format are ignored', async () => {
    const outcome = await spoilt((forgery) => {
      const honestLinks = forgery.links.map((each) => leafHash(encodeLink(each)));
      forgery.seal.root = frontierRoot(extendFrontier(state.head.frontier, honestLinks));
      forgery.linkBytes = forgery.links.map(() => Uint8Array.of(4, 9));
    });
    expect(outcome).toBe('refused ROOT');
  });
});

/** Each row breaks one rule, and nothing else, in a block that is rightly signed. */
const BROKEN: readonly [AcceptanceRule, string, (forgery: Forgery) => void][] = [
  ['ORIGIN', 'another log', ({ seal }) => Object.assign(seal, { origin: 'example.org/log/1' })],
  ['FIRST_INDEX', 'a leaf is left out', ({ seal }) => Object.assign(seal, { firstIndex: state.head.size + 1 })],
  ['FIRST_INDEX', 'a leaf is taken back', ({ seal }) => Object.assign(seal, { firstIndex: state.head.size - 1 })],
  ['PREVIOUS_SEAL', 'it follows another seal', ({ seal }) => Object.assign(seal, { previous: OTHER })],
  [
    'CHAINER_KEY',
    'a stranger signed',
    (forgery) => {
      forgery.signer = testSigner('example.org/stranger');
    },
  ],
  [
    'CHAINER_KEY',
    'the log key signed',
    (forgery) => {
      forgery.signer = at(world.logs, 0);
    },
  ],
  [
    'CHAINER_KEY',
    'the name fits, the key id does not',
    (forgery) => {
      forgery.keyId = Uint8Array.of(1, 2, 3, 4);
    },
  ],
  [
    'CHAINER_SIGNATURE',
    'the signature is by another key',
    (forgery) => {
      forgery.keyId = world.chainer.keyId;
      forgery.signer = testSigner(world.chainer.name, 'another seed');
    },
  ],
  [
    'CHAINER_SIGNATURE',
    'the signature is zeros',
    (forgery) => {
      forgery.signature = new Uint8Array(64);
    },
  ],
  ['INPUT_FROM', 'input is left out', ({ seal }) => Object.assign(seal, { inputFrom: state.head.inputTo + 1 })],
  ['INPUT_FROM', 'input is consumed twice', ({ seal }) => Object.assign(seal, { inputFrom: state.head.inputTo - 1 })],
  ['INPUT_FROM', 'a generation that no policy names', ({ seal }) => Object.assign(seal, { inputGeneration: 1, inputFrom: 0 })],
  ['LINK_COUNT', 'it counts a link more', ({ seal }) => Object.assign(seal, { links: 4 })],
  ['LINK_COUNT', 'it counts a link less', ({ seal }) => Object.assign(seal, { links: 2 })],
  [
    'ACCEPTED_AT',
    'it was accepted before the block before it',
    (forgery) => {
      const acceptedAt = state.head.acceptedAt - 1;
      forgery.seal.acceptedAt = acceptedAt;
      forgery.links = rechain(
        state,
        forgery.links.map((link) => ({ ...link, acceptedAt })),
      );
    },
  ],
  ['EVIDENCE_HASH', 'the evidence is another one', ({ seal }) => Object.assign(seal, { evidence: OTHER })],
  ['EVIDENCE_OFFSETS', 'more is consumed than the evidence covers', ({ seal }) => Object.assign(seal, { inputTo: state.head.inputTo + 2 })],
  ['EVIDENCE_OFFSETS', 'less is consumed than the evidence covers', ({ seal }) => Object.assign(seal, { inputTo: state.head.inputTo })],
  [
    'EVIDENCE_TIME',
    'its input is older than the input before',
    ({ inputs }) => change(inputs, 0, { appendedAt: state.head.appendedAt - 1 }),
  ],
  [
    'EVIDENCE_TIME',
    'its input leads the block by more than the clock skew',
    ({ inputs, seal }) => change(inputs, 0, { appendedAt: (seal.acceptedAt as number) + world.policy.policy.clockSkewMs * 1000 + 1 }),
  ],
  [
    'EVIDENCE_TIME',
    'times fall within it',
    ({ inputs }) => {
      const { appendedAt } = at(inputs, 0);
      inputs.push({ outcome: 'EMPTY', span: 1, appendedAt: appendedAt - 1, reason: 0, message: null, batch: null, receipts: [] });
    },
  ],
  ['BATCH', 'the batch has another signature', ({ inputs }) => spoilBatch(inputs, { signature: new Uint8Array(64) })],
  ['BATCH', 'the batch has another key id', ({ inputs }) => spoilBatch(inputs, { keyId: Uint8Array.of(1, 2, 3, 4) })],
  ['BATCH', 'the header cannot be read', ({ inputs }) => spoilBatch(inputs, { header: new Uint8Array(3) })],
  ['LINK_BATCH', 'a link names an offset without a batch', ({ links }) => change(links, 2, { inputOffset: state.head.inputTo + 1 })],
  [
    'LINK_ORDER',
    'links are in another order than their positions',
    (forgery) => {
      const [first, second, third] = forgery.links as [Link, Link, Link];
      forgery.links = rechain(state, [second, first, third]);
      forgery.events = [1, 0, 2].map((i) => at(forgery.events, i));
    },
  ],
  [
    'LINK_ORDER',
    'a position is linked twice',
    (forgery) => {
      forgery.links = rechain(
        state,
        [0, 0, 1, 2].map((i) => at(forgery.links, i)),
      );
      forgery.events = [0, 0, 1, 2].map((i) => at(forgery.events, i));
    },
  ],
  ['LINK_MARKS', 'a gap is marked where there is none', (forgery) => relink(forgery, 0, { marks: 1 })],
  ['LINK_MARKS', 'a gap is marked inside a batch', (forgery) => relink(forgery, 1, { marks: 1 })],
  [
    'LINK_TIME',
    'a link has another time than the seal',
    (forgery) => relink(forgery, 1, { acceptedAt: at(forgery.links, 1).acceptedAt + 1 }),
  ],
  ['LINK_STREAM', "a link names another stream than its event's", (forgery) => relink(forgery, 1, { stream: 'a' })],
  ['LINK_INDEX', 'a position of the stream is left out', ({ links }) => change(links, 1, { index: 2 })],
  ['LINK_INDEX', 'a position of the stream is given twice', ({ links }) => change(links, 1, { index: 0 })],
  ['LINK_PREVIOUS', "a link does not name its stream's end", ({ links }) => change(links, 1, { previous: OTHER })],
  [
    'LINK_PREVIOUS',
    "a link does not name its stream's end within the block",
    ({ links }) => change(links, 2, { previous: state.stream('a')?.hash as Uint8Array }),
  ],
  [
    'EVENT_DIGEST',
    'the event is another one',
    ({ events }) => {
      events[1] = at(world.events('b', 'another'), 0);
    },
  ],
  ['EVENT_DIGEST', 'the link names another digest', (forgery) => relink(forgery, 1, { event: OTHER })],
  [
    'EVENT_DIGEST',
    'the link names another schema than its batch, and hashes by it',
    (forgery) => relink(forgery, 1, { schema: OTHER, event: eventDigest(OTHER, at(forgery.events, 1)) }),
  ],
  [
    'POSITIONS',
    'an event of the batch is left out',
    (forgery) => {
      forgery.links = rechain(state, forgery.links.slice(0, 2));
      forgery.events = forgery.events.slice(0, 2);
    },
  ],
  ['POSITIONS', 'an event has a link and a receipt', ({ inputs }) => giveReceipt(inputs, 1, next)],
  ['POSITIONS', 'a receipt has a position after the end of the batch', ({ inputs }) => giveReceipt(inputs, 3, next)],
  ['POSITIONS', 'a link has a position after the end of the batch', (forgery) => relink(forgery, 2, { position: 3 })],
  [
    'BATCH_ROOT',
    'a receipt names another event than the batch had',
    (forgery) => {
      forgery.links = rechain(state, forgery.links.slice(0, 2));
      forgery.events = forgery.events.slice(0, 2);
      giveReceipt(forgery.inputs, 2, next);
    },
  ],
  ['ROOT', 'the root is another one', ({ seal }) => Object.assign(seal, { root: OTHER })],
];

function spoilBatch(inputs: Forgery['inputs'], part: Partial<NonNullable<Forgery['inputs'][number]['batch']>>): void {
  const { batch } = at(inputs, 0);
  if (batch !== null) change(inputs, 0, { batch: { ...batch, ...part } });
}

function relink(forgery: Forgery, i: number, part: Partial<Link>): void {
  change(forgery.links, i, part);
  forgery.links = rechain(state, forgery.links);
}

function giveReceipt(inputs: Forgery['inputs'], position: number, { events }: TestMessage): void {
  const digest = eventDigest(EVENT_SCHEMA.digest, events[0] as Uint8Array);
  change(inputs, 0, { receipts: [{ position, digest, id: testId('receipt'), outcome: 'DUPLICATE', reason: 0, original: 0 }] });
}

describe('a rightly signed block is ignored when', () => {
  test.each(BROKEN)('%s: %s', async (rule, _, spoil) => {
    expect(await spoilt(spoil)).toBe(`refused ${rule}`);
  });
});

describe('batches in evidence', () => {
  test.each<[string, (given: World) => Promise<TestMessage>]>([
    [
      'of another origin',
      (given) => given.batch(next.events, { epoch: lane.epoch, number: 1, previous: lane.previous, origin: 'example.org/other' }),
    ],
    ['of another shard', (given) => given.batch(next.events, { epoch: lane.epoch, number: 1, shard: 1 })],
    ['with a schema that is not in force', (given) => given.batch(next.events, { epoch: lane.epoch, number: 1, schema: OTHER })],
    ['of an unknown producer', (given) => given.batch(next.events, { epoch: lane.epoch, number: 1 }, testSigner('example.org/stranger'))],
  ])('%s are refused', async (_, make) => {
    const message = await make(world);
    expect(await spoilt((forgery) => exchange(forgery, message))).toBe('refused BATCH');
  });

  test('that fork or repeat their lane are refused', async () => {
    const first = await world.lane('one').next([...world.events('a', '1', '2'), ...world.events('b', '1')]);
    const lower = await world.batch(next.events, { epoch: lane.epoch, number: 0 });
    const contradicting = await world.batch(next.events, { epoch: lane.epoch, number: 1, previous: OTHER });
    for (const message of [first, lower, contradicting]) expect(await spoilt((forgery) => exchange(forgery, message))).toBe('refused LANE');
  });

  test('that leave a hole in their lane are accepted with their first link marked, and only so', async () => {
    const ahead = await world.batch(next.events, { epoch: lane.epoch, number: 5, previous: OTHER });
    expect(await spoilt(() => undefined, { messages: [ahead] })).toBe('accepted');
    expect(await spoilt((forgery) => relink(forgery, 0, { marks: 0 }), { messages: [ahead] })).toBe('refused LINK_MARKS');
    expect(await spoilt((forgery) => relink(forgery, 1, { marks: 1 }), { messages: [ahead] })).toBe('refused LINK_MARKS');
  });

  test('may be beside inputs that were repeated or refused with a header, which decide nothing', async () => {
    const fork = await world.batch(next.events, { epoch: lane.epoch, number: 0 });
    const heartbeat = await world.lane('two').next([]);
    const options = { messages: [next, heartbeat, heartbeat, fork] };
    const { accepted } = await world.block(state, options);
    expect(accepted.inputs.map(({ outcome }) => outcome)).toEqual(['ACCEPTED', 'ACCEPTED', 'REPEATED', 'REJECTED']);
    expect([...accepted.headers].map(([offset, { count }]) => [offset - state.head.inputTo, count])).toEqual([
      [0, 3],
      [1, 0],
    ]);
    expect(accepted.heads.map(({ id }) => id)).toEqual(next.events.map((bytes) => EVENT_SCHEMA.readHead(bytes).id));
  });

  test('move their lane within the block', async () => {
    const other = world.lane('within');
    const [zero, one] = [await other.next(world.events('a', 'x')), await other.next(world.events('a', 'y'))];
    expect(await spoilt(() => undefined, { messages: [zero, one] })).toBe('accepted');
    expect(await spoilt(({ inputs }) => change(inputs, 1, { batch: at(inputs, 0).batch }), { messages: [zero, one] })).toBe('refused LANE');
  });

  test('keep the order of lanes by which the state forgets them', async () => {
    const [p, q] = [world.lane('p'), world.lane('q')];
    const messages = [await p.next(world.events('a', 'p0')), await q.next(world.events('a', 'q0')), await p.next(world.events('a', 'p1'))];
    const { accepted } = await world.block(state, { messages });
    expect([...accepted.delta.lanes.values()].map(({ number }) => number)).toEqual([1, 2]);
  });

  test('LINK_ORDER: links of two batches alternate', async () => {
    const other = await world.lane('two').next(world.events('c', '1'));
    const outcome = await spoilt(
      (forgery) => {
        forgery.links = rechain(
          state,
          [0, 3, 1, 2].map((i) => at(forgery.links, i)),
        );
        forgery.events = [0, 3, 1, 2].map((i) => at(forgery.events, i));
      },
      { messages: [next, other] },
    );
    expect(outcome).toBe('refused LINK_ORDER');
  });

  test.each(['EVENT_MALFORMED', 'STREAM_NOT_PERMITTED'])('may not have an event linked that deserves a receipt: %s', async (reason) => {
    const narrow = await makeWorld({
      policy: (policy) => ({ ...policy, producers: policy.producers.map((each) => ({ ...each, streams: ['a'] })) }),
    });
    const bytes = at(world.events(reason === 'EVENT_MALFORMED' ? 'a' : 'b', 'bad'), 0);
    const bad = reason === 'EVENT_MALFORMED' ? Uint8Array.of(...bytes, 0) : bytes;
    const message = await narrow.lane('bad').next([bad]);
    const view = narrow.state();
    const forgery = honest(narrow, view, { messages: [message] });
    expect(forgery.links).toEqual([]);
    expect(judge(view, await forge(view, forgery), narrow.context)).toBe('accepted');
    forgery.inputs = forgery.inputs.map((input) => ({ ...input, receipts: [] }));
    forgery.events = [bad];
    forgery.refused = [];
    forgery.links = [
      {
        kind: 'link',
        stream: reason === 'EVENT_MALFORMED' ? 'a' : 'b',
        index: 0,
        previous: new Uint8Array(32),
        event: eventDigest(EVENT_SCHEMA.digest, bad),
        schema: EVENT_SCHEMA.digest,
        acceptedAt: forgery.seal.acceptedAt as number,
        inputOffset: 0,
        position: 0,
        marks: 0,
      },
    ];
    expect(judge(view, await forge(view, forgery), narrow.context)).toBe('refused EVENT');
  });

  test('of a schema that is in force and not available make the reader wait for it', async () => {
    const value = await forge(state, honest(world, state, { messages: [next] }));
    const verdict = accept(state, value, { policies: world.policies, eventSchema: () => undefined });
    expect(verdict).toEqual({ kind: 'wait', missing: 'schema', digest: EVENT_SCHEMA.hex, signed: true });
  });

  test('of two schemas may be in one block', async () => {
    const text = JSON.parse(SCHEMA_TEXTS.Event) as { fields: object[] };
    text.fields.push({ name: 'note', type: ['null', 'string'], default: null });
    const later = compileEventSchema(JSON.stringify(text));
    const both = await makeWorld({ schemas: [EVENT_SCHEMA, later] });
    const old = await both.lane('old').next(both.events('a', '1'));
    const event = later.encode({ ...both.event('a', '2'), note: 'new' } as never);
    const fresh = await both.lane('new').next([event], { schema: later.digest, root: eventDigest(later.digest, event) });
    const view = both.state();
    const { accepted } = await both.block(view, { messages: [old, fresh] });
    expect(accepted.links.map(({ schema }) => toHex(schema))).toEqual([EVENT_SCHEMA.hex, later.hex]);
  });
});

describe('policies', () => {
  test('that are not known make the reader wait, before anything else about the block is judged', async () => {
    const other = await makeWorld();
    await other.nextPolicy();
    const forgery = honest(other, state, { messages: [next] });
    const value = await forge(state, forgery);
    const missing = { kind: 'wait', missing: 'policy', digest: other.policy.hex };
    expect(accept(state, value, world.context)).toEqual({ ...missing, signed: true });
    expect(judge(state, value, other.context)).toBe('accepted');
    for (const signer of [testSigner('stranger'), testSigner(world.chainer.name, 'another seed')]) {
      const foreign = await forge(state, { ...forgery, signer, keyId: world.chainer.keyId });
      expect(accept(state, foreign, world.context)).toEqual({ ...missing, signed: false });
    }
  });

  test('never go back', async () => {
    const other = await makeWorld();
    const [before, after] = [other.policy, await other.nextPolicy()];
    const view = other.state();
    view.apply((await other.block(view, { messages: [], policy: after })).accepted.delta);
    expect(judge(view, await forge(view, honest(other, view, { messages: [], policy: before })), other.context)).toBe('refused POLICY');
    expect(judge(view, await forge(view, honest(other, view, { messages: [], policy: after })), other.context)).toBe('accepted');
  });

  test('of another origin or number of shards are not policies of this log', async () => {
    const view = new LogState(genesis('example.org/other', 0, 1));
    expect(judge(view, await forge(view, honest(world, view, { messages: [] })))).toBe('refused POLICY');
    const wide = new LogState(genesis(world.origin, 0, 2));
    expect(judge(wide, await forge(wide, honest(world, wide, { messages: [] })))).toBe('refused POLICY');
  });

  test('of a format level that this reader does not know stop it', async () => {
    const other = await makeWorld({ policy: (policy) => ({ ...policy, formatLevel: 2 }) });
    const view = other.state();
    expect(judge(view, await forge(view, honest(other, view, { messages: [] })), other.context)).toBe('stop POLICY_FORMAT');
    const stranger = honest(other, view, { messages: [], signer: testSigner('example.org/stranger') });
    expect(judge(view, await forge(view, stranger), other.context)).toBe('refused CHAINER_KEY');
  });

  test('that retire a chainer key end its blocks, from the first block that names them', async () => {
    const other = await makeWorld();
    const fresh = testSigner(`${other.origin}/chainer`, 'the next chainer');
    const before = other.policy;
    const after = await other.nextPolicy((policy) => ({
      ...policy,
      chainers: [
        ...policy.chainers.map((each) => ({ ...each, status: 'RETIRED' as const })),
        { key: fresh.verifierKey, status: 'ACTIVE', believed: null },
      ],
    }));
    const view = other.state();
    const by = async (policy: typeof before, signer = other.chainer): Promise<Outcome> =>
      judge(view, await forge(view, honest(other, view, { messages: [], policy, signer })), other.context);
    expect([await by(before), await by(before, fresh)]).toEqual(['accepted', 'refused CHAINER_KEY']);
    expect([await by(after), await by(after, fresh)]).toEqual(['refused CHAINER_KEY', 'accepted']);
  });

  test('of a chainer that comes with them stop a reader that does not know its format', async () => {
    const other = await makeWorld();
    const fresh = testSigner('example.org/fresh');
    const view = other.state();
    view.apply((await other.block(view, { messages: [] })).accepted.delta);
    await other.nextPolicy((policy) => ({
      ...policy,
      chainers: [...policy.chainers, { key: fresh.verifierKey, status: 'ACTIVE', believed: null }],
    }));
    const forgery = honest(other, view, { messages: [], signer: fresh });
    forgery.sealBytes = Uint8Array.of(4);
    expect(judge(view, await forge(view, forgery), other.context)).toBe('stop SEAL_FORMAT');
  });

  test('that are no longer in force let no chainer stop a reader', async () => {
    const other = await makeWorld();
    const fresh = testSigner('example.org/fresh');
    await other.nextPolicy((policy) => ({
      ...policy,
      chainers: [
        ...policy.chainers.map((each) => ({ ...each, status: 'RETIRED' as const })),
        { key: fresh.verifierKey, status: 'ACTIVE', believed: null },
      ],
    }));
    const view = other.state();
    view.apply((await other.block(view, { messages: [], signer: fresh })).accepted.delta);
    const forgery = honest(other, view, { messages: [] });
    forgery.sealBytes = Uint8Array.of(4);
    expect(judge(view, await forge(view, forgery), other.context)).toBe('refused SEAL_FORMAT');
  });

  test('let acceptedAt step back once, when they come', async () => {
    const other = await makeWorld();
    const view = other.state();
    view.apply((await other.block(view, { messages: [] })).accepted.delta);
    const before = other.policy;
    const after = await other.nextPolicy();
    const acceptedAt = view.head.acceptedAt - 60_000_000;
    const back = async (policy: typeof before): Promise<Outcome> =>
      judge(view, await forge(view, honest(other, view, { messages: [], acceptedAt, policy })), other.context);
    expect([await back(before), await back(after)]).toEqual(['refused ACCEPTED_AT', 'accepted']);
  });

  test('start the next generation of the input at the offset that they name, and no other generation or offset', async () => {
    const other = await makeWorld();
    const view = other.state();
    view.apply((await other.block(view, { messages: [9] })).accepted.delta);
    const policy = await other.nextPolicy((before) => ({ ...before, inputGeneration: { generation: 1, firstOffsets: [5] } }));
    const start = async (inputGeneration: number, inputFrom: number): Promise<Outcome> =>
      judge(view, await forge(view, honest(other, view, { messages: [1], policy, inputGeneration, inputFrom })), other.context);
    expect(await start(1, 5)).toBe('accepted');
    expect(await start(1, 9)).toBe('refused INPUT_FROM');
    expect(await start(2, 5)).toBe('refused INPUT_FROM');
    expect(await start(3, 5)).toBe('refused INPUT_FROM');
    expect(await start(0, 9)).toBe('accepted');
    expect(await start(0, 5)).toBe('refused INPUT_FROM');
    const moved = accept(
      view,
      await forge(view, honest(other, view, { messages: [1], policy, inputGeneration: 1, inputFrom: 5 })),
      other.context,
    );
    expect(moved.kind === 'accepted' && [moved.delta.head.inputGeneration, moved.delta.head.inputTo]).toEqual([1, 6]);
  });
});

describe('a final seal', () => {
  test('ends the log: no block follows', async () => {
    const view = world.state();
    view.apply((await world.block(view, { messages: [], final: true })).accepted.delta);
    expect(view.head.final).toBe(true);
    expect(judge(view, await forge(view, honest(world, view, { messages: [] })))).toBe('refused FINAL');
  });
});

describe('the first of several blocks', () => {
  test('wins: whatever else was built on the same state is ignored after it', async () => {
    const view = world.state();
    const first = await world.lane('first').next(world.events('a', '1'));
    const second = await world.lane('second').next(world.events('a', '2'));
    const [winner, loser] = [await world.block(view, { messages: [first] }), await world.block(view, { messages: [second] })];
    const after = overlay(view, winner.accepted.delta);
    view.apply(winner.accepted.delta);
    for (const value of [winner.value, loser.value]) {
      expect(judge(view, value)).toBe('refused FIRST_INDEX');
      expect(accept(after, value, world.context).kind).toBe('refused');
    }
    expect(equal(after.head.seal, view.head.seal)).toBe(true);
  });

  test('a block of the same size on another history is told by its seal', async () => {
    const [one, two] = [world.state(), world.state()];
    one.apply((await world.block(one, { messages: [], acceptedAt: START_MICROS })).accepted.delta);
    two.apply((await world.block(two, { messages: [], acceptedAt: START_MICROS + 1 })).accepted.delta);
    expect(judge(one, (await world.block(two, { messages: [] })).value)).toBe('refused PREVIOUS_SEAL');
  });
});

test('the framing id of a block decides nothing: ids are local to one registry', async () => {
  const value = (await forge(state, honest(world, state, { messages: [next] }))).slice();
  expect(value[4]).toBe(BLOCK_SCHEMA_ID);
  value[4] = 99;
  expect(judge(state, value)).toBe('accepted');
});
