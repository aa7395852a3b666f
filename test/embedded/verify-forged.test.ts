import { describe, expect, test } from '@jest/globals';
import { schemaKey } from '../../core/archive-keys.ts';
import { encodeSignedBatch } from '../../core/batch.ts';
import { utf8 } from '../../core/bytes.ts';
import { type Event, eventDigest } from '../../core/event.ts';
import { EVENT_SCHEMA } from '../../core/event-schema.ts';
import type { EvidenceInput, Receipt } from '../../core/evidence.ts';
import { frame } from '../../core/framing.ts';
import type { Link } from '../../core/leaf.ts';
import type { Manifest } from '../../core/manifest.ts';
import { REASONS } from '../../core/reasons.ts';
import { shardOf } from '../../core/shard.ts';
import { EVENT_SCHEMA_V2 } from '../support/event-v2.ts';
import { acceptAnyway, inputOf } from '../support/forged-batch.ts';
import { type Forgery, rechain } from '../support/forged-block.ts';
import { BATCH_SCHEMA_ID, type BlockOptions, makeWorld, START_MICROS, type TestMessage, testId, testSigner } from '../support/producer.ts';
import { narrow, required, richWorld, SECOND } from '../support/rich-archive.ts';
import { codes, makeScene, type Scene } from '../support/scene.ts';

const SEVENS = new Uint8Array(32).fill(7);

/** One rule that is broken, and all that may be found for it. */
interface Violation {
  readonly name: string;
  readonly failed: readonly string[];
  readonly notes?: readonly string[];
  readonly messages?: (scene: Scene) => Promise<BlockOptions['messages']>;
  readonly spoil?: (forgery: Forgery, scene: Scene, given: BlockOptions['messages']) => void;
  readonly options?: (scene: Scene) => Partial<BlockOptions>;
}

const speech = async (scene: Scene): Promise<TestMessage[]> => [await scene.say('x', 'y')];

async function expectFound({ failed, notes, messages = speech, spoil, options }: Violation): Promise<void> {
  const scene = await makeScene();
  const given = await messages(scene);
  await scene.block(given, (forgery) => spoil?.(forgery, scene, given), options?.(scene));
  const verdict = await scene.end();
  expect({ failed: codes(verdict), ok: verdict.ok }).toEqual({ failed, ok: failed.length === 0 });
  if (notes !== undefined) expect(codes(verdict, 'NOTE')).toEqual(notes);
  for (const code of failed) expect(verdict.properties[required(code.split(' ')[0]) as 'LOG'].result).toBe('FAILED');
}

function changeLink(forgery: Forgery, at: number, part: Partial<Link>): void {
  forgery.links[at] = { ...required(forgery.links[at]), ...part };
}

function changeInput(forgery: Forgery, at: number, part: Partial<EvidenceInput>): void {
  forgery.inputs[at] = { ...required(forgery.inputs[at]), ...part };
}

/** Leaves the last message's batch out of the block's links, and gives its input another outcome. */
function refuse(forgery: Forgery, message: TestMessage, part: Pick<EvidenceInput, 'outcome'> & Partial<EvidenceInput>): void {
  const { appendedAt } = required(forgery.inputs.pop());
  forgery.inputs.push(inputOf(message, { appendedAt, ...part }));
  forgery.links = forgery.links.slice(0, -message.events.length);
  forgery.events = forgery.events.slice(0, -message.events.length);
}

function firstOf(given: BlockOptions['messages']): TestMessage {
  return given[0] as TestMessage;
}

test('the scene without a forgery is OK', async () => {
  await expectFound({ name: '', failed: [], notes: [] });
});

describe('a chainer that breaks one rule of the log, everything signed again around it', () => {
  const rows: readonly Violation[] = [
    { name: 'the seal is of another log', failed: ['LOG SEAL_ORIGIN'], spoil: ({ seal }) => (seal.origin = 'example.org/other/0') },
    {
      name: 'the seal counts from another leaf',
      failed: ['LOG SEAL_INDEX'],
      spoil: ({ seal }, { archive }) => (seal.firstIndex = archive.size + 1),
    },
    { name: 'the seal counts other links', failed: ['LOG SEAL_INDEX'], spoil: ({ seal }) => (seal.links = 3) },
    { name: 'the seal follows another one', failed: ['LOG SEAL_PREVIOUS'], spoil: ({ seal }) => (seal.previous = SEVENS) },
    { name: 'the seal states another root', failed: ['LOG SEAL_ROOT'], spoil: ({ seal }) => (seal.root = SEVENS) },
    { name: 'a block follows the final one', failed: ['LOG AFTER_FINAL'], options: () => ({ final: true }) },
    { name: 'the seal names a policy that is not there', failed: ['POLICY POLICY_MISSING'], spoil: ({ seal }) => (seal.policy = SEVENS) },
  ];
  test.each(rows)('$name: $failed', expectFound);
});

