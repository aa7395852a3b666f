import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { describe, expect, test } from '@jest/globals';
import { sha256 } from '#crypto';
import { verifyArchive } from '../../auditor/verify.ts';
import { segmentSyncMarker } from '../../core/acceptance/segment-rule.ts';
import { logKeysOf, schemaKey } from '../../core/archive/archive-keys.ts';
import { encodeManifest, type Manifest, parseManifest } from '../../core/archive/manifest.ts';
import { frame } from '../../core/avro/framing.ts';
import { readContainer, writeContainer } from '../../core/avro/ocf.ts';
import { SCHEMA_TEXTS } from '../../core/avro/schema-texts.ts';
import { concat, toHex, utf8 } from '../../core/base/bytes.ts';
import { LIMITS } from '../../core/base/limits.ts';
import { REASONS, reasonName } from '../../core/base/reasons.ts';
import { type BatchHeader, encodeSignedBatch } from '../../core/formats/batch.ts';
import { type Event, eventDigest } from '../../core/formats/event.ts';
import { EVENT_SCHEMA } from '../../core/formats/event-schema.ts';
import type { EvidenceInput, Receipt } from '../../core/formats/evidence.ts';
import type { Link } from '../../core/formats/leaf.ts';
import { shardOf } from '../../core/formats/shard.ts';
import { decodeEnvelope, encodeEnvelope, signEnvelope } from '../../core/keys/dsse.ts';
import { parseVerifierKey } from '../../core/keys/key.ts';
import { noteOf } from '../support/archive.ts';
import { EVENT_SCHEMA_V2 } from '../support/event-v2.ts';
import { rootAt, type SegmentForgery } from '../support/forged-archive.ts';
import { acceptAnyway, inputOf } from '../support/forged-batch.ts';
import { type Forgery, rechain } from '../support/forged-block.ts';
import {
  BATCH_SCHEMA_ID,
  type BlockOptions,
  makeWorld,
  START_MICROS,
  type TestMessage,
  testId,
  testSigner,
  type World,
} from '../support/producer.ts';
import { narrow, required, richWorld, SECOND } from '../support/rich-archive.ts';
import { codes, makeScene, Scene } from '../support/scene.ts';

const KEYS = logKeysOf(0);
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

