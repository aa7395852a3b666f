import { beforeAll, describe, expect, test } from '@jest/globals';
import { type BatchRules, checkHeader, checkMessage, type MessageCheck } from '../../../../core/acceptance/batch-check.ts';
import { frame } from '../../../../core/avro/framing.ts';
import { compileSchema } from '../../../../core/avro/schema.ts';
import { SCHEMA_TEXTS } from '../../../../core/avro/schema-texts.ts';
import { utf8 } from '../../../../core/base/bytes.ts';
import { LIMITS } from '../../../../core/base/limits.ts';
import { REASONS, type ReasonName, reasonName } from '../../../../core/base/reasons.ts';
import { type BatchHeader, encodeBatchHeader, encodeSignedBatch } from '../../../../core/formats/batch.ts';
import { eventDigest } from '../../../../core/formats/event.ts';
import { EVENT_SCHEMA } from '../../../../core/formats/event-schema.ts';
import { shardOf } from '../../../../core/formats/shard.ts';
import { PRODUCER_CAPS } from '../../../../core/policy/new-policy.ts';
import type { Policy } from '../../../../core/policy/policy-document.ts';
import type { Signer } from '../../../../core/ports/signer.ts';
import { BATCH_SCHEMA_ID, makeWorld, type TestMessage, testId, testSigner, type World } from '../../../support/producer.ts';

const SHARDS = 4;
const EPOCH = testId('epoch');
const RETIRED = testSigner('example.org/log/retired');
const NARROW = testSigner('example.org/log/narrow');
/** Producers whose home lane is in shard 0, and in another one. */
const [HOME, AWAY] = [true, false].map((home) => testSigner(first('example.org/producer', home))) as [Signer, Signer];

let world: World;
/** A stream of shard 0, and one of another shard. */
const here = first('stream', true);
const elsewhere = first('stream', false);

function first(prefix: string, inShardZero: boolean): string {
  for (let i = 0; ; i++) if ((shardOf(`${prefix}-${i}`, SHARDS) === 0) === inShardZero) return `${prefix}-${i}`;
}

beforeAll(async () => {
  world = await makeWorld({
    shards: SHARDS,
    policy: (policy): Policy => ({
      ...policy,
      producers: [
        ...policy.producers,
        { key: RETIRED.verifierKey, status: 'RETIRED', believed: null, streams: ['*'], types: [], heartbeatMs: null, ...PRODUCER_CAPS },
        {
          key: NARROW.verifierKey,
          status: 'ACTIVE',
          believed: null,
          streams: [`${here}*`],
          types: ['CREATE'],
          heartbeatMs: null,
          ...PRODUCER_CAPS,
        },
        ...[HOME, AWAY].map(({ verifierKey: key }) => ({
          key,
          status: 'ACTIVE' as const,
          believed: null,
          streams: [],
          types: [],
          heartbeatMs: null,
          ...PRODUCER_CAPS,
          ...PRODUCER_CAPS,
        })),
      ],
      requiredFields: [{ streams: [`${here}/strict`], fields: ['actor.onBehalfOf', 'inputs'] }],
    }),
  });
});

function check(value: Uint8Array, rules: BatchRules = world.rules()): MessageCheck {
  return checkMessage(value, rules, (id) => id === BATCH_SCHEMA_ID);
}

function reasonOf(value: Uint8Array): ReasonName | 'proven' | 'hold' | undefined {
  const verdict = check(value);
  return verdict.kind === 'rejected' ? reasonName(verdict.reason) : verdict.kind;
}

function good(header: Partial<BatchHeader> = {}, signer = world.producer): Promise<TestMessage> {
  return world.batch(world.events(here, '1', '2'), { epoch: EPOCH, ...header }, signer);
}

/** The same batch with one part exchanged, not signed again. */
function swap({ header, keyId, signature, events }: TestMessage, part: Partial<TestMessage>): Uint8Array {
  return frame(BATCH_SCHEMA_ID, encodeSignedBatch({ header, keyId, signature, events, ...part }));
}