describe('streams', () => {
  const rows: readonly Violation[] = [
    { name: 'a link skips a position', failed: ['STREAMS STREAM_INDEX'], spoil: (forgery) => changeLink(forgery, 1, { index: 99 }) },
    {
      name: 'a link follows another one: a second history beside the tree',
      failed: ['STREAMS STREAM_PREVIOUS'],
      spoil: (forgery) => changeLink(forgery, 1, { previous: SEVENS }),
    },
    {
      name: 'an event stands under another stream than its own',
      failed: ['STREAMS EVENT_STREAM'],
      spoil: (forgery, { archive }) => {
        changeLink(forgery, 1, { stream: 'z' });
        forgery.links = rechain(archive.state, forgery.links);
      },
    },
    {
      name: 'an event breaks a rule that its schema cannot say',
      failed: ['STREAMS EVENT_UNACCEPTABLE'],
      messages: async ({ world, lane }) => [await lane.next([unsorted(world.schema.encode(world.event('a', 'x', TWO_ATTRIBUTES)))])],
      spoil: (forgery, { archive }, given) => acceptAnyway(archive.state, forgery, firstOf(given)),
    },
    {
      name: 'an event hides a second record behind its end',
      failed: ['ARCHIVE CONTAINER'],
      messages: async ({ world, lane }) => [await lane.next(world.events('a', 'x').map((bytes) => Uint8Array.from([...bytes, ...bytes])))],
      spoil: (forgery, { archive }, given) => acceptAnyway(archive.state, forgery, firstOf(given)),
    },
  ];
  test.each(rows)('$name: $failed', expectFound);

  test('a stream of another shard: STREAMS', async () => {
    const scene = await makeScene(await richWorld(2));
    const foreign = required(['s1', 's2', 's3', 's4', 's5'].find((name) => shardOf(name, 2) === 1));
    const given = await scene.lane.next(scene.world.events(foreign, 'x'));
    await scene.block([given], (forgery) => acceptAnyway(scene.archive.state, forgery, given, { stream: foreign }));
    expect(codes(await scene.end())).toEqual(expect.arrayContaining(['STREAMS EVENT_UNACCEPTABLE', 'STREAMS STREAM_SHARD']));
  });
});

const TWO_ATTRIBUTES: Partial<Event> = {
  attributes: [
    { key: 'akey', value: 'v' },
    { key: 'bkey', value: 'v' },
  ],
};

/** Swaps the two keys of {@link TWO_ATTRIBUTES} in place. */
function unsorted(bytes: Uint8Array): Uint8Array {
  const swapped = bytes.slice();
  const [a, b] = [Buffer.from(bytes).indexOf('akey'), Buffer.from(bytes).indexOf('bkey')];
  swapped.set(utf8('b'), a);
  swapped.set(utf8('a'), b);
  return swapped;
}

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
      messages: async ({ world }) => [await world.lane('stranger', testSigner('stranger')).next(world.events('a', 'x'))],
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

function forgedSignature(given: TestMessage): TestMessage {
  const forged = { ...given, signature: given.signature.map((byte, i) => (i === 40 ? byte ^ 1 : byte)) };
  return { ...forged, value: frame(BATCH_SCHEMA_ID, encodeSignedBatch(forged)) };
}

function twice(given: TestMessage): TestMessage[] {
  return [given, given];
}

