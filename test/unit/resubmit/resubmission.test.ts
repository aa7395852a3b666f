import { beforeAll, describe, expect, test } from '@jest/globals';
import { sha256 } from '#crypto';
import type { BatchRules } from '../../../core/acceptance/batch-check.ts';
import { frame } from '../../../core/avro/framing.ts';
import { concat, fromBase64, toHex } from '../../../core/base/bytes.ts';
import { LIMITS } from '../../../core/base/limits.ts';
import { REASONS, type ReasonName } from '../../../core/base/reasons.ts';
import { encodeSignedBatch } from '../../../core/formats/batch.ts';
import { eventDigests } from '../../../core/formats/event.ts';
import type { EvidenceInput } from '../../../core/formats/evidence.ts';
import { encodeRun, type Rejected } from '../../../core/formats/rejected.ts';
import { shardOf } from '../../../core/formats/shard.ts';
import { PRODUCER_CAPS } from '../../../core/policy/new-policy.ts';
import type { ProducerInForce } from '../../../core/policy/policy-history.ts';
import { batchRoot } from '../../../core/tree/batch-tree.ts';
import {
  checkEvidence,
  judgeEvents,
  openRecord,
  openRejected,
  type RejectedEvents,
  referenceEvent,
  resubmitStream,
} from '../../../resubmit/resubmission.ts';
import { searchFor } from '../../../resubmit/resubmission-search.ts';
import { BATCH_SCHEMA_ID, makeWorld, type TestMessage, testId, testSigner, type World } from '../../support/producer.ts';

const SHARDS = 2;
const OPERATOR = testSigner('example.org/operator');
const RETIRED = testSigner('example.org/retired');
const COMPROMISED = testSigner('example.org/compromised');
const STRANGER = testSigner('example.org/stranger');

let world: World;
let message: TestMessage;
const here = stream(0);
const there = stream(1);

function stream(shard: number): string {
  for (let i = 0; ; i++) if (shardOf(`stream ${i}`, SHARDS) === shard) return `stream ${i}`;
}

beforeAll(async () => {
  world = await makeWorld({
    shards: SHARDS,
    policy: (policy) => ({
      ...policy,
      producers: [
        ...policy.producers,
        {
          key: OPERATOR.verifierKey,
          status: 'ACTIVE',
          believed: null,
          streams: [here, there, 'lineproof/*'],
          types: ['CREATE', 'ATTEST'],
          heartbeatMs: null,
          ...PRODUCER_CAPS,
          ...PRODUCER_CAPS,
        },
        { key: RETIRED.verifierKey, status: 'RETIRED', believed: null, streams: ['*'], types: [], heartbeatMs: null, ...PRODUCER_CAPS },
        {
          key: COMPROMISED.verifierKey,
          status: 'COMPROMISED',
          believed: [0, 0],
          streams: ['*'],
          types: [],
          heartbeatMs: null,
          ...PRODUCER_CAPS,
        },
      ],
    }),
  });
  message = await batch(world.events(here, 'a', 'b'));
});

function batch(events: readonly Uint8Array[], signer = world.producer): Promise<TestMessage> {
  return world.batch(events, { epoch: testId('epoch') }, signer);
}

/** A whole message as a record on `provenance.rejected`. */
function whole(value: Uint8Array, more: Partial<Rejected> = {}): Rejected {
  return {
    origin: world.origin,
    shard: 0,
    inputGeneration: 3,
    inputOffset: 7,
    span: 1,
    position: -1,
    outcome: 'REJECTED',
    reason: REASONS.LANE_FORK,
    digest: sha256(value),
    size: value.length,
    bytes: value,
    ...more,
  };
}

/** A single event of a batch that was accepted. */
function single(bytes: Uint8Array, more: Partial<Rejected> = {}): Rejected {
  const digest = eventDigests(world.schema.digest, [bytes])[0] as Uint8Array;
  return whole(bytes, { position: 1, reason: REASONS.STREAM_WRONG_SHARD, digest, ...more });
}

function evidenceOf({ header, keyId, signature, value }: TestMessage, more: Partial<EvidenceInput> = {}): EvidenceInput {
  const batchProof = { header, keyId, signature };
  return {
    outcome: 'REJECTED',
    span: 1,
    appendedAt: 0,
    reason: REASONS.LANE_FORK,
    message: sha256(value),
    batch: batchProof,
    receipts: [],
    ...more,
  };
}