function bytesOf(count: number): Uint8Array {
  return new Uint8Array(count);
}

/** Every reason for which a whole message is refused, each by messages that break nothing else before it. */
const MESSAGES: readonly [ReasonName, string, () => Promise<Uint8Array>][] = [
  ['MESSAGE_TOO_LARGE', 'a byte more than the limit', async () => bytesOf(LIMITS.messageBytes + 1)],
  ['FRAMING_INVALID', 'nothing', async () => bytesOf(0)],
  ['FRAMING_INVALID', 'four bytes', async () => bytesOf(4)],
  ['FRAMING_INVALID', 'another magic byte', async () => Uint8Array.of(1, ...(await good()).value.subarray(1))],
  ['FRAMING_INVALID', 'as large as may be', async () => bytesOf(LIMITS.messageBytes).fill(1)],
  ['SCHEMA_ID_UNKNOWN', 'the id of another schema', async () => frame(BATCH_SCHEMA_ID + 1, (await good()).value.subarray(5))],
  ['BATCH_MALFORMED', 'cut', async () => (await good()).value.subarray(0, -1)],
  ['BATCH_MALFORMED', 'with a byte more', async () => Uint8Array.of(...(await good()).value, 0)],
  ['BATCH_MALFORMED', 'empty', async () => frame(BATCH_SCHEMA_ID, bytesOf(0))],
  ['BATCH_MALFORMED', 'a size that lies', async () => frame(BATCH_SCHEMA_ID, Uint8Array.of(0xfe, 0xff, 0xff, 0xff, 0x0f))],
  ['BATCH_MALFORMED', 'a length that is longer than it must be', async () => longerVarint((await good()).value)],
  ['HEADER_MALFORMED', 'no header', async () => (await world.message(bytesOf(0), world.events(here, '1'))).value],
  [
    'HEADER_MALFORMED',
    'a header with a byte more, signed',
    async () => (await world.message(Uint8Array.of(...(await good()).header, 0), world.events(here, '1', '2'))).value,
  ],
  ['HEADER_MALFORMED', 'a batch that states lanes, signed', async () => (await rawHeader({ lanes: [LANE] })).value],
  ['ORIGIN_WRONG', 'another origin', async () => (await good({ origin: 'example.org/other' })).value],
  ['SHARD_WRONG', 'another shard', async () => (await good({ shard: 1 })).value],
  ['BATCH_TOO_LARGE', 'too many events', async () => tooMany()],
  ['BATCH_TOO_LARGE', 'too many bytes', async () => tooLarge(1)],
  ['COUNT_WRONG', 'an event more than is counted', async () => (await good({ count: 1 })).value],
  ['COUNT_WRONG', 'an event less than is counted', async () => (await good({ count: 3 })).value],
  [
    'COUNT_WRONG',
    'a heartbeat with an event',
    async () => (await world.message((await heartbeat()).header, world.events(here, '1'))).value,
  ],
  ['LANES_WRONG', 'a heartbeat outside its home shard', async () => (await heartbeat(AWAY)).value],
  ['KEY_UNKNOWN', 'a stranger', async () => (await good({}, testSigner('example.org/stranger'))).value],
  [
    'KEY_UNKNOWN',
    'a name that is known, with a key that is not',
    async () => (await good({}, testSigner(world.producer.name, 'other'))).value,
  ],
  ['KEY_UNKNOWN', 'the chainer', async () => (await good({}, world.chainer)).value],
  ['KEY_NOT_ACTIVE', 'a retired key', async () => (await good({}, RETIRED)).value],
  ['SIGNATURE_WRONG', 'zeros', async () => swap(await good(), { signature: bytesOf(64) })],
  ['SIGNATURE_WRONG', 'nothing', async () => swap(await good(), { signature: bytesOf(0) })],
  ['SIGNATURE_WRONG', "another header's", async () => swap(await good(), { signature: (await good({ number: 1 })).signature })],
  [
    'SIGNATURE_WRONG',
    "another producer's, under a name that is permitted",
    async () => swap(await good(), { signature: (await good({ producer: world.producer.name }, NARROW)).signature }),
  ],
  ['SCHEMA_NOT_IN_FORCE', 'a schema that no policy names', async () => (await good({ schema: testDigest() })).value],
  ['ROOT_WRONG', 'another root', async () => (await good({ root: testDigest() })).value],
  ['ROOT_WRONG', 'events in another order', async () => swap(await good(), { events: world.events(here, '2', '1') })],
  ['ROOT_WRONG', 'an event exchanged', async () => swap(await good(), { events: world.events(here, '1', '3') })],
];