describe('order', () => {
  const rows: readonly Violation[] = [
    {
      name: 'a link has another time than its seal',
      failed: ['ORDER LINK_TIME'],
      spoil: (forgery) => changeLink(forgery, 1, { acceptedAt: 1 }),
    },
    {
      name: 'the events of a batch change places',
      failed: ['ORDER LINK_ORDER'],
      spoil: (forgery, { archive }) => {
        forgery.links = rechain(archive.state, forgery.links.toReversed());
        forgery.events.reverse();
      },
    },
    {
      name: 'two batches of a lane change places',
      failed: ['ORDER LINK_ORDER'],
      messages: async (scene) => [await scene.say('x', 'y'), await scene.say('z')],
      spoil: (forgery, { archive }) => {
        forgery.links = rechain(archive.state, [...forgery.links.slice(2), ...forgery.links.slice(0, 2)]);
        forgery.events.push(...forgery.events.splice(0, 2));
      },
    },
    {
      name: 'the block was accepted before the one that it follows',
      failed: ['ORDER ACCEPTED_BACK'],
      options: ({ archive }) => ({ acceptedAt: archive.state.head.acceptedAt - 1 }),
    },
    {
      name: 'the input was appended before the one that it follows',
      failed: ['ORDER APPENDED_BACK'],
      options: () => ({ appendedAt: START_MICROS }),
    },
    {
      name: 'a fork of a lane is accepted',
      failed: ['COMPLETE LANE_BACK', 'ORDER LANE_WRONG'],
      messages: async ({ world }) => [await world.lane('scene').next(world.events('a', 'x'))],
      spoil: (forgery, { archive }, given) => acceptAnyway(archive.state, forgery, firstOf(given)),
    },
    {
      name: 'the last batch of a lane is accepted again',
      failed: ['ORDER LANE_WRONG', 'UNIQUE LINKED_TWICE'],
      notes: ['UNIQUE REPLAY'],
      messages: async (scene) => twice(await scene.say('x')),
      spoil: (forgery, { archive }, given) => acceptAnyway(archive.state, forgery, firstOf(given)),
    },
    {
      name: 'a block has the time of the one before',
      failed: [],
      options: ({ archive }) => ({ acceptedAt: archive.state.head.acceptedAt }),
    },
    {
      name: 'a producer’s clock runs ahead by what is allowed',
      failed: [],
      notes: [],
      messages: async ({ world, lane, time }) => [await lane.next(world.events('a', 'x'), { createdAt: time + 3 * SECOND })],
    },
    {
      name: 'a producer’s clock runs behind, or its batch waited, by what is allowed',
      failed: [],
      notes: [],
      messages: async ({ world, lane, time }) => [await lane.next(world.events('a', 'x'), { createdAt: time + SECOND })],
    },
    {
      name: 'a producer’s clock runs behind, or its batch waited: a report',
      failed: [],
      notes: ['ORDER CLOCK_OR_DELAY'],
      messages: async ({ world, lane, time }) => [await lane.next(world.events('a', 'x'), { createdAt: time - 60 * SECOND })],
    },
    {
      name: 'a producer’s clock runs ahead: a report',
      failed: [],
      notes: ['ORDER CLOCK_SKEW'],
      messages: async ({ world, lane, time }) => [await lane.next(world.events('a', 'x'), { createdAt: time + 60 * SECOND })],
    },
  ];
  test.each(rows)('$name: $failed', expectFound);
});

test('a new policy lets the time of acceptance step back', async () => {
  const scene = await makeScene();
  await scene.world.nextPolicy();
  await scene.block(await speech(scene), undefined, { acceptedAt: scene.archive.state.head.acceptedAt - SECOND });
  expect(codes(await scene.end())).toEqual([]);
});

test('a lane is held for exactly as long as the policy says', async () => {
  const scene = await makeScene();
  const lane = scene.world.lane('held');
  const event = (word: string): Uint8Array[] => scene.world.events('a', word);
  await scene.block([await lane.next(event('first'))]);
  const until = scene.archive.state.head.appendedAt + 600 * SECOND;
  await scene.block([await scene.say('x')], undefined, { appendedAt: until, acceptedAt: until });
  await scene.archive.close();
  await scene.block([await lane.next(event('second'))], undefined, { appendedAt: until, acceptedAt: until });
  scene.time = until;
  expect(codes(await scene.end())).toEqual([]);
});