const refusal = (why: RegExp): unknown => expect.objectContaining({ code: 'NOT_RESUBMITTABLE', message: expect.stringMatching(why) });

describe('a batch that was refused', () => {
  test.each<ReasonName>([
    'LANE_FORK',
    'KEY_UNKNOWN',
    'KEY_NOT_ACTIVE',
    'SCHEMA_NOT_IN_FORCE',
    'SHARD_WRONG',
    'SCHEMA_ID_UNKNOWN',
    'LANE_CAP',
  ])('for %s can be sent again, when the newest policy knows who signed it', (reason) => {
    const opened = openRejected(whole(message.value, { reason: REASONS[reason] }), world.policy);
    expect(opened.events.map(({ position, bytes }) => [position, toHex(bytes)])).toEqual(
      message.events.map((bytes, i) => [i, toHex(bytes)]),
    );
    expect(toHex(opened.batch?.bytes as Uint8Array)).toBe(toHex(message.header));
  });

  const sendable = ['LANE_FORK', 'KEY_UNKNOWN', 'KEY_NOT_ACTIVE', 'SCHEMA_NOT_IN_FORCE', 'SHARD_WRONG', 'SCHEMA_ID_UNKNOWN', 'LANE_CAP'];
  const ofEvents = ['STREAM_WRONG_SHARD', 'STREAM_NOT_PERMITTED', 'TYPE_NOT_PERMITTED', 'FIELD_MISSING', 'STREAM_CAP'];
  test.each(Object.keys(REASONS).filter((name) => ![...sendable, ...ofEvents].includes(name)) as ReasonName[])(
    'for %s cannot be sent again, however good its bytes are',
    (reason) => {
      expect(() => openRejected(whole(message.value, { reason: REASONS[reason] }), world.policy)).toThrow(
        refusal(/message 7 of shard 0: /),
      );
    },
  );

  test('for a reason that this version does not know cannot be sent again', () => {
    expect(() => openRejected(whole(message.value, { reason: 31 }), world.policy)).toThrow(refusal(/does not know its reason/));
  });

  test('by a key that was retired since can be sent again', async () => {
    const { value } = await batch(world.events(here, 'a'), RETIRED);
    expect(openRejected(whole(value, { reason: REASONS.KEY_NOT_ACTIVE }), world.policy).events).toHaveLength(1);
  });

  test.each<[string, () => Promise<Rejected>, RegExp]>([
    ['a key that somebody else may hold', async () => whole((await batch(world.events(here, 'a'), COMPROMISED)).value), /COMPROMISED/],
    ['a key that nobody named', async () => whole((await batch(world.events(here, 'a'), STRANGER)).value), /does not name the key/],
    [
      'a name that writes to the terminal',
      async () => whole((await world.batch(world.events(here, 'a'), { epoch: testId('epoch'), producer: 'a\u001B[2J' })).value),
      /does not name the key "a\\u001b\[2J\+[0-9a-f]{8}"/,
    ],
    [
      "another's signature",
      async () => {
        const { header, keyId, events } = message;
        return whole(frame(BATCH_SCHEMA_ID, encodeSignedBatch({ header, keyId, signature: new Uint8Array(64), events })));
      },
      /did not sign it/,
    ],
    [
      'other events than were signed',
      async () => {
        const { header, keyId, signature } = message;
        return whole(frame(BATCH_SCHEMA_ID, encodeSignedBatch({ header, keyId, signature, events: world.events(here, 'a', 'c') })));
      },
      /not those that its producer signed/,
    ],
    [
      'fewer events than were signed',
      async () => {
        const { header, keyId, signature, events } = message;
        return whole(frame(BATCH_SCHEMA_ID, encodeSignedBatch({ header, keyId, signature, events: events.slice(1) })));
      },
      /not those that its producer signed/,
    ],
    [
      'a count that lies',
      async () => whole((await world.batch(world.events(here, 'a', 'b'), { epoch: testId('epoch'), count: 3 })).value),
      /not those that its producer signed/,
    ],
    [
      'more events than any batch may have',
      async () => {
        const words = Array.from({ length: LIMITS.batchEvents + 1 }, (_, i) => `${i}`);
        return whole((await batch(world.events(here, ...words))).value, { reason: REASONS.SHARD_WRONG });
      },
      /larger than any batch may be/,
    ],
    ['no events', async () => whole((await batch([])).value), /heartbeat/],
    [
      "another origin's header",
      async () => whole((await world.batch([], { epoch: testId('epoch'), origin: 'other' })).value),
      /another origin/,
    ],
    ['bytes that are not a batch', async () => whole(Uint8Array.of(0, 0, 0, 0, 7, 1, 2)), /cannot be read as a batch/],
    ['another digest', async () => whole(message.value, { digest: new Uint8Array(32) }), /do not have the digest/],
    [
      'bytes that were cut',
      async () => whole(new Uint8Array(LIMITS.rejectedBytes), { size: LIMITS.rejectedBytes + 1 }),
      /only 1048576 of its 1048577 bytes were kept/,
    ],
  ])('with %s cannot be sent again', async (_, make, why) => {
    const record = await make();
    expect(() => openRejected(record, world.policy)).toThrow(refusal(why));
  });
});