const LANE = { epoch: EPOCH, shard: 0, number: 1, seq: 1, final: false };

function testDigest(): Uint8Array {
  return new Uint8Array(32).fill(5);
}

/** The header's length in two bytes where the encoder writes two: one more, with nothing in it. */
function longerVarint(value: Uint8Array): Uint8Array {
  const second = value[6] as number;
  expect(second).toBeLessThan(0x80);
  return Uint8Array.of(...value.subarray(0, 6), second | 0x80, 0, ...value.subarray(7));
}

async function rawHeader(part: Partial<BatchHeader>): Promise<TestMessage> {
  const codec = compileSchema<BatchHeader>(JSON.parse(SCHEMA_TEXTS.BatchHeader));
  const { header, events } = await good();
  return world.message(codec.encode({ ...codec.decode(header), ...part }), events);
}

function heartbeat(signer = HOME): Promise<TestMessage> {
  return world.batch([], { epoch: EPOCH, lanes: [LANE] }, signer);
}

async function tooMany(): Promise<Uint8Array> {
  const events = Array.from({ length: LIMITS.batchEvents + 1 }, (_, i) => world.schema.encode(world.event(here, String(i))));
  return (await world.batch(events, { epoch: EPOCH })).value;
}

/** A batch whose events cost exactly the limit and `extra` bytes. */
async function tooLarge(extra: number, unreadable: readonly Uint8Array[] = []): Promise<Uint8Array> {
  const overhead = LIMITS.batchEventOverheadBytes + utf8(here).length;
  const sizes = Array.from({ length: 4 }, () => LIMITS.batchBytes / 4 - overhead);
  const events = [...unreadable, ...sizes.map((size, i) => eventOfSize(size + (i === 0 ? extra : 0), String(i)))];
  return (await world.batch(events, { epoch: EPOCH })).value;
}

function eventOfSize(size: number, word: string): Uint8Array {
  const sized = (length: number): Uint8Array =>
    world.schema.encode(world.event(here, word, { attributes: [{ key: 'filler', value: 'x'.repeat(length) }] }));
  const bytes = sized(size - (sized(size - 200).length - (size - 200)));
  expect(bytes.length).toBe(size);
  return bytes;
}

