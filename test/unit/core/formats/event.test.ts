import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { describe, expect, test } from '@jest/globals';
import { compileSchema } from '../../../../core/avro/schema.ts';
import { SCHEMA_TEXTS } from '../../../../core/avro/schema-texts.ts';
import { hasCode } from '../../../../core/base/errors.ts';
import { canonicalJson } from '../../../../core/base/jcs.ts';
import { archivedEventSchema, decodeArchivedEvent, encodeArchivedEvent } from '../../../../core/formats/archived-event.ts';
import { decodeBatchHeader, encodeBatchHeader } from '../../../../core/formats/batch.ts';
import type { Event } from '../../../../core/formats/event.ts';
import { EVENT_SCHEMA } from '../../../../core/formats/event-schema.ts';
import { decodeEvidence, encodeEvidence } from '../../../../core/formats/evidence.ts';
import { decodeLeaf, encodeLink, encodeSeal } from '../../../../core/formats/leaf.ts';
import { batchRoot, checkBatchPath } from '../../../../core/tree/batch-tree.ts';
import { proveBatchPath } from '../../../../core/tree/build/batch-path.ts';
import { EMPTY_ROOT } from '../../../../core/tree/hash.ts';

type AvscType = { toBuffer(value: unknown): Buffer; fromBuffer(bytes: Buffer): unknown };
const avsc = createRequire(import.meta.url)('avsc') as { Type: { forSchema(schema: unknown): AvscType } };
const fill = (length: number, byte: number) => new Uint8Array(length).fill(byte);
const EVENT: Event = {
  id: fill(16, 7),
  stream: 'datasets/überblick',
  type: 'TRANSFORM',
  importance: 'ESSENTIAL',
  occurredAt: 1_700_000_000_000_000,
  actor: { id: 'job-7', kind: 'JOB', onBehalfOf: null },
  activity: { name: 'clean', runId: 'r1', version: null, environment: 'production' },
  inputs: [
    { namespace: 's3', name: 'raw', version: null, digest: { algorithm: 'sha256', value: fill(32, 1) }, size: 2 ** 40, mediaType: null },
  ],
  outputs: [],
  parents: [{ stream: 'other', id: fill(16, 2), digest: null, origin: null }],
  trace: { traceId: fill(16, 3), spanId: fill(8, 4) },
  attributes: [
    { key: 'a', value: '1' },
    { key: 'ä', value: '🙂' },
  ],
  facets: [],
};
const codeOf = (act: () => unknown) => {
  try {
    act();
    return 'none';
  } catch (error) {
    return (error as { code?: string }).code;
  }
};

describe('events', () => {
  test('are written as avsc writes them, and read back', () => {
    const bytes = EVENT_SCHEMA.encode(EVENT);
    const oracle = avsc.Type.forSchema(JSON.parse(SCHEMA_TEXTS.Event));
    const plain = (value: unknown): unknown =>
      value instanceof Uint8Array
        ? Buffer.from(value)
        : Array.isArray(value)
          ? value.map(plain)
          : typeof value === 'object' && value !== null
            ? Object.fromEntries(Object.entries(value).map(([k, v]) => [k, plain(v)]))
            : value;
    expect(Buffer.from(bytes).equals(oracle.toBuffer(plain(EVENT)))).toBe(true);
    expect(EVENT_SCHEMA.encode(EVENT_SCHEMA.decode(bytes))).toEqual(bytes);
    expect(EVENT_SCHEMA.readHead(bytes)).toEqual({
      id: EVENT.id,
      stream: EVENT.stream,
      streamBytes: 19,
      type: 'TRANSFORM',
      importance: 'ESSENTIAL',
      occurredAt: EVENT.occurredAt,
    });
  });

  test('are refused when cut, extended, or against a rule', () => {
    const bytes = EVENT_SCHEMA.encode(EVENT);
    for (let end = 0; end < bytes.length; end++) expect(codeOf(() => EVENT_SCHEMA.readHead(bytes.subarray(0, end)))).toBe('AVRO_INVALID');
    expect(codeOf(() => EVENT_SCHEMA.readHead(Uint8Array.of(...bytes, 0)))).toBe('AVRO_INVALID');
    expect(codeOf(() => EVENT_SCHEMA.encode({ ...EVENT, stream: 'a\u0085' }))).toBe('EVENT_INVALID');
    const swapped = compileSchema<Event>(JSON.parse(SCHEMA_TEXTS.Event)).encode({ ...EVENT, attributes: EVENT.attributes.toReversed() });
    expect(codeOf(() => EVENT_SCHEMA.readHead(swapped))).toBe('EVENT_INVALID');
  });
});