describe('a run of messages that were refused', () => {
  /** A run as it was kept for an id that the registry did not know. */
  function run(values: readonly Uint8Array[], more: Partial<Rejected> = {}): Rejected {
    return whole(encodeRun(values), { reason: REASONS.SCHEMA_ID_UNKNOWN, span: values.length, ...more });
  }
  const garbage = Uint8Array.of(0, 0, 0, 0, 7, 1, 2);

  test('is opened message by message, each under its own offset and digest; the others say why they cannot be sent', async () => {
    const other = await batch(world.events(here, 'c'));
    const record = run([garbage, message.value, other.value, garbage]);
    const { opened, refusals } = openRecord(record, world.policy);
    expect(opened.map(({ record: { inputOffset, span, size, digest }, kept }) => [inputOffset, span, size, toHex(digest), kept])).toEqual([
      [8, 1, message.value.length, toHex(sha256(message.value)), record],
      [9, 1, other.value.length, toHex(sha256(other.value)), record],
    ]);
    expect(opened.map(({ events }) => events.length)).toEqual([2, 1]);
    expect(refusals.map(({ message: text }) => text)).toEqual([
      'cannot resubmit message 7 of shard 0: it cannot be read as a batch, so its signer is unknown',
      'cannot resubmit message 10 of shard 0: it cannot be read as a batch, so its signer is unknown',
    ]);
  });

  test('is confirmed by the entry of the run, and by no other', () => {
    const record = run([garbage, message.value]);
    const { opened } = openRecord(record, world.policy);
    const entry: EvidenceInput = evidenceOf(message, { span: 2, reason: record.reason, message: record.digest, batch: null });
    const check = (change: Partial<EvidenceInput>): unknown =>
      checkEvidence(opened[0] as RejectedEvents, { ...entry, ...change }, world.policy).header.producer;
    expect(check({})).toBe(world.producer.name);
    for (const change of [{ span: 1 }, { span: 3 }, { message: sha256(message.value) }, { reason: REASONS.FRAMING_INVALID }])
      expect(() => check(change)).toThrow(refusal(/the log contradicts it/));
  });

  test.each<[string, () => Rejected, RegExp]>([
    ['none of whose messages can be sent', () => run([garbage, garbage]), /message 7 of shard 0: it cannot be read as a batch/],
    [
      'of fewer messages than it says',
      () => run([garbage, message.value], { span: 3 }),
      /offsets 7 to 9 of shard 0: its bytes are not those of as many/,
    ],
    ['of more messages than it says', () => run([garbage, garbage, message.value], { span: 2 }), /not those of as many/],
    ['with another digest', () => run([garbage, message.value], { digest: sha256(message.value) }), /do not have the digest/],
    ['for a reason that forbids it', () => run([garbage, message.value], { reason: REASONS.BATCH_MALFORMED }), /offsets 7 to 8 of shard 0/],
  ])('%s cannot be sent again', (_, make, why) => {
    expect(() => openRecord(make(), world.policy)).toThrow(refusal(why));
  });

  test('is none where nobody can read the records: they are never sent again, and it says so', () => {
    const record = whole(message.value, { reason: REASONS.RECORDS_UNREADABLE, span: 5 });
    expect(() => openRecord(record, world.policy)).toThrow(refusal(/offsets 7 to 11 of shard 0: nobody can read its records/));
  });
});