/** Messages that are refused, each for another reason. */
async function faulty({ world }: Scene): Promise<BlockOptions['messages']> {
  const batch = (word: string, header: Partial<BatchHeader> = {}, signer = world.producer): Promise<TestMessage> =>
    world.lane(word, signer).next(world.events('a', word), header);
  const good = await batch('good');
  return [
    new Uint8Array(LIMITS.messageBytes + 1),
    new Uint8Array([1, 2, 3]),
    frame(BATCH_SCHEMA_ID + 1, good.value.subarray(5)),
    frame(BATCH_SCHEMA_ID, new Uint8Array(3)),
    await world.message(new Uint8Array(3), good.events),
    await batch('origin', { origin: 'example.org/other' }),
    await batch('shard', { shard: 1 }),
    await batch('large', { count: LIMITS.batchEvents + 1 }),
    await batch('count', { count: 3 }),
    await batch('count of a stranger', { count: 3 }, testSigner('stranger')),
    await batch('stranger', {}, testSigner('stranger')),
    forgedSignature(await batch('forged')),
    await batch('schema', { schema: SEVENS }),
    await batch('root', { root: SEVENS }),
  ];
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
    {
      name: 'the evidence cannot be read',
      failed: ['ARCHIVE EVIDENCE_FORMAT', 'ARCHIVE MANIFEST_FIELD', 'COMPLETE GAP'],
      spoil: (forgery) => (forgery.evidence = SEVENS),
    },
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
      // The manifest is right all the same, also about when its earliest event occurred.
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

test('the first seal of a log names a policy that is not there: POLICY', async () => {
  const scene = new Scene(await richWorld());
  await scene.block([1], ({ seal }) => (seal.policy = SEVENS));
  await scene.archive.publish();
  expect(codes(await scene.verify())).toEqual(['POLICY POLICY_MISSING']);
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

function worldOfTwoSchemas(): Promise<World> {
  return makeWorld({ schemas: [EVENT_SCHEMA, EVENT_SCHEMA_V2], policy: (policy) => ({ ...policy, segmentMaxAgeMs: 10_000 }) });
}

test('the schema of a batch misses, and no event was archived under it: ARCHIVE, naming it', async () => {
  const scene = await makeScene(await worldOfTwoSchemas());
  const { world } = scene;
  const fork = await world.lane('scene').next([], { schema: EVENT_SCHEMA_V2.digest });
  await scene.block([await scene.lane.next([], { schema: EVENT_SCHEMA_V2.digest }), fork]);
  await scene.end();
  const object = schemaKey(EVENT_SCHEMA_V2.hex);
  expect(scene.archive.objects.map.delete(object)).toBe(true);
  const verdict = await scene.verify();
  expect([codes(verdict), verdict.findings.find(({ code }) => code === 'MISSING')?.place.object]).toEqual([['ARCHIVE MISSING'], object]);
});

test('events of two schemas take turns in a stream and a segment: OK', async () => {
  const scene = await makeScene(await worldOfTwoSchemas());
  const { world, lane } = scene;
  const later = [EVENT_SCHEMA_V2.encode(world.event('a', 'later'))];
  await scene.block([await scene.say('x'), await lane.next(later, { schema: EVENT_SCHEMA_V2.digest }), await scene.say('y')]);
  expect(codes(await scene.end())).toEqual([]);
});

test('a link or an archived row is given another schema than its batch', async () => {
  const world = await worldOfTwoSchemas();
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
      spoil: (forgery) => changeLink(forgery, 1, { position: 2 }),
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
      name: 'a heartbeat of a lane is left out',
      failed: ['COMPLETE GAP'],
      messages: async (scene) => {
        await scene.lane.next([]);
        return [await scene.say('x')];
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
    ...[
      { what: 'batches and events', number: 4, seq: 12 },
      { what: 'only a heartbeat', number: 2, seq: 0 },
      { what: 'only events', number: 1, seq: 5 },
    ].map(
      ({ what, ...stated }): Violation => ({
        name: `a final statement says that more was sent, ${what}: the tail was cut`,
        failed: ['COMPLETE GAP'],
        messages: async ({ world }) => {
          const lane = world.lane('cut');
          return [await lane.next([], { lanes: [{ epoch: lane.epoch, shard: 0, ...stated, final: true }] })];
        },
      }),
    ),
    {
      name: 'a lane goes on after a statement that is not its last',
      failed: [],
      notes: [],
      messages: async ({ world }) => {
        const [lane, other] = [world.lane('going on'), world.lane('other')];
        const lanes = [{ epoch: lane.epoch, shard: 0, number: 1, seq: 1, final: false }];
        return [await lane.next(world.events('a', 'x')), await other.next([], { lanes }), await lane.next(world.events('a', 'y'))];
      },
    },
    {
      name: 'a lane went on after its end, and its end is stated anew',
      failed: [],
      notes: [],
      messages: async ({ world }) => {
        const [lane, other] = [world.lane('ended'), world.lane('other')];
        const end = (number: number): BatchHeader['lanes'] => [{ epoch: lane.epoch, shard: 0, number, seq: number, final: true }];
        return [
          await lane.next(world.events('a', 'x')),
          await other.next([], { lanes: end(1) }),
          await lane.next(world.events('a', 'y')),
          await other.next([], { lanes: end(2) }),
        ];
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

  test('the tail of a lane is missing as soon as its own shard says so', async () => {
    const scene = await makeScene();
    await scene.block([await scene.say('x')]);
    scene.time += 20 * SECOND;
    const lane = scene.world.lane('cut');
    await scene.block([await lane.next([], { lanes: [{ epoch: lane.epoch, shard: 0, number: 2, seq: 1, final: true }] })]);
    await scene.archive.close();
    expect(codes(await scene.verify())).toEqual(['COMPLETE GAP']);
  });

  test('what producers state that they dropped is counted, once for each lane', async () => {
    const scene = await makeScene();
    const [first, second] = [scene.world.lane('first'), scene.world.lane('second')];
    await scene.block([
      await first.next(scene.world.events('a', 'x'), { sampledOut: 2 }),
      await first.next(scene.world.events('a', 'y'), { sampledOut: 3 }),
      await second.next(scene.world.events('a', 'z'), { sampledOut: 4 }),
    ]);
    const verdict = await scene.end();
    expect([codes(verdict), verdict.properties.COMPLETE.counts['sampledOut']]).toEqual([[], 7]);
  });

  test('of what a lane states to have dropped, the most is counted, even if a later header states less', async () => {
    const scene = await makeScene();
    const lane = scene.world.lane('first');
    await scene.block([
      await lane.next(scene.world.events('a', 'x'), { sampledOut: 3 }),
      await lane.next(scene.world.events('a', 'y'), { sampledOut: 2 }),
    ]);
    const verdict = await scene.end();
    expect([codes(verdict), verdict.properties.COMPLETE.counts['sampledOut']]).toEqual([[], 3]);
  });

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
    const other = await makeScene();
    await other.lane.next([]);
    await other.block([await other.say('x')]);
    expect((await other.end()).findings.find(({ code }) => code === 'GAP')?.message).toContain('batches 6 and events none');
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
      name: 'a receipt points to what comes later in its own batch',
      failed: ['UNIQUE ORIGINAL_MISSING'],
      messages: async (scene) => [await scene.say('early 1', 'x')],
      spoil: (forgery, { archive }) => receiptOf(forgery, { original: archive.size }),
    },
    {
      name: 'a receipt stands at the position of a link, and points to it',
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
    ...([REASONS.HEADER_MALFORMED, REASONS.LANE_FORK] as const).map(
      (reason): Violation => ({
        name: `a message that can be taken apart is rejected without its header, as ${reasonName(reason)}`,
        failed: ['COMPLETE GAP', 'POLICY REASON_WRONG'],
        spoil: (forgery, _, given) => refuse(forgery, firstOf(given), { outcome: 'REJECTED', reason, batch: null }),
      }),
    ),
    {
      name: 'a batch that jumps ahead in its lane is rejected as a fork',
      failed: ['COMPLETE GAP', 'POLICY REASON_WRONG'],
      messages: async (scene) => {
        await scene.say('left out');
        return [await scene.say('x')];
      },
      spoil: (forgery, _, given) => refuse(forgery, firstOf(given), { outcome: 'REJECTED', reason: REASONS.LANE_FORK }),
    },
    {
      name: 'what is no batch, and batches with every fault that their header shows, are rejected as such',
      failed: [],
      messages: faulty,
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

  test.each([
    ['SIZE', 'size', 1],
    ['SHA256', 'sha256', '7'.repeat(64)],
    ['CONTENT', 'content', '7'.repeat(64)],
  ])('the manifest states another %s of a file: ARCHIVE', async (code, field, value) => {
    for (const at of [0, 1]) {
      const scene = await makeScene();
      const verdict = await scene.end({
        manifest: (manifest) => ({
          ...manifest,
          objects: manifest.objects.map((object, i) => (i === at ? { ...object, [field]: value } : object)),
        }),
      });
      expect(codes(verdict)).toEqual([`ARCHIVE ${code}`]);
    }
  });

  /** Signs a manifest, changed, and stores it where it then belongs. */
  async function addManifest({ archive }: Scene, key: string, change: (manifest: Manifest) => Partial<Manifest>): Promise<string> {
    const { payload } = decodeEnvelope(required(archive.objects.map.get(key)), 'manifest');
    const before = parseManifest(payload);
    const manifest = { ...before, previous: toHex(sha256(payload)), ...change(before) };
    const added = KEYS.manifest(manifest.first, manifest.end);
    archive.objects.map.set(added, encodeEnvelope(await signEnvelope('manifest', encodeManifest(manifest), [archive.signer])));
    return added;
  }

  test('a second manifest over leaves that have one: ARCHIVE', async () => {
    const scene = await makeScene();
    const key = await addManifest(scene, KEYS.manifest(0, 18), () => ({ first: 3 }));
    const overlap = (await scene.verify()).findings.find(({ code }) => code === 'SEGMENT_OVERLAP');
    expect([overlap?.property, overlap?.place.object]).toEqual(['ARCHIVE', key]);
  });

  test('a manifest over no leaves: ARCHIVE', async () => {
    const scene = await makeScene();
    await addManifest(scene, KEYS.manifest(0, 18), () => ({ first: 18 }));
    expect(codes(await scene.verify())).toEqual(['ARCHIVE MANIFEST_PLACE']);
  });

  test.each([24, 25])(
    'a manifest that ends within a block, at leaf %d: ARCHIVE, and the segment that the log has is missing',
    async (end) => {
      const scene = await makeScene();
      const { archive } = scene;
      await scene.block([await scene.say('x', 'y', 'z')]);
      scene.time += 20 * SECOND;
      await scene.block([await scene.say('u', 'v', 'w')]);
      await archive.publish();
      const root = rootAt(archive, end);
      archive.objects.map.set(KEYS.checkpointAt(end), utf8(await noteOf(archive.signer, end, root)));
      const key = await addManifest(scene, KEYS.manifest(0, 18), () => ({ first: 18, end, root: toHex(root) }));
      const { findings } = await scene.verify();
      const named = (code: string): unknown[] => findings.filter((finding) => finding.code === code).map(({ place }) => place.object);
      expect([named('SEGMENT_END'), named('MISSING')]).toEqual([[key], expect.arrayContaining([KEYS.manifest(18, 26)])]);
    },
  );

  test('a manifest that cannot be read is not said to be missing', async () => {
    const scene = await makeScene();
    await scene.end();
    for (const key of [KEYS.manifest(0, 18), KEYS.manifest(18, scene.archive.size)]) {
      const verdict = await verifyArchive(
        scene.archive.objects.changed((map) => map.set(key, SEVENS)),
        { keys: [parseVerifierKey(scene.world.root.verifierKey)] },
      );
      expect([codes(verdict).includes('ARCHIVE MANIFEST_MALFORMED'), codes(verdict).includes('ARCHIVE MISSING')]).toEqual([true, false]);
    }
  });

  test('bytes behind the end of compressed records: ARCHIVE', async () => {
    const scene = await makeScene();
    await scene.end();
    const { archive, world } = scene;
    const root = Uint8Array.from(Buffer.from(required(new TextDecoder().decode(await archive.note()).split('\n')[2]), 'base64'));
    const sync = segmentSyncMarker(`${world.origin}/0`, 18, archive.size, root);
    const key = KEYS.evidence(18, archive.size);
    const records: Uint8Array[] = [];
    const read = (at: number, length: number): Uint8Array => required(archive.objects.map.get(key)).subarray(at, at + length);
    for await (const part of readContainer(SCHEMA_TEXTS.BlockEvidence, sync, read, (data) => inflateRawSync(data)))
      records.push(...part.records);
    const pieces: Uint8Array[] = [];
    for await (const piece of writeContainer(SCHEMA_TEXTS.BlockEvidence, sync, records, (data) => concat(deflateRawSync(data), SEVENS)))
      pieces.push(piece);
    archive.objects.map.set(key, concat(...pieces));
    expect(codes(await scene.verify())).toContain('ARCHIVE CONTAINER');
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

  test('a receipt that points to a removed event cannot be judged, and is no finding', async () => {
    const scene = await makeScene();
    await scene.block([await scene.say('x'), await scene.say('x')]);
    const verdict = await scene.end({ rows: ([first, ...rest]) => [{ ...required(first), event: null }, ...rest] });
    expect(codes(verdict)).toEqual(['STREAMS EVENT_REMOVED']);
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

  test('where the size of a removed event is not known, a segment may be cut early, and not go on beyond its age', async () => {
    const without: SegmentForgery = { rows: ([first, ...rest]) => [{ ...required(first), event: null }, ...rest] };
    const early = await makeScene();
    await early.block([await early.say('x')]);
    await early.archive.close(without);
    expect(codes(await early.end())).toEqual(['STREAMS EVENT_REMOVED']);
    const late = await makeScene();
    for (let i = 0; i < 7; i++) await late.block([await late.say(`x ${i}`)]);
    expect(codes(await late.end(without))).toEqual(['ARCHIVE SEGMENT_END', 'STREAMS EVENT_REMOVED']);
  });

  test('files of a segment and its checkpoint without a manifest, which the log alone would not show: ARCHIVE, named once', async () => {
    const scene = await makeScene();
    await scene.block([await scene.say('x')]);
    await scene.archive.close();
    const key = KEYS.manifest(18, scene.archive.size);
    expect(scene.archive.objects.map.delete(key)).toBe(true);
    const verdict = await scene.verify();
    expect([codes(verdict), verdict.findings.filter(({ code }) => code === 'MISSING').map(({ place }) => place.object)]).toEqual([
      ['ARCHIVE MISSING'],
      [key],
    ]);
  });

  test('leaves between two segments that no manifest covers, which the log alone would not show: ARCHIVE, named once', async () => {
    const scene = await makeScene();
    await scene.block([await scene.say('x')]);
    await scene.archive.close();
    const key = KEYS.manifest(18, scene.archive.size);
    await scene.end();
    expect(scene.archive.objects.map.delete(key)).toBe(true);
    const { findings } = await scene.verify();
    expect(findings.filter(({ code }) => code === 'MISSING').map(({ place }) => place.object)).toEqual([key]);
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