describe('attributes of an event', () => {
  const plain = compileSchema<Event>(JSON.parse(SCHEMA_TEXTS.Event));
  const having = (...keys: string[]): Event => ({ ...EVENT, attributes: keys.map((key) => ({ key, value: 'v' })) });

  // By code points, and so by UTF-8 bytes: UTF-16 would put the surrogates of U+1F642 before U+FFFD.
  test.each([[], ['a'], ['', 'a'], ['a', 'aa', 'b'], ['z', 'ä', '\ufffd', '🙂'], ['\ud7ff', '\ue000', '🙂', '🙃']])(
    'may have the keys %j %j %j %j',
    (...keys) => {
      const bytes = EVENT_SCHEMA.encode(having(...keys));
      expect(EVENT_SCHEMA.readHead(bytes).stream).toBe(EVENT.stream);
      expect(EVENT_SCHEMA.decode(bytes)).toEqual(having(...keys));
    },
  );

  test.each([
    ['a', 'a'],
    ['b', 'a'],
    ['aa', 'a'],
    ['a', ''],
    ['🙂', '\ufffd'],
    ['🙂', '\ue000'],
    ['🙃', '🙂'],
  ])('may not have the keys %j, %j in this order', (...keys) => {
    const bytes = plain.encode(having(...keys));
    for (const act of [() => EVENT_SCHEMA.encode(having(...keys)), () => EVENT_SCHEMA.readHead(bytes), () => EVENT_SCHEMA.decode(bytes)])
      expect(codeOf(act)).toBe('EVENT_INVALID');
  });
});

describe('encoded values', () => {
  test('keep what they hold when others are encoded, short ones and long ones', () => {
    const strings = compileSchema<string>('string');
    const texts = Array.from({ length: 300 }, (_, i) => `${i}`.repeat(1 + ((i * 37) % 900)));
    const encoded = texts.map((text) => strings.encode(text));
    expect(encoded.map((bytes) => strings.decode(bytes))).toEqual(texts);
  });

  test.each(['', 'a', 'ab🙂', 'ü', '🙂'.repeat(40), 'x'.repeat(31), 'x'.repeat(33), `${'x'.repeat(63)}ü`, 'ü'.repeat(70_000)])(
    'hold a text as it was (case %#)',
    (text) => {
      const strings = compileSchema<string>('string');
      expect(strings.decode(strings.encode(text))).toBe(text);
    },
  );

  test('have no place for half of a surrogate pair', () => {
    for (const text of ['\ud83d', 'a\ude42', '\ud83dx', `${'x'.repeat(100)}\ud83d`])
      expect(codeOf(() => compileSchema<string>('string').encode(text))).toBe('AVRO_INVALID');
  });
});

describe('the codec', () => {
  test('refuses a tiny array that claims to be huge', () => {
    const longs = compileSchema<number[]>({ type: 'array', items: 'long' });
    expect(() => longs.decode(Uint8Array.of(0xfe, 0xff, 0xff, 0xff, 0x0f))).toThrow(/an array has an impossible size/);
    // A negative count; a second block; no end.
    for (const bytes of [
      [1, 2, 0],
      [2, 2, 2],
      [2, 2, 2, 2, 0],
      [2, 2],
    ])
      expect(codeOf(() => longs.decode(Uint8Array.from(bytes)))).toBe('AVRO_INVALID');
  });

  test.each([0, -1, 1, -64, 64, 2 ** 31, 2 ** 53 - 1, -(2 ** 53 - 1)])('writes %d so that it reads it back', (value) => {
    const long = compileSchema<number>('long');
    expect(long.decode(long.encode(value))).toBe(value);
    // avsc takes no numbers at the very edge of what a double holds exactly.
    if (Math.abs(value) < 2 ** 52) expect(Buffer.from(long.encode(value)).equals(avsc.Type.forSchema('long').toBuffer(value))).toBe(true);
  });

  test('refuses over-long varints, numbers beyond 2^53, and what released schemas must not use', () => {
    const long = compileSchema<number>('long');
    expect(codeOf(() => long.decode(Uint8Array.of(0x80, 0)))).toBe('AVRO_INVALID');
    expect(codeOf(() => long.decode(Uint8Array.of(255, 255, 255, 255, 255, 255, 255, 31)))).toBe('AVRO_INVALID');
    for (const schema of [
      'double',
      { type: 'map', values: 'long' },
      { type: 'record', name: 'A', fields: [{ name: 'a', type: ['null', 'A'] }] },
    ])
      expect(codeOf(() => compileSchema(schema))).toBe('SCHEMA_INVALID');
  });
});