describe('the evidence about a refused message', () => {
  test('is that message, that reason, that place', () => {
    const opened = openRejected(whole(message.value), world.policy);
    expect(toHex(checkEvidence(opened, evidenceOf(message), world.policy).headerBytes)).toBe(toHex(message.header));
  });

  test.each<[string, Partial<EvidenceInput> | undefined, RegExp]>([
    ['nothing', undefined, /no block confirms the refusal/],
    ['another message', { message: new Uint8Array(32) }, /the log contradicts it/],
    ['another reason', { reason: REASONS.KEY_UNKNOWN }, /the log contradicts it/],
    ['that it was accepted', { outcome: 'ACCEPTED', reason: 0, message: null }, /the log contradicts it/],
    ['that nothing was there', { outcome: 'EMPTY', reason: 0, message: null, batch: null }, /the log contradicts it/],
  ])('cannot be %s', (_, change, why) => {
    const opened = openRejected(whole(message.value), world.policy);
    const input = change === undefined ? undefined : evidenceOf(message, change);
    expect(() => checkEvidence(opened, input, world.policy)).toThrow(refusal(why));
  });

  const accepted = (change: Partial<EvidenceInput['receipts'][number]> = {}): EvidenceInput =>
    evidenceOf(message, {
      outcome: 'ACCEPTED',
      reason: 0,
      message: null,
      receipts: [
        {
          position: 1,
          digest: eventDigests(world.schema.digest, message.events)[1] as Uint8Array,
          id: null,
          outcome: 'REJECTED',
          reason: REASONS.STREAM_WRONG_SHARD,
          original: null,
          ...change,
        },
      ],
    });

  test('of a single event is its receipt', () => {
    const opened = openRejected(single(message.events[1] as Uint8Array), world.policy);
    expect(checkEvidence(opened, accepted(), world.policy).header.producer).toBe(world.producer.name);
  });

  test.each<[string, () => EvidenceInput, RegExp]>([
    ['at another position', () => accepted({ position: 0 }), /the log contradicts it/],
    ['for another reason', () => accepted({ reason: REASONS.FIELD_MISSING }), /the log contradicts it/],
    ['of another event', () => accepted({ digest: new Uint8Array(32) }), /the log contradicts it/],
    ['of a duplicate', () => accepted({ outcome: 'DUPLICATE', original: 1 }), /the log contradicts it/],
    ['under a batch that was refused', () => ({ ...accepted(), outcome: 'REJECTED' }), /the log contradicts it/],
  ])('of a single event cannot be a receipt %s', (_, evidence, why) => {
    const opened = openRejected(single(message.events[1] as Uint8Array), world.policy);
    expect(() => checkEvidence(opened, evidence(), world.policy)).toThrow(refusal(why));
  });

  test('does not count for other bytes', () => {
    const digest = eventDigests(world.schema.digest, message.events)[1] as Uint8Array;
    const opened = openRejected(single(message.events[0] as Uint8Array, { digest }), world.policy);
    expect(() => checkEvidence(opened, accepted(), world.policy)).toThrow(refusal(/do not have the digest/));
  });
});