describe('a message is refused as a whole', () => {
  test.each(MESSAGES)('%s: %s', async (reason, _, make) => {
    expect(reasonOf(await make())).toBe(reason);
  });

  test('for every reason that there is, but those that only its lane knows, and that of records, which are not messages', () => {
    const tested = new Set(MESSAGES.map(([reason]) => REASONS[reason]));
    const others: readonly number[] = [REASONS.LANE_FORK, REASONS.LANE_CAP, REASONS.RECORDS_UNREADABLE];
    const known = Object.values(REASONS).filter((reason) => reason >= 1 && reason <= 31 && !others.includes(reason));
    expect([...tested].toSorted((a, b) => a - b)).toEqual(known);
  });

  test('with its header for evidence, as soon as there is one', async () => {
    const { value, header, keyId, signature } = await good({ origin: 'example.org/other' });
    expect(check(value)).toEqual({ kind: 'rejected', reason: REASONS.ORIGIN_WRONG, proof: { header, keyId, signature } });
    const { events, ...proof } = await good({ root: testDigest() });
    expect(check(proof.value)).toMatchObject({ reason: REASONS.ROOT_WRONG, proof: { header: proof.header } });
    expect(check(await tooLarge(1))).toMatchObject({ proof: { header: expect.anything() } });
    expect(events).toHaveLength(2);
    expect(check(bytesOf(9))).toMatchObject({ proof: null });
  });

  test('with a header that cannot be read for evidence, if it is no longer than a header may be', async () => {
    const value = swap(await good(), { header: bytesOf(LIMITS.headerBytes) });
    expect(check(value)).toMatchObject({ reason: REASONS.HEADER_MALFORMED, proof: { header: bytesOf(LIMITS.headerBytes) } });
  });

  test('if its events cost too much, whether or not each of them can be read', async () => {
    const unreadable = bytesOf(100);
    const extra = -unreadable.length - LIMITS.batchEventOverheadBytes;
    expect(reasonOf(await tooLarge(extra, [unreadable]))).toBe('proven');
    expect(reasonOf(await tooLarge(extra + 1, [unreadable]))).toBe('BATCH_TOO_LARGE');
  });

  test('and is held, not refused, while its schema is in force and not available', async () => {
    const rules: BatchRules = { ...world.rules(), eventSchema: () => undefined };
    expect(check((await good()).value, rules)).toEqual({ kind: 'hold', schema: EVENT_SCHEMA.hex });
  });
});

describe('a message is proven', () => {
  test('with its events in order, their heads and digests', async () => {
    const message = await good({ number: 3 });
    const verdict = check(message.value);
    if (verdict.kind !== 'proven') throw new Error(verdict.kind);
    expect(verdict.proof).toEqual({ header: message.header, keyId: message.keyId, signature: message.signature });
    expect(verdict.proven.header).toMatchObject({ number: 3, count: 2, producer: world.producer.name });
    expect(encodeBatchHeader(verdict.proven.header)).toEqual(message.header);
    expect(verdict.events.map(({ bytes, digest, reason }) => [bytes, digest, reason])).toEqual(
      message.events.map((bytes) => [bytes, eventDigest(EVENT_SCHEMA.digest, bytes), 0]),
    );
    expect(verdict.events.map(({ head }) => head?.id)).toEqual(['1', '2'].map((word) => testId(`${here} ${word}`)));
  });

  test('up to the limits of a batch', async () => {
    expect(reasonOf(await tooLarge(0))).toBe('proven');
    const events = Array.from({ length: LIMITS.batchEvents }, (_, i) => world.schema.encode(world.event(here, String(i))));
    expect(reasonOf((await world.batch(events, { epoch: EPOCH })).value)).toBe('proven');
  });

  test('when it is a heartbeat on its home shard', async () => {
    expect(reasonOf((await heartbeat()).value)).toBe('proven');
  });

  test('by header and signature alone, as acceptance sees it', async () => {
    const { header, keyId, signature } = await good({ count: 7 });
    expect(checkHeader({ header, keyId, signature }, world.rules())).toMatchObject({ kind: 'proven', proven: { header: { count: 7 } } });
    expect(checkHeader({ header: bytesOf(LIMITS.headerBytes + 1), keyId, signature }, world.rules())).toEqual({
      kind: 'rejected',
      reason: REASONS.HEADER_MALFORMED,
    });
  });
});