test('the embedded schema texts are those of schemas/, in canonical form', () => {
  for (const [name, text] of Object.entries(SCHEMA_TEXTS)) {
    const file = name.replace(/(?<=[a-z])[A-Z]/g, (letter) => `-${letter}`).toLowerCase();
    expect(canonicalJson(JSON.parse(readFileSync(`schemas/${file}.avsc`, 'utf8')))).toBe(text);
  }
  expect(archivedEventSchema(SCHEMA_TEXTS.Event)).toBe(SCHEMA_TEXTS.ArchivedEvent);
});

test('batch paths lead from every event to the root and from no other', () => {
  const digests = Array.from({ length: 13 }, (_, i) => fill(32, i));
  for (let count = 1; count <= 13; count++) {
    const some = digests.slice(0, count);
    for (let i = 0; i < count; i++) {
      const path = proveBatchPath(some, i);
      expect(checkBatchPath(path, count, i, some[i] as Uint8Array, batchRoot(some))).toBe(true);
      expect(checkBatchPath(path, count, i, fill(32, 99), batchRoot(some))).toBe(false);
    }
  }
});

test('headers, leaves, evidence and archived rows come back as they were, and rules are kept', () => {
  const header = {
    origin: 'o',
    shard: 0,
    producer: 'p',
    epoch: fill(16, 1),
    number: 0,
    firstSeq: 0,
    count: 0,
    root: EMPTY_ROOT,
    previous: fill(32, 0),
    schema: fill(32, 1),
    createdAt: 1,
    sampledOut: 0,
    lanes: [{ epoch: fill(16, 1), shard: 0, number: 1, seq: 0, final: true }],
  };
  expect(decodeBatchHeader(encodeBatchHeader(header))).toEqual(header);
  expect(codeOf(() => encodeBatchHeader({ ...header, count: 1 }))).toBe('FORMAT_INVALID');
  const link = {
    kind: 'link' as const,
    stream: 's',
    index: 0,
    previous: fill(32, 0),
    event: fill(32, 1),
    schema: fill(32, 2),
    acceptedAt: 1,
    inputOffset: 0,
    position: 0,
    marks: 0,
  };
  expect(encodeLink(link)[0]).toBe(0);
  expect(decodeLeaf(encodeLink(link))).toEqual(link);
  const seal = {
    kind: 'seal' as const,
    origin: 'o/0',
    firstIndex: 0,
    links: 1,
    root: fill(32, 1),
    previous: fill(32, 0),
    inputGeneration: 0,
    inputFrom: 0,
    inputTo: 1,
    evidence: fill(32, 2),
    policy: fill(32, 3),
    acceptedAt: 1,
    chainer: 'c',
    final: false,
  };
  expect(encodeSeal(seal)[0]).toBe(2);
  expect(decodeLeaf(encodeSeal(seal))).toEqual(seal);
  const inputs = [{ outcome: 'REJECTED' as const, span: 1, appendedAt: 1, reason: 4, message: fill(32, 1), batch: null, receipts: [] }];
  expect(decodeEvidence(encodeEvidence(inputs))).toEqual(inputs);
  expect(hasCode(new Error('x'), 'INTERNAL')).toBe(false);
  expect(codeOf(() => encodeEvidence([{ ...inputs[0], outcome: 'EMPTY' } as never]))).toBe('FORMAT_INVALID');
  const row = {
    logIndex: 1,
    streamIndex: 0,
    acceptedAt: 1,
    producer: 'p',
    epoch: fill(16, 1),
    seq: 0,
    inputOffset: 0,
    position: 0,
    marks: 0,
    leafHash: fill(32, 1),
  };
  const event = EVENT_SCHEMA.encode(EVENT);
  expect(decodeArchivedEvent(encodeArchivedEvent(row, event))).toEqual({ columns: row, event });
  expect(decodeArchivedEvent(encodeArchivedEvent(row, null)).event).toBeNull();
});
