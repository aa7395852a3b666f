import { afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { sha256 } from '#crypto';
import { frame, unframe } from '../../core/avro/framing.ts';
import { toHex } from '../../core/base/bytes.ts';
import { LIMITS } from '../../core/base/limits.ts';
import { REASONS, type ReasonName, reasonName } from '../../core/base/reasons.ts';
import { type BatchHeader, encodeSignedBatch } from '../../core/formats/batch.ts';
import { decodeBlock } from '../../core/formats/block.ts';
import { eventDigest } from '../../core/formats/event.ts';
import { decodeEvidence, type EvidenceInput } from '../../core/formats/evidence.ts';
import { decodeLeaf, type Link } from '../../core/formats/leaf.ts';
import { shardOf } from '../../core/formats/shard.ts';
import { PRODUCER_CAPS } from '../../core/policy/new-policy.ts';
import { TOPICS } from '../../core/ports/log.ts';
import { EmbeddedShard } from '../support/embedded-shard.ts';
import { recordsOf } from '../support/log-records.ts';
import { BATCH_SCHEMA_ID, makeWorld, type TestLane, type TestMessage, testId, testSigner, type World } from '../support/producer.ts';
import { codes } from '../support/scene.ts';

// Real folders: a busy disk takes its time.
jest.setTimeout(60_000);

const SHARDS = 2;
/** May use one stream and one type; its heartbeats go to shard 0. */
const NARROW = testSigner(numbered('example.org/narrow', inShardZero));
const RETIRED = testSigner('example.org/retired');

let world: World;
/** Streams of shard 0, and one of the other. */
const here = numbered('stream', inShardZero);
const narrow = numbered('narrow', inShardZero);
const elsewhere = numbered('stream', (name) => !inShardZero(name));
let shard: EmbeddedShard | undefined;

beforeAll(async () => {
  world = await makeWorld({
    // The producer's heartbeats go to shard 0.
    origin: numbered('example.org/bad', (origin) => inShardZero(`${origin}/producer`)),
    shards: SHARDS,
    policy: (policy) => ({
      ...policy,
      segmentMaxAgeMs: 10_000,
      clockSkewMs: 1000,
      producers: [
        ...policy.producers,
        {
          key: NARROW.verifierKey,
          status: 'ACTIVE',
          believed: null,
          streams: [narrow],
          types: ['CREATE'],
          heartbeatMs: null,
          ...PRODUCER_CAPS,
        },
        { key: RETIRED.verifierKey, status: 'RETIRED', believed: null, streams: ['*'], types: [], heartbeatMs: null, ...PRODUCER_CAPS },
      ],
    }),
  });
});

afterEach(async () => {
  await shard?.close();
  shard = undefined;
});

function inShardZero(name: string): boolean {
  return shardOf(name, SHARDS) === 0;
}

function numbered(prefix: string, fits: (name: string) => boolean): string {
  for (let i = 0; ; i++) if (fits(`${prefix}-${i}`)) return `${prefix}-${i}`;
}

/** The same batch with one part exchanged, not signed again. */
function swapped({ header, keyId, signature, events }: TestMessage, part: Partial<TestMessage>): Uint8Array {
  return frame(BATCH_SCHEMA_ID, encodeSignedBatch({ header, keyId, signature, events, ...part }));
}

/** The header's length in two bytes where the encoder writes two: one more, with nothing in it. */
function longerVarint(value: Uint8Array): Uint8Array {
  return Uint8Array.of(...value.subarray(0, 6), (value[6] as number) | 0x80, 0, ...value.subarray(7));
}

/** What was sent, and what must become of it. */
interface Bad {
  readonly name: string;
  readonly reason: ReasonName;
  /** Makes the value; `lane` is the good producer's, `first` its first batch, already accepted. */
  readonly make: (lane: TestLane, first: TestMessage) => Promise<Uint8Array>;
  /** Whether the evidence carries the header. */
  readonly proof?: boolean;
}

function alone(header: Partial<BatchHeader> = {}, signer = world.producer): Promise<TestMessage> {
  return world.batch(world.events(here, 'alone'), { epoch: testId('alone'), ...header }, signer);
}

/** Messages that are refused as a whole. */
const MESSAGES: readonly Bad[] = [
  { name: 'nothing at all', reason: 'FRAMING_INVALID', make: async () => new Uint8Array(0) },
  { name: 'broken framing', reason: 'FRAMING_INVALID', make: async () => Uint8Array.of(1, ...(await alone()).value.subarray(1)) },
  { name: 'an unknown schema id', reason: 'SCHEMA_ID_UNKNOWN', make: async () => frame(4711, (await alone()).value.subarray(5)) },
  { name: 'the id of another schema', reason: 'SCHEMA_ID_UNKNOWN', make: async () => frame(1, (await alone()).value.subarray(5)) },
  { name: 'truncated Avro', reason: 'BATCH_MALFORMED', make: async () => (await alone()).value.subarray(0, -1) },
  { name: 'a byte after the Avro', reason: 'BATCH_MALFORMED', make: async () => Uint8Array.of(...(await alone()).value, 0) },
  { name: 'Avro in a longer spelling', reason: 'BATCH_MALFORMED', make: async () => longerVarint((await alone()).value) },
  {
    name: 'Avro that claims two billion bytes',
    reason: 'BATCH_MALFORMED',
    make: async () => frame(BATCH_SCHEMA_ID, Uint8Array.of(0xfe, 0xff, 0xff, 0xff, 0x0f)),
  },
  { name: 'a message over the limit', reason: 'MESSAGE_TOO_LARGE', make: async () => new Uint8Array(LIMITS.messageBytes + 1).fill(7) },
  {
    name: 'a message of which not all bytes are kept',
    reason: 'MESSAGE_TOO_LARGE',
    make: async () => new Uint8Array(LIMITS.rejectedBytes + 9).fill(7),
  },
  {
    name: 'a header that cannot be read',
    reason: 'HEADER_MALFORMED',
    proof: true,
    make: async () => (await world.message(new Uint8Array(3), [])).value,
  },
  { name: 'a count that does not match', reason: 'COUNT_WRONG', proof: true, make: async () => (await alone({ count: 2 })).value },
  {
    name: 'a root that does not match',
    reason: 'ROOT_WRONG',
    proof: true,
    make: async () => (await alone({ root: new Uint8Array(32).fill(5) })).value,
  },
  {
    name: 'an event exchanged for another',
    reason: 'ROOT_WRONG',
    proof: true,
    make: async () => swapped(await alone(), { events: world.events(here, 'exchanged') }),
  },
  {
    name: 'no signature',
    reason: 'SIGNATURE_WRONG',
    proof: true,
    make: async () => swapped(await alone(), { signature: new Uint8Array(0) }),
  },
  {
    name: 'a wrong signature',
    reason: 'SIGNATURE_WRONG',
    proof: true,
    make: async () => swapped(await alone(), { signature: new Uint8Array(64).fill(1) }),
  },
  {
    name: 'an unknown key',
    reason: 'KEY_UNKNOWN',
    proof: true,
    make: async () => (await alone({}, testSigner('example.org/stranger'))).value,
  },
  { name: 'a retired key', reason: 'KEY_NOT_ACTIVE', proof: true, make: async () => (await alone({}, RETIRED)).value },
  { name: 'a batch of another shard', reason: 'SHARD_WRONG', proof: true, make: async () => (await alone({ shard: 1 })).value },
  {
    name: 'a batch of another origin',
    reason: 'ORIGIN_WRONG',
    proof: true,
    make: async () => (await alone({ origin: 'example.org/other' })).value,
  },
  {
    name: 'a schema that is not in force',
    reason: 'SCHEMA_NOT_IN_FORCE',
    proof: true,
    make: async () => (await alone({ schema: new Uint8Array(32) })).value,
  },
  {
    name: 'a fork: another batch with a number that was accepted',
    reason: 'LANE_FORK',
    proof: true,
    make: async (lane) => (await world.batch(world.events(here, 'fork'), { epoch: lane.epoch, number: 0 })).value,
  },
  {
    name: 'a fork: the next number, after another batch than the one before',
    reason: 'LANE_FORK',
    proof: true,
    make: async (lane) =>
      (await world.batch(world.events(here, 'fork'), { epoch: lane.epoch, number: 1, firstSeq: 2, previous: new Uint8Array(32).fill(3) }))
        .value,
  },
];

interface Sent {
  readonly shard: EmbeddedShard;
  readonly lane: TestLane;
  readonly first: TestMessage;
}

/** A shard that has accepted one good batch. */
async function start(): Promise<Sent> {
  shard = await EmbeddedShard.open(world);
  const lane = world.lane('good');
  const first = await lane.next(world.events(here, 'good 1', 'good 2'));
  await shard.send(first.value);
  return { shard, lane, first };
}

/** A good batch, and the end of all lanes; what the auditor finds failed, and open. */
async function end({ shard: given, lane }: Sent, ...others: readonly TestLane[]): Promise<string[]> {
  await given.send((await lane.next(world.events(here, 'good 3'))).value);
  for (const each of [lane, ...others]) {
    const statement = { epoch: each.epoch, shard: 0, number: each.number + 1, seq: each.seq, final: true };
    await given.send((await each.next([], { lanes: [statement] })).value);
  }
  await given.closeSegment();
  const verdict = await given.verify();
  const open = codes(verdict, 'OPEN');
  // Nothing was sent to the other shard.
  expect(open).toContain('COMPLETE SHARD_EMPTY');
  return [...codes(verdict), ...open.filter((code) => code !== 'COMPLETE SHARD_EMPTY')];
}

/** The records on `provenance.rejected`, with a hash for the bytes: so a megabyte is compared faster. */
async function keptBy(given: EmbeddedShard): Promise<unknown[]> {
  return (await given.rejected()).map((record) => ({ ...record, bytes: hashOf(record.bytes) }));
}

function hashOf(bytes: Uint8Array): string {
  return toHex(sha256(bytes));
}

interface Chain {
  readonly inputs: readonly EvidenceInput[];
  readonly links: readonly Link[];
}

/** Everything that the chain says, one evidence entry for each offset. */
async function chainOf(given: EmbeddedShard): Promise<Chain> {
  const records = await given.stores.log.read(TOPICS.chain, 0, 0, { maxBytes: 64 * 1024 * 1024, waitMs: 0 });
  const blocks = recordsOf(records).map(({ value }) => decodeBlock(unframe(value).payload));
  return {
    inputs: blocks.flatMap(({ evidence }) => decodeEvidence(evidence)),
    links: blocks.flatMap(({ links }) => links.map((bytes) => decodeLeaf(bytes) as Link)),
  };
}

/** Reasons of messages whose signed header is good. */
const NOT_COVERED: readonly ReasonName[] = ['COUNT_WRONG', 'ROOT_WRONG'];

describe('a message is refused as a whole, and what comes after it is linked:', () => {
  test.each(MESSAGES)('$name: $reason', async ({ reason, make, proof = false }) => {
    const sent = await start();
    const value = await make(sent.lane, sent.first);
    await sent.shard.send(value);
    expect(await end(sent)).toEqual(NOT_COVERED.includes(reason) ? ['COMPLETE HEADER_UNSETTLED'] : []);
    const { inputs, links } = await chainOf(sent.shard);
    expect(inputs.map(({ outcome, reason: number }) => `${outcome} ${reasonName(number)}`)).toEqual([
      'ACCEPTED NONE',
      `REJECTED ${reason}`,
      'ACCEPTED NONE',
      'ACCEPTED NONE',
    ]);
    expect(inputs[1]).toMatchObject({ message: sha256(value), receipts: [] });
    expect(inputs[1]?.batch !== null).toBe(proof);
    expect(links.map(({ inputOffset, position, marks }) => [inputOffset, position, marks])).toEqual([
      [0, 0, 0],
      [0, 1, 0],
      [2, 0, 0],
    ]);
    expect(await keptBy(sent.shard)).toEqual([
      {
        origin: world.origin,
        shard: 0,
        inputGeneration: 0,
        inputOffset: 1,
        span: 1,
        position: -1,
        outcome: 'REJECTED',
        reason: REASONS[reason],
        digest: sha256(value),
        size: value.length,
        bytes: hashOf(value.subarray(0, LIMITS.rejectedBytes)),
      },
    ]);
    expect(await sent.shard.metric(`lineproof_chainer_refused_total{shard="0",reason="${reason}"}`)).toBe(1);
    expect(await sent.shard.metric('lineproof_chainer_inputs_total{shard="0",outcome="REJECTED"}')).toBe(1);
    const alarms = sent.shard.logger.lines.filter((line) => line.startsWith('error'));
    expect(alarms).toEqual(reason === 'LANE_FORK' ? [expect.stringMatching(/^error lane forked/)] : []);
  });
});

/** One bad event between two good ones. */
interface BadEvent {
  readonly name: string;
  readonly outcome: 'REJECTED' | 'DUPLICATE' | 'CONFLICT';
  readonly reason: ReasonName;
  readonly event: () => Uint8Array;
  readonly signer?: typeof NARROW;
}

const EVENTS: readonly BadEvent[] = [
  { name: 'truncated', outcome: 'REJECTED', reason: 'EVENT_MALFORMED', event: () => one('x').subarray(0, -1) },
  {
    name: 'that hides a second record after its end',
    outcome: 'REJECTED',
    reason: 'EVENT_MALFORMED',
    event: () => Uint8Array.of(...one('x'), ...one('y')),
  },
  { name: 'in a longer spelling', outcome: 'REJECTED', reason: 'EVENT_MALFORMED', event: () => longerStream(one('x')) },
  { name: 'empty', outcome: 'REJECTED', reason: 'EVENT_MALFORMED', event: () => new Uint8Array(0) },
  { name: 'too large', outcome: 'REJECTED', reason: 'EVENT_TOO_LARGE', event: () => new Uint8Array(LIMITS.eventBytes + 1) },
  {
    name: 'with its attributes out of order',
    outcome: 'REJECTED',
    reason: 'EVENT_INVALID',
    event: () => unsorted(),
  },
  { name: 'of a stream of another shard', outcome: 'REJECTED', reason: 'STREAM_WRONG_SHARD', event: () => one('x', elsewhere) },
  {
    name: 'of a stream that its producer may not use',
    outcome: 'REJECTED',
    reason: 'STREAM_NOT_PERMITTED',
    event: () => one('x'),
    signer: NARROW,
  },
  {
    name: 'of a type that its producer may not use',
    outcome: 'REJECTED',
    reason: 'TYPE_NOT_PERMITTED',
    event: () => world.schema.encode(world.event(narrow, 'x', { type: 'DELETE' })),
    signer: NARROW,
  },
  { name: 'that was linked before', outcome: 'DUPLICATE', reason: 'NONE', event: () => one('good 2') },
  {
    name: 'that has the identity of another that was linked',
    outcome: 'CONFLICT',
    reason: 'NONE',
    event: () => world.schema.encode(world.event(here, 'good 2', { attributes: [] })),
  },
];

function one(word: string, stream = here): Uint8Array {
  return world.schema.encode(world.event(stream, word));
}

/** The length of the stream's name, behind 16 bytes of id, in two bytes where the encoder writes one. */
function longerStream(event: Uint8Array): Uint8Array {
  return Uint8Array.of(...event.subarray(0, 16), (event[16] as number) | 0x80, 0, ...event.subarray(17));
}

/** An encoded event whose two attributes have changed places. */
function unsorted(): Uint8Array {
  const sorted = world.schema.encode(
    world.event(here, 'x', {
      attributes: [
        { key: 'aaaa', value: '1' },
        { key: 'bbbb', value: '2' },
      ],
    }),
  );
  const text = Buffer.from(sorted).toString('latin1');
  return new Uint8Array(Buffer.from(text.replace('aaaa', '????').replace('bbbb', 'aaaa').replace('????', 'bbbb'), 'latin1'));
}

describe('one event of a good batch is not linked, and its neighbours are:', () => {
  test.each(EVENTS)('an event $name: $outcome $reason', async ({ outcome, reason, event, signer = world.producer }) => {
    const sent = await start();
    const bytes = event();
    const digest = eventDigest(world.schema.digest, bytes);
    const stream = signer === NARROW ? narrow : here;
    const lane = signer === NARROW ? world.lane('narrow', NARROW) : sent.lane;
    await sent.shard.send((await lane.next([one('left', stream), bytes, one('right', stream)])).value);
    expect(await end(sent, ...(lane === sent.lane ? [] : [lane]))).toEqual([]);
    const { inputs, links } = await chainOf(sent.shard);
    expect(links.filter(({ inputOffset }) => inputOffset === 1).map(({ position }) => position)).toEqual([0, 2]);
    expect(inputs[1]?.outcome).toBe('ACCEPTED');
    expect(inputs[1]?.receipts).toMatchObject([
      { position: 1, digest, outcome, reason: REASONS[reason], original: outcome === 'REJECTED' ? null : 1 },
    ]);
    const kept = {
      inputOffset: 1,
      span: 1,
      position: 1,
      outcome,
      reason: REASONS[reason],
      digest,
      size: bytes.length,
      bytes: hashOf(bytes),
    };
    expect(await keptBy(sent.shard)).toMatchObject(outcome === 'DUPLICATE' ? [] : [kept]);
    expect(await sent.shard.metric(`lineproof_chainer_receipts_total{shard="0",outcome="${outcome}"}`)).toBe(1);
    expect(await sent.shard.metric(`lineproof_chainer_refused_total{shard="0",reason="${reason}"}`)).toBe(outcome === 'REJECTED' ? 1 : 0);
  });
});

describe('lanes', () => {
  test('a replay: REPEATED, nothing linked, nothing kept, nothing found', async () => {
    const sent = await start();
    await sent.shard.send(sent.first.value);
    expect(await end(sent)).toEqual([]);
    const { inputs, links } = await chainOf(sent.shard);
    expect(inputs.map(({ outcome }) => outcome)).toEqual(['ACCEPTED', 'REPEATED', 'ACCEPTED', 'ACCEPTED']);
    expect(links).toHaveLength(3);
    expect(await keptBy(sent.shard)).toEqual([]);
    expect(await sent.shard.metric('lineproof_chainer_inputs_total{shard="0",outcome="REPEATED"}')).toBe(1);
  });

  test('a fork that is sent twice: refused twice, for it was never accepted', async () => {
    const sent = await start();
    const { value } = await world.batch(world.events(here, 'fork'), { epoch: sent.lane.epoch, number: 0 });
    for (let i = 0; i < 2; i++) await sent.shard.send(value);
    expect(await end(sent)).toEqual([]);
    const { inputs } = await chainOf(sent.shard);
    expect(inputs.map(({ outcome }) => outcome)).toEqual(['ACCEPTED', 'REJECTED', 'REJECTED', 'ACCEPTED', 'ACCEPTED']);
  });

  test('a gap: linked with a mark, and the auditor names what is missing', async () => {
    const sent = await start();
    await sent.lane.next(world.events(here, 'lost 1', 'lost 2'));
    await sent.shard.send((await sent.lane.next(world.events(here, 'after 1', 'after 2'))).value);
    expect(await end(sent)).toEqual(['COMPLETE GAP']);
    const { inputs, links } = await chainOf(sent.shard);
    expect(inputs.map(({ outcome }) => outcome)).toEqual(['ACCEPTED', 'ACCEPTED', 'ACCEPTED', 'ACCEPTED']);
    expect(links.map(({ marks }) => marks)).toEqual([0, 0, 1, 0, 0]);
    const { findings } = await sent.shard.verify();
    expect(findings.find(({ code }) => code === 'GAP')?.message).toContain('2');
  });
});

describe('a planted sync marker', () => {
  test('breaks no container: neither the last segment’s, nor the head of a container, nor another’s end', async () => {
    const sent = await start();
    await sent.shard.closeSegment();
    const markers: Uint8Array[] = [Uint8Array.of(0x4f, 0x62, 0x6a, 1)];
    for await (const { key } of sent.shard.stores.objects.list('logs/0/segments/'))
      if (key.endsWith('.avro')) markers.push((await sent.shard.stores.objects.get(key))?.bytes.slice(-16) as Uint8Array);
    expect(markers).toHaveLength(3);
    const outputs = markers.map((value) => ({
      namespace: 'planted',
      name: 'marker',
      version: null,
      digest: { algorithm: 'none', value },
      size: null,
      mediaType: null,
    }));
    await sent.shard.send((await sent.lane.next([world.schema.encode(world.event(here, 'planted', { outputs }))])).value);
    expect(await end(sent)).toEqual([]);
    expect((await chainOf(sent.shard)).links).toHaveLength(4);
    expect((await sent.shard.verify()).properties.STREAMS.counts).toMatchObject({ events: 4 });
  });
});