test('the schema of a batch misses, and no event was archived under it: ARCHIVE, naming it', async () => {
  const world = await makeWorld({ schemas: [EVENT_SCHEMA, EVENT_SCHEMA_V2], policy: (policy) => ({ ...policy, segmentMaxAgeMs: 10_000 }) });
  const scene = await makeScene(world);
  const fork = await world.lane('scene').next([], { schema: EVENT_SCHEMA_V2.digest });
  await scene.block([await scene.lane.next([], { schema: EVENT_SCHEMA_V2.digest }), fork]);
  await scene.end();
  const object = schemaKey(EVENT_SCHEMA_V2.hex);
  expect(scene.archive.objects.map.delete(object)).toBe(true);
  const verdict = await scene.verify();
  expect([codes(verdict), verdict.findings.find(({ code }) => code === 'MISSING')?.place.object]).toEqual([['ARCHIVE MISSING'], object]);
});

test('a link or an archived row is given another schema than its batch', async () => {
  const world = await makeWorld({ schemas: [EVENT_SCHEMA, EVENT_SCHEMA_V2], policy: (policy) => ({ ...policy, segmentMaxAgeMs: 10_000 }) });
  const [scene, other] = [await makeScene(world), await makeScene(world)];
  await scene.block(await speech(scene), (forgery) => changeLink(forgery, 1, { schema: EVENT_SCHEMA_V2.digest }));
  expect(codes(await scene.end())).toContain('STREAMS LINK_SCHEMA');
  const later = EVENT_SCHEMA_V2.encode(world.event('a', 'later'));
  await other.block([await other.say('x'), await other.lane.next([later], { schema: EVENT_SCHEMA_V2.digest })]);
  const moved = await other.end({
    rows: ([first, ...rest]) => [{ ...required(first), schema: EVENT_SCHEMA_V2.hex, event: null }, ...rest],
  });
  expect(codes(moved)).toEqual(['ARCHIVE COLUMN_WRONG', 'STREAMS EVENT_REMOVED']);
});

describe('a new generation of the input', () => {
  const renewed = async (): Promise<Scene> => {
    const scene = await makeScene();
    await scene.world.nextPolicy((policy) => ({ ...policy, inputGeneration: { generation: 1, firstOffsets: [7] } }));
    return scene;
  };

  test.each([
    ['as the policy names it', 1, 7, []],
    ['of a later number', 2, 7, ['COMPLETE INPUT_GENERATION']],
    ['from another offset', 1, 8, ['COMPLETE INPUT_GENERATION']],
  ])('%s', async (_, inputGeneration, inputFrom, failed) => {
    const scene = await renewed();
    await scene.block(await speech(scene), undefined, { inputGeneration, inputFrom });
    expect(codes(await scene.end())).toEqual(failed);
  });

  test('is not left again, even under the policy before', async () => {
    const scene = await makeScene();
    const before = scene.world.policy;
    await scene.world.nextPolicy((policy) => ({ ...policy, inputGeneration: { generation: 1, firstOffsets: [7] } }));
    await scene.block(await speech(scene), undefined, { inputGeneration: 1, inputFrom: 7 });
    await scene.block([await scene.say('back')], undefined, { inputGeneration: 0, inputFrom: 0, policy: before });
    const verdict = await scene.verify();
    expect(codes(verdict)).toEqual([]);
    await scene.archive.close();
    expect(codes(await scene.verify())).toEqual(expect.arrayContaining(['COMPLETE INPUT_GENERATION', 'POLICY POLICY_BACK']));
  });
});