describe('refused events', () => {
  const rules = (): Omit<BatchRules, 'shard'> => world.rules();
  const operator = (): ProducerInForce => world.policy.producer(OPERATOR.name, OPERATOR.keyId) as ProducerInForce;

  test('go to the shards of their streams, and what the operator may not send, or nobody, is withheld', async () => {
    const events = [
      ...world.events(here, 'a'),
      ...world.events(there, 'b'),
      ...world.events('forbidden', 'c'),
      world.schema.encode(world.event(here, 'd', { type: 'DELETE' })),
      Uint8Array.of(1, 2, 3),
    ];
    const sent = await batch(events);
    const opened = openRejected(whole(sent.value), world.policy);
    const origin = checkEvidence(opened, evidenceOf(sent), world.policy);
    const judged = judgeEvents(opened.events, origin, { sender: operator(), schema: world.schema, rules: rules() });
    expect(judged.resent.map(({ position, shard, bytes }) => [position, shard, toHex(bytes)])).toEqual([
      [0, 0, toHex(events[0] as Uint8Array)],
      [1, 1, toHex(events[1] as Uint8Array)],
    ]);
    expect(judged.withheld).toEqual([
      { position: 2, reason: 'STREAM_NOT_PERMITTED' },
      { position: 3, reason: 'TYPE_NOT_PERMITTED' },
      { position: 4, reason: 'EVENT_MALFORMED' },
    ]);
    expect(toHex(batchRoot(judged.digests))).toBe(toHex(origin.header.root));
  });

  test('are named by a reference that says where they were refused and what was signed', () => {
    const opened = openRejected(whole(message.value), world.policy);
    const origin = checkEvidence(opened, evidenceOf(message), world.policy);
    const digests = eventDigests(world.schema.digest, message.events);
    const options = { id: testId('reference'), occurredAt: 5, sender: OPERATOR.name, shard: 1, digests };
    const event = referenceEvent(opened.record, origin, options);
    // An event that the log takes, on a stream of the shard.
    expect(world.schema.readHead(world.schema.encode(event))).toMatchObject({ stream: 'lineproof/resubmit/1', type: 'ATTEST' });
    expect(shardOf(resubmitStream(1), SHARDS)).toBe(1);
    expect(event.inputs[0]).toMatchObject({ namespace: `${world.origin}/0`, name: 'provenance.events/3/7', size: message.value.length });
    expect(toHex(event.inputs[0]?.digest?.value as Uint8Array)).toBe(toHex(sha256(message.value)));
    const facts = new Map(event.attributes.map(({ key, value }) => [key.replace('lineproof.resubmitted.', ''), value]));
    expect(toHex(fromBase64(facts.get('events') as string))).toBe(toHex(concat(...digests)));
    expect([facts.get('header'), facts.get('producer'), facts.get('reason')]).toEqual([
      toHex(sha256(message.header)),
      world.producer.name,
      'LANE_FORK',
    ]);
  });

  test('as many as a batch can have still leave room for their reference', () => {
    const digests = Array.from({ length: LIMITS.batchEvents }, () => new Uint8Array(32).fill(255));
    const opened = openRejected(whole(message.value), world.policy);
    const origin = checkEvidence(opened, evidenceOf(message), world.policy);
    const event = referenceEvent(opened.record, origin, { id: testId('r'), occurredAt: 5, sender: OPERATOR.name, shard: 0, digests });
    expect(world.schema.encode(event).length).toBeLessThan(LIMITS.eventBytes);
  });
});

describe('a search through the log', () => {
  const digestsOf = (events: readonly Uint8Array[]): Uint8Array[] => eventDigests(world.schema.digest, events);

  test('looks at every shard that can say something', async () => {
    const sent = await batch([...world.events(here, 'a'), ...world.events(there, 'b')]);
    const shardsOf = (record: Rejected): readonly number[] => {
      const opened = openRejected(record, world.policy);
      return searchFor(opened, digestsOf(opened.events.map(({ bytes }) => bytes)), world.schema, SHARDS).shards;
    };
    expect(shardsOf(whole(sent.value))).toEqual([0, 1]);
    expect(shardsOf(whole(message.value, { shard: 1 }))).toEqual([0, 1]);
    expect(searchFor(openRejected(whole(message.value), world.policy), digestsOf(message.events), world.schema, SHARDS).shards).toEqual([
      0,
    ]);
  });

  test('finds the evidence of this message, the header where it was accepted, and what is linked or taken', () => {
    const opened = openRejected(whole(message.value), world.policy);
    const digests = digestsOf(message.events);
    const search = searchFor(opened, digests, world.schema, SHARDS);
    const visitor = search.visitor(0);
    const evidence = evidenceOf(message);
    visitor.input(2, 7, evidence);
    visitor.input(3, 6, evidence);
    search.visitor(1).input(3, 7, evidence);
    expect(search.evidence).toBeUndefined();
    visitor.input(3, 7, evidence);
    expect(search.evidence).toBe(evidence);
    visitor.input(3, 8, evidenceOf(message, { outcome: 'REPEATED', reason: 0, message: null }));
    expect(search.accepted).toBeUndefined();
    visitor.input(3, 9, evidenceOf(message, { outcome: 'ACCEPTED', reason: 0, message: null }));
    expect(search.accepted).toEqual({ shard: 0, offset: 9 });
    const heads = message.events.map((bytes) => world.schema.readHead(bytes));
    visitor.link(digests[0] as Uint8Array, heads[0]);
    visitor.link(new Uint8Array(32), heads[1]);
    expect(digests.map(search.isLinked)).toEqual([true, false]);
    expect(heads.map(search.isTaken)).toEqual([false, true]);
  });
});