/** Every reason for which one event of a proven batch is refused. */
const EVENTS: readonly [ReasonName, string, () => Uint8Array][] = [
  ['EVENT_TOO_LARGE', 'a byte more than the limit', () => bytesOf(LIMITS.eventBytes + 1)],
  ['EVENT_MALFORMED', 'nothing', () => bytesOf(0)],
  ['EVENT_MALFORMED', 'cut', () => (world.events(here, '1')[0] as Uint8Array).subarray(0, -1)],
  ['EVENT_MALFORMED', 'a second record after its end', () => Uint8Array.of(...two(), ...two())],
  ['EVENT_MALFORMED', 'as large as may be', () => bytesOf(LIMITS.eventBytes).fill(0xff)],
  ['EVENT_INVALID', 'attributes out of order', () => raw({ attributes: [B, A] })],
  ['EVENT_INVALID', 'an attribute twice', () => raw({ attributes: [A, A] })],
  ['EVENT_INVALID', 'a stream without a name', () => raw({ stream: '' })],
  ['EVENT_INVALID', 'a stream with a line end', () => raw({ stream: 'a\nb' })],
  ['STREAM_WRONG_SHARD', 'a stream of another shard', () => world.schema.encode(world.event(elsewhere, '1'))],
  ['STREAM_WRONG_SHARD', "the system's stream of another shard", () => world.schema.encode(world.event('lineproof/time/1', '1'))],
  ['STREAM_NOT_PERMITTED', 'a stream that its producer may not write', () => world.schema.encode(world.event(first('other', true), '1'))],
  ['STREAM_NOT_PERMITTED', "the system's stream", () => world.schema.encode(world.event('lineproof/time/0', '1'))],
  ['TYPE_NOT_PERMITTED', 'a type that its producer may not use', () => world.schema.encode(world.event(here, '1', { type: 'DELETE' }))],
  ['FIELD_MISSING', 'a required field is null', () => strict(null, 1)],
  ['FIELD_MISSING', 'a required field is empty', () => strict('', 1)],
  ['FIELD_MISSING', 'a required list is empty', () => strict('somebody', 0)],
];

const A = { key: 'a', value: '1' };
const B = { key: 'b', value: '1' };

function two(): Uint8Array {
  return world.events(here, '2')[0] as Uint8Array;
}

function raw(part: object): Uint8Array {
  return compileSchema<object>(JSON.parse(SCHEMA_TEXTS.Event)).encode({ ...world.event(here, 'raw'), ...part });
}

function strict(onBehalfOf: string | null, inputs: number): Uint8Array {
  const actor = { id: 'x', kind: 'SERVICE' as const, onBehalfOf };
  const input = { namespace: 'n', name: 'm', version: null, digest: null, size: null, mediaType: null };
  return world.schema.encode(world.event(strictStream(), 'strict', { actor, inputs: Array.from({ length: inputs }, () => input) }));
}

function strictStream(): string {
  return `${here}/strict`;
}

describe('an event of a proven batch is refused by itself', () => {
  test.each(EVENTS)('%s: %s', async (reason, _, make) => {
    const shards = reason === 'FIELD_MISSING' ? shardOf(strictStream(), SHARDS) : 0;
    const bytes = make();
    const between = [...world.events(here, '1'), bytes, ...world.events(here, '2')];
    const message = await world.batch(between, { epoch: EPOCH, shard: shards }, NARROW);
    const verdict = check(message.value, world.rules(shards));
    if (verdict.kind !== 'proven') throw new Error(`${verdict.kind} ${verdict.kind === 'rejected' ? reasonName(verdict.reason) : ''}`);
    const own = shards === 0 ? 'NONE' : 'STREAM_WRONG_SHARD';
    expect(verdict.events.map((event) => reasonName(event.reason))).toEqual([own, reason, own]);
    expect(verdict.events[1]).toMatchObject({ bytes, digest: eventDigest(EVENT_SCHEMA.digest, bytes) });
  });

  test('for every reason that there is, but the cap, which only the state shows', () => {
    const tested = new Set(EVENTS.map(([reason]) => REASONS[reason]));
    expect([...tested].toSorted((a, b) => a - b)).toEqual(
      Object.values(REASONS).filter((reason) => reason >= 32 && reason !== REASONS.STREAM_CAP),
    );
  });

  test('and is linked with the fields that the policy requires', async () => {
    const shard = shardOf(strictStream(), SHARDS);
    const message = await world.batch([strict('somebody', 1)], { epoch: EPOCH, shard }, NARROW);
    const verdict = check(message.value, world.rules(shard));
    expect(verdict.kind === 'proven' && verdict.events.map(({ reason }) => reason)).toEqual([0]);
  });
});