describe('completeness', () => {
  const rows: readonly Violation[] = [
    {
      name: 'input is left out before the block',
      failed: ['COMPLETE INPUT_HOLE'],
      options: ({ archive }) => ({ inputFrom: archive.state.head.inputTo + 5 }),
    },
    {
      name: 'the input goes on in a generation that no policy names',
      failed: ['COMPLETE INPUT_GENERATION'],
      options: () => ({ inputGeneration: 1 }),
    },
    {
      name: 'the evidence accounts for less than the seal consumes',
      failed: ['COMPLETE OFFSETS'],
      spoil: ({ seal }, { archive }) => (seal.inputTo = archive.state.head.inputTo + 5),
    },
    {
      name: 'an event of a batch is dropped',
      failed: ['COMPLETE EVENTS_MISSING'],
      spoil: (forgery) => {
        forgery.links.pop();
        forgery.events.pop();
      },
    },
    {
      name: 'an event is linked twice over another one of its batch',
      failed: ['COMPLETE EVENTS_MISSING', 'COMPLETE POSITION', 'ORDER LINK_ORDER', 'UNIQUE LINKED_TWICE'],
      spoil: (forgery, { archive }) => {
        const link = required(forgery.links[0]);
        forgery.links = rechain(archive.state, [link, link]);
        forgery.events = [required(forgery.events[0]), required(forgery.events[0])];
      },
    },
    {
      name: 'a link stands at a position that its batch does not have',
      failed: ['COMPLETE EVENTS_MISSING', 'COMPLETE POSITION'],
      spoil: (forgery) => changeLink(forgery, 1, { position: 99 }),
    },
    {
      name: 'a batch of a lane is left out',
      failed: ['COMPLETE GAP'],
      messages: async (scene) => {
        await scene.say('left out', 'this too');
        return [await scene.say('x')];
      },
    },
    {
      name: 'a batch that follows another header than its lane’s last is accepted',
      failed: ['COMPLETE LANE_PREVIOUS', 'ORDER LANE_WRONG'],
      messages: async ({ world, lane }) => [await lane.next(world.events('a', 'x'), { previous: SEVENS })],
      spoil: (forgery, { archive }, given) => acceptAnyway(archive.state, forgery, firstOf(given)),
    },
    {
      name: 'a lane leaves out sequence numbers',
      failed: ['COMPLETE GAP'],
      messages: async ({ world, lane }) => {
        lane.seq += 4;
        return [await lane.next(world.events('a', 'x'))];
      },
    },
    {
      name: 'a lane uses sequence numbers again',
      failed: ['COMPLETE SEQUENCE'],
      messages: async ({ world, lane }) => {
        lane.seq -= 1;
        return [await lane.next(world.events('a', 'x'))];
      },
    },
    {
      name: 'a final statement says that more was sent: the tail was cut',
      failed: ['COMPLETE GAP'],
      messages: async ({ world }) => {
        const lane = world.lane('cut');
        return [await lane.next([], { lanes: [{ epoch: lane.epoch, shard: 0, number: 4, seq: 12, final: true }] })];
      },
    },
    {
      name: 'a lane went on after it was stated as ended: a copied spool',
      failed: [],
      notes: ['COMPLETE COPIED_SPOOL'],
      messages: async ({ world }) => {
        const [lane, other] = [world.lane('copied'), world.lane('other')];
        const lanes = [{ epoch: lane.epoch, shard: 0, number: 1, seq: 1, final: true }];
        const sent = [await lane.next(world.events('a', 'x')), await lane.next(world.events('a', 'y'))];
        return [...sent, await other.next([], { lanes: [...lanes, { epoch: other.epoch, shard: 0, number: 1, seq: 0, final: true }] })];
      },
    },
  ];
  test.each(rows)('$name: $failed', expectFound);

  test('an end that was stated stays stated, whatever is said of the lane later', async () => {
    const scene = await makeScene();
    const [ended, other] = [scene.world.lane('ended'), scene.world.lane('other')];
    const end = { epoch: ended.epoch, shard: 0, number: 1, seq: 1 };
    const own = { epoch: other.epoch, shard: 0, number: 2, seq: 0, final: true };
    await scene.block([
      await ended.next(scene.world.events('a', 'x')),
      await other.next([], { lanes: [{ ...end, final: true }] }),
      await other.next([], { lanes: [{ ...end, final: false }, own] }),
    ]);
    const verdict = await scene.end();
    expect([codes(verdict), codes(verdict, 'OPEN')]).toEqual([[], []]);
  });

  test('a gap names the events that miss', async () => {
    const scene = await makeScene();
    await scene.say('left out', 'this too');
    await scene.block([await scene.say('x')]);
    const gap = (await scene.end()).findings.find(({ code }) => code === 'GAP');
    expect(gap?.message).toContain('batches 6 and events 12–13');
  });
});

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
      name: 'a receipt has another id than its original',
      failed: ['UNIQUE ORIGINAL_OTHER'],
      messages: doubled,
      spoil: (forgery) => receiptOf(forgery, { id: testId('another') }),
    },
    {
      name: 'a duplicate is called a conflict',
      failed: ['UNIQUE RECEIPT_WRONG'],
      messages: doubled,
      spoil: (forgery) => receiptOf(forgery, { outcome: 'CONFLICT' }),
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
      name: 'a batch is called repeated and was never accepted',
      failed: ['COMPLETE GAP', 'UNIQUE REPEATED_WRONG'],
      spoil: (forgery, _, given) => refuse(forgery, firstOf(given), { outcome: 'REPEATED' }),
    },
    {
      name: 'a duplicate within one batch',
      failed: [],
      messages: async (scene) => [await scene.say('x', 'x', 'y')],
    },
  ];
  test.each(rows)('$name: $failed', expectFound);

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
  async function linkedAgain(afterMs: number): Promise<Scene> {
    const scene = await makeScene();
    await scene.block([await scene.say('again')]);
    scene.time += afterMs * 1000;
    await scene.block([await scene.say('between')]);
    await scene.archive.close();
    await scene.world.nextPolicy((policy) => ({ ...policy, dedupWindowMs: 3 * policy.dedupWindowMs }));
    scene.archive.forget();
    await scene.block([await scene.say('again')]);
    return scene;
  }

  test('does not bring back what had left it before', async () => {
    const verdict = await (await linkedAgain(70_000)).end();
    expect([codes(verdict), codes(verdict, 'NOTE')]).toEqual([[], ['UNIQUE REPEATED_AFTER_WINDOW']]);
  });

  test('holds what was in it', async () => {
    expect(codes(await (await linkedAgain(50_000)).end())).toEqual(['UNIQUE LINKED_TWICE']);
  });
});

describe('what was decided', () => {
  const rows: readonly Violation[] = [
    { name: 'a link is marked without a gap', failed: ['POLICY MARKS_WRONG'], spoil: (forgery) => changeLink(forgery, 1, { marks: 1 }) },
    {
      name: 'a link after a gap is not marked',
      failed: ['COMPLETE GAP', 'POLICY MARKS_WRONG'],
      messages: async (scene) => {
        await scene.say('left out');
        return [await scene.say('x')];
      },
      spoil: (forgery) => changeLink(forgery, 0, { marks: 0 }),
    },
    ...(
      [
        'HEADER_MALFORMED',
        'ORIGIN_WRONG',
        'SHARD_WRONG',
        'LANES_WRONG',
        'KEY_UNKNOWN',
        'KEY_NOT_ACTIVE',
        'SIGNATURE_WRONG',
        'SCHEMA_NOT_IN_FORCE',
        'LANE_FORK',
        'FRAMING_INVALID',
      ] as const
    ).map(
      (name): Violation => ({
        name: `a good batch is rejected as ${name}`,
        failed: ['COMPLETE GAP', 'POLICY REASON_WRONG'],
        spoil: (forgery, _, given) => refuse(forgery, firstOf(given), { outcome: 'REJECTED', reason: REASONS[name] }),
      }),
    ),
    {
      name: 'a bad signature is called a wrong root',
      failed: ['COMPLETE GAP', 'POLICY REASON_WRONG'],
      messages: async (scene) => [forgedSignature(await scene.say('x'))],
      spoil: (forgery) => changeInput(forgery, 0, { reason: REASONS.ROOT_WRONG }),
    },
    {
      name: 'a message that can be taken apart is rejected without its header',
      failed: ['COMPLETE GAP', 'POLICY REASON_WRONG'],
      spoil: (forgery, _, given) => refuse(forgery, firstOf(given), { outcome: 'REJECTED', reason: REASONS.LANE_FORK, batch: null }),
    },
    {
      name: 'a batch with another number of events than it states is rejected as such',
      failed: [],
      messages: async ({ world }) => [await world.lane('miscounted').next(world.events('a', 'x'), { count: 3 })],
    },
    {
      name: 'a batch of another origin is called one with another number of events',
      failed: ['POLICY REASON_WRONG'],
      messages: async ({ world }) => [await world.lane('foreign').next(world.events('a', 'x'), { origin: 'example.org/other' })],
      spoil: (forgery) => changeInput(forgery, 0, { reason: REASONS.COUNT_WRONG }),
    },
    {
      name: 'a fork is rejected as such',
      failed: [],
      messages: async ({ world }) => [await world.lane('scene').next(world.events('a', 'x'))],
    },
  ];
  test.each(rows)('$name: $failed', expectFound);

  test('a seal goes back to an earlier policy: POLICY', async () => {
    const scene = await makeScene();
    const first = scene.world.policy;
    await scene.world.nextPolicy();
    await scene.block([await scene.say('x')]);
    await scene.block([await scene.say('y')], undefined, { policy: first });
    expect(codes(await scene.end())).toEqual(['POLICY POLICY_BACK']);
  });

  test('a policy of a later format level: POLICY', async () => {
    const scene = await makeScene();
    await scene.world.nextPolicy((policy) => ({ ...policy, formatLevel: 2 }));
    await scene.block([await scene.say('x')]);
    expect(codes(await scene.end())).toEqual(['POLICY FORMAT_LEVEL']);
  });
});

describe('an archiver that signs what the log does not give', () => {
  const wrongFields: Readonly<Record<string, (manifest: Manifest) => Partial<Manifest>>> = {
    'counts.links': ({ counts }) => ({ counts: { ...counts, links: counts.links + 1 } }),
    'counts.seals': ({ counts }) => ({ counts: { ...counts, seals: counts.seals + 1 } }),
    'counts.duplicates': ({ counts }) => ({ counts: { ...counts, duplicates: counts.duplicates + 1 } }),
    'counts.conflicts': ({ counts }) => ({ counts: { ...counts, conflicts: counts.conflicts + 1 } }),
    'counts.repeated': ({ counts }) => ({ counts: { ...counts, repeated: counts.repeated + 1 } }),
    'counts.rejected': ({ counts }) => ({ counts: { ...counts, rejected: counts.rejected + 1 } }),
    'counts.empty': ({ counts }) => ({ counts: { ...counts, empty: counts.empty + 1 } }),
    'counts.sampledOut': ({ counts }) => ({ counts: { ...counts, sampledOut: counts.sampledOut + 1 } }),
    'counts.perProducer': ({ counts }) => ({ counts: { ...counts, perProducer: [] } }),
    occurred: () => ({ occurred: { from: 0, to: START_MICROS } }),
    accepted: ({ accepted }) => ({ accepted: { ...accepted, from: accepted.from - 1 } }),
    policies: () => ({ policies: [] }),
    offsets: ({ offsets }) => ({ offsets: offsets.map((range) => ({ ...range, to: range.to + 1 })) }),
  };
  test.each(Object.entries(wrongFields))('the manifest’s %s is wrong: ARCHIVE', async (_, change) => {
    const scene = await makeScene();
    const verdict = await scene.end({ manifest: (manifest) => ({ ...manifest, ...change(manifest) }) });
    expect(codes(verdict)).toEqual(['ARCHIVE MANIFEST_FIELD']);
  });

  test.each([
    ['it follows another manifest', { previous: '7'.repeat(64) }, ['ARCHIVE MANIFEST_PREVIOUS']],
    ['it is of another log', { origin: 'example.org/other/0' }, ['ARCHIVE MANIFEST_PLACE']],
    ['it begins elsewhere', { first: 1 }, ['ARCHIVE MANIFEST_PLACE']],
    ['it ends elsewhere', { end: 1000 }, ['ARCHIVE MANIFEST_PLACE']],
    ['it states another root', { root: '7'.repeat(64) }, ['ARCHIVE CONTAINER', 'LOG ROOT_WRONG']],
    ['it lists nothing', { objects: [] }, ['ARCHIVE MANIFEST_OBJECTS']],
    ['it knows no schema', { schemas: [] }, ['ARCHIVE MANIFEST_OBJECTS']],
  ])('the manifest: %s', async (_, change, failed) => {
    const scene = await makeScene();
    expect(codes(await scene.end({ manifest: (manifest) => ({ ...manifest, ...change }) }))).toEqual(expect.arrayContaining(failed));
  });

  const columns = {
    streamIndex: 99,
    acceptedAt: 99,
    producer: 'somebody',
    epoch: testId('another'),
    seq: 99,
    inputOffset: 99,
    position: 99,
    marks: 1,
    leafHash: SEVENS,
  };
  test.each(Object.entries(columns))('the column %s is wrong: ARCHIVE', async (name, value) => {
    const scene = await makeScene();
    const verdict = await scene.end({
      rows: (rows) => rows.map((row, i) => (i === 1 ? { ...row, columns: { ...row.columns, [name]: value } } : row)),
    });
    expect(codes(verdict)).toEqual(['ARCHIVE COLUMN_WRONG']);
  });

  test.each([
    ['a record is left out', (rows: readonly unknown[]) => rows.slice(1), ['ARCHIVE EVENT_MISSING']],
    ['a record is there twice', (rows: readonly unknown[]) => [rows[0], ...rows], ['ARCHIVE RECORD_ORDER']],
    ['records changed places', (rows: readonly unknown[]) => rows.toReversed(), ['ARCHIVE RECORD_ORDER']],
  ])('events: %s', async (_, change, failed) => {
    const scene = await makeScene();
    expect(codes(await scene.end({ rows: (rows) => change(rows) as typeof rows }))).toEqual(failed);
  });

  test('events: a record of no link: ARCHIVE', async () => {
    const scene = await makeScene();
    const verdict = await scene.end({
      rows: (rows) => {
        const last = required(rows.at(-1));
        return [...rows, { ...last, columns: { ...last.columns, logIndex: last.columns.logIndex + 1 } }];
      },
    });
    expect(codes(verdict)).toEqual(['ARCHIVE RECORD_EXTRA']);
  });

  test.each([
    ['exchanged', (scene: Scene) => required(scene.world.events('a', 'something else')[0]), ['STREAMS EVENT_DIGEST']],
    ['removed', () => null, ['STREAMS EVENT_REMOVED']],
  ])('an archived event was %s', async (_, event, failed) => {
    const scene = await makeScene();
    const verdict = await scene.end({ rows: (rows) => rows.map((row, i) => (i === 1 ? { ...row, event: event(scene) } : row)) });
    expect(codes(verdict)).toEqual(failed);
  });

  test.each([
    ['a record is left out', (records: readonly unknown[]) => records.slice(0, -1), ['ARCHIVE EVIDENCE_MISSING']],
    ['a record is there twice', (records: readonly unknown[]) => [records[0], ...records], ['ARCHIVE RECORD_ORDER']],
  ])('evidence: %s', async (_, change, failed) => {
    const scene = await makeScene();
    const found = codes(await scene.end({ evidence: (records) => change(records) as typeof records }));
    expect(found).toEqual(expect.arrayContaining(failed));
  });

  test('evidence: a record of no block: ARCHIVE', async () => {
    const scene = await makeScene();
    const verdict = await scene.end({
      evidence: (records) => [...records, { ...required(records.at(-1)), sealIndex: required(records.at(-1)).sealIndex + 1 }],
    });
    expect(codes(verdict)).toEqual(['ARCHIVE RECORD_EXTRA']);
  });

  test('evidence: of another block: ARCHIVE', async () => {
    const scene = await makeScene();
    const verdict = await scene.end({
      evidence: (records) => records.map((record, i) => (i === 1 ? { ...record, evidence: required(records[0]).evidence } : record)),
    });
    expect(codes(verdict)).toContain('ARCHIVE EVIDENCE_DIGEST');
  });

  test('a segment is cut before its age: ARCHIVE', async () => {
    const scene = await makeScene();
    await scene.block([await scene.say('x')]);
    await scene.archive.close();
    expect(codes(await scene.end())).toEqual(['ARCHIVE SEGMENT_END']);
  });

  test('a segment goes on beyond its age: ARCHIVE', async () => {
    const scene = await makeScene();
    for (let i = 0; i < 7; i++) await scene.block([await scene.say(`x ${i}`)]);
    expect(codes(await scene.end())).toEqual(['ARCHIVE SEGMENT_END']);
  });

  test('a segment that ended has no manifest, and nothing else is left of it: ARCHIVE', async () => {
    const scene = await makeScene();
    await scene.end();
    const { map } = scene.archive.objects;
    const segment = new RegExp(`-0*${scene.archive.size}\\.|checkpoints/${scene.archive.size}$`);
    for (const key of map.keys()) if (segment.test(key)) map.delete(key);
    const verdict = await scene.verify();
    expect(codes(verdict)).toEqual(['ARCHIVE MISSING']);
    expect(verdict.ok).toBe(false);
  });
});
