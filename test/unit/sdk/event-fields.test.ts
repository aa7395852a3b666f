import { describe, expect, test } from '@jest/globals';
import { toHex } from '../../../core/base/bytes.ts';
import { EVENT_SCHEMA } from '../../../core/formats/event-schema.ts';
import { DIGEST_BYTES } from '../../../sdk/digest-input.ts';
import { buildEvent } from '../../../sdk/event-builder.ts';
import { type Collector, createCollector, created, type EventInput } from '../../../sdk/lineproof.ts';
import { signer } from '../../support/collector.ts';

const sample = { stream: 's', type: 'CREATE', actor: 'importer' } as const;
const UUID = '01890a5d-ac96-774b-bcce-b302099a8057';
const HEX = 'ab'.repeat(32);
const at = new Date(0);

/** The refusal of an event, whatever its types. */
function refusal(input: unknown): { readonly code: string; readonly message: string; readonly details: { readonly field?: string } } {
  try {
    buildEvent(input as EventInput);
  } catch (error) {
    return error as never;
  }
  return { code: 'taken', message: '', details: {} };
}

type Row = readonly [what: string, input: unknown, field: string, fits: RegExp];
const data = (more: object): object => ({ ...sample, outputs: ['first', { name: 'x', ...more }] });
const facet = (json: unknown): object => ({ ...sample, facets: [{ name: 'f', schemaUrl: 'urn:f', json }] });
const parent = (more: object): object => ({ ...sample, parents: [{ stream: 's', id: UUID, ...more }] });

function deep(levels: number): unknown {
  return levels === 0 ? 1 : [deep(levels - 1)];
}

function circle(): unknown {
  const self: { self?: unknown } = {};
  self.self = self;
  return self;
}

/** Small in memory, 2^40 values as text. */
function shared(): unknown {
  let value: unknown = 1;
  for (let i = 0; i < 40; i++) value = [value, value];
  return value;
}

const REFUSED: readonly Row[] = [
  // Whole events.
  ['nothing', undefined, '', /it is missing/],
  ['null', null, '', /it is null; give an object/],
  ['a text', 'event', '', /it is a text/],
  ['a list', [sample], '', /it is a list/],
  ['a misspelled field', { ...sample, ocurredAt: at }, 'ocurredAt', /not a field of an event, which has stream, type, actor, occurredAt/],
  ['a field __proto__', JSON.parse('{"stream":"s","type":"CREATE","actor":"a","__proto__":{"x":1}}'), '__proto__', /not a field/],
  // Fields that every event must have.
  ['no stream', { ...sample, stream: undefined }, 'stream', /missing/],
  ['a stream null', { ...sample, stream: null }, 'stream', /null/],
  ['an empty stream', { ...sample, stream: '' }, 'stream', /empty/],
  ['a stream that is a number', { ...sample, stream: 7 }, 'stream', /number 7; give a text: "7"/],
  ['a control character in the stream', { ...sample, stream: 'a\nb' }, 'stream', /control character/],
  ['a stream that is too long', { ...sample, stream: 'x'.repeat(257) }, 'stream', /256/],
  ['half of a surrogate pair in the stream', { ...sample, stream: 'a\ud800' }, 'stream', /surrogate/],
  ['no type', { ...sample, type: undefined }, 'type', /missing; give one of CREATE/],
  ['a type that there is not', { ...sample, type: 'create' }, 'type', /is "create"; give one of CREATE/],
  ['no actor', { stream: 's', type: 'CREATE' }, 'actor', /missing/],
  ['an empty actor', { ...sample, actor: '' }, 'actor', /empty/],
  ['an actor without id', { ...sample, actor: { kind: 'JOB' } }, 'actor.id', /missing/],
  ['a kind of actor that there is not', { ...sample, actor: { id: 'a', kind: 'ROBOT' } }, 'actor.kind', /SERVICE, PERSON/],
  ['a misspelled field of the actor', { ...sample, actor: { id: 'a', onBehalf: 'b' } }, 'actor.onBehalf', /onBehalfOf/],
  ['a null field of the actor', { ...sample, actor: { id: 'a', onBehalfOf: null } }, 'actor.onBehalfOf', /null; leave it out/],
  ['an importance that there is not', { ...sample, importance: 'LOW' }, 'importance', /ESSENTIAL, AUXILIARY/],
  ['an importance null', { ...sample, importance: null }, 'importance', /null/],
  ['an activity without name', { ...sample, activity: { runId: '1' } }, 'activity.name', /missing/],
  ['an activity null', { ...sample, activity: null }, 'activity', /null/],
  ['an empty version', { ...sample, activity: { name: 'n', version: '' } }, 'activity.version', /empty; leave it out/],
  // Times.
  ['a date that is none', { ...sample, occurredAt: new Date('never') }, 'occurredAt', /invalid Date/],
  ['a time undefined', { ...sample, occurredAt: undefined }, 'occurredAt', /missing/],
  ['a time null', { ...sample, occurredAt: null }, 'occurredAt', /null/],
  ['a time as a number', { ...sample, occurredAt: 1767225600000 }, 'occurredAt', /number 1767225600000; give a Date, or a text/],
  ['30 February', { ...sample, occurredAt: '2026-02-30T00:00:00Z' }, 'occurredAt', /no such date/],
  ['29 February of another year', { ...sample, occurredAt: '2026-02-29T00:00:00Z' }, 'occurredAt', /no such date/],
  ['month 13', { ...sample, occurredAt: '2026-13-01T00:00:00Z' }, 'occurredAt', /no such date/],
  ['24 o’clock', { ...sample, occurredAt: '2026-01-31T24:00:00Z' }, 'occurredAt', /no such date/],
  ['a leap second', { ...sample, occurredAt: '2016-12-31T23:59:60Z' }, 'occurredAt', /leap second/],
  ['a time without zone', { ...sample, occurredAt: '2026-01-31T10:00:00' }, 'occurredAt', /zone such as 2026/],
  ['a date alone', { ...sample, occurredAt: '2026-01-31' }, 'occurredAt', /date, time and zone/],
  ['a time in words', { ...sample, occurredAt: 'Sat, 31 Jan 2026 10:00:00 GMT' }, 'occurredAt', /zone such as/],
  ['a time with a line break', { ...sample, occurredAt: '2026-01-31T10:00:00Z\n' }, 'occurredAt', /zone such as/],
  ['a zone of 24 hours', { ...sample, occurredAt: '2026-01-31T10:00:00+24:00' }, 'occurredAt', /no such zone/],
  ['a zone of 60 minutes', { ...sample, occurredAt: '2026-01-31T10:00:00+01:60' }, 'occurredAt', /no such zone/],
  ['nanoseconds', { ...sample, occurredAt: '2026-01-31T10:00:00.123456789Z' }, 'occurredAt', /at most 6 digits/],
  ['a year that an event cannot hold', { ...sample, occurredAt: '0001-01-01T00:00:00Z' }, 'occurredAt', /1684 to 2255/],
  ['a Date that an event cannot hold', { ...sample, occurredAt: new Date(8.64e15) }, 'occurredAt', /1684 to 2255/],
  // Identities.
  ['an id that is none', { ...sample, id: 'x', occurredAt: at }, 'id', /UUID in lower case/],
  ['an id in upper case', { ...sample, id: UUID.toUpperCase(), occurredAt: at }, 'id', /lower case/],
  ['the id of no event', { ...sample, id: '00000000-0000-0000-0000-000000000000', occurredAt: at }, 'id', /no event's id/],
  ['an id undefined', { ...sample, id: undefined, occurredAt: at }, 'id', /missing/],
  ['an id without a time', { ...sample, id: UUID }, 'occurredAt', /a repeated call/],
  ['a numeric idempotency key', { ...sample, idempotencyKey: 7, occurredAt: at }, 'idempotencyKey', /number 7; give a text: "7"/],
  ['an idempotency key undefined', { ...sample, idempotencyKey: undefined, occurredAt: at }, 'idempotencyKey', /missing/],
  ['an idempotency key null', { ...sample, idempotencyKey: null, occurredAt: at }, 'idempotencyKey', /null/],
  ['an empty idempotency key', { ...sample, idempotencyKey: '', occurredAt: at }, 'idempotencyKey', /empty/],
  ['half a pair in an idempotency key', { ...sample, idempotencyKey: 'k\udc00', occurredAt: at }, 'idempotencyKey', /surrogate/],
  ['an endless idempotency key', { ...sample, idempotencyKey: 'k'.repeat(4097), occurredAt: at }, 'idempotencyKey', /4096/],
  ['an idempotency key without a time', { ...sample, idempotencyKey: 'k' }, 'occurredAt', /a repeated call/],
  ['an id beside a key', { ...sample, id: UUID, idempotencyKey: 'k', occurredAt: at }, 'idempotencyKey', /one of them/],
  // Data.
  ['inputs that are a text', { ...sample, inputs: 'a.csv' }, 'inputs', /give a list/],
  ['inputs null', { ...sample, inputs: null }, 'inputs', /give a list/],
  ['inputs that are a set', { ...sample, inputs: new Set(['a']) }, 'inputs', /give a list/],
  ['a hole in a list', { ...sample, inputs: Object.assign(new Array(2), { 1: 'x' }) }, 'inputs[0]', /missing/],
  ['an empty name', { ...sample, inputs: [''] }, 'inputs[0]', /empty/],
  ['a name that is a number', data({ name: 7 }), 'outputs[1].name', /number 7/],
  ['a misspelled field of data', data({ mediatype: 'a/b' }), 'outputs[1].mediatype', /mediaType/],
  ['a namespace null', data({ namespace: null }), 'outputs[1].namespace', /null/],
  ['a version that is a number', data({ version: 2 }), 'outputs[1].version', /number 2; give a text: "2"/],
  ['a negative size', data({ size: -1 }), 'outputs[1].size', /-1; give a whole number/],
  ['a size −0', data({ size: -0 }), 'outputs[1].size', /number -0/],
  ['a fractional size', data({ size: 1.5 }), 'outputs[1].size', /1\.5; give a whole number/],
  ['a size beyond 2^53', data({ size: 2 ** 53 }), 'outputs[1].size', /2\^53/],
  ['a size NaN', data({ size: Number.NaN }), 'outputs[1].size', /NaN/],
  ['a size as text', data({ size: '12' }), 'outputs[1].size', /text; give a whole number/],
  ['a size as BigInt', data({ size: 12n }), 'outputs[1].size', /BigInt/],
  ['a digest that is not hexadecimal', data({ digest: 'zz' }), 'outputs[1].digest', /hexadecimal/],
  ['a digest in upper case', data({ digest: HEX.toUpperCase() }), 'outputs[1].digest', /lower case/],
  ['a plain digest of 16 bytes', data({ digest: HEX.slice(32) }), 'outputs[1].digest', /16 bytes, but plain hex must be a SHA-256 of 32/],
  ['a SHA-256 of 16 bytes', data({ digest: { algorithm: 'sha256', value: HEX.slice(32) } }), 'outputs[1].digest.value', /16 bytes.*32/],
  [
    'a keyed SHA-256 of 16 bytes',
    data({ digest: { algorithm: 'hmac-sha256', value: new Uint8Array(16) } }),
    'outputs[1].digest.value',
    /32/,
  ],
  ['another spelling of SHA-256', data({ digest: { algorithm: 'SHA-256', value: HEX } }), 'outputs[1].digest.algorithm', /write sha256/],
  [
    'another spelling of a keyed one',
    data({ digest: { algorithm: 'HMAC_SHA256', value: HEX } }),
    'outputs[1].digest.algorithm',
    /write hmac-sha256/,
  ],
  ['an algorithm with spaces', data({ digest: { algorithm: 'my own', value: HEX } }), 'outputs[1].digest.algorithm', /such as sha256/],
  ['no algorithm', data({ digest: { value: HEX } }), 'outputs[1].digest.algorithm', /missing/],
  ['an empty digest', data({ digest: { algorithm: 'other', value: '' } }), 'outputs[1].digest.value', /empty/],
  ['a digest as a list of numbers', data({ digest: { algorithm: 'other', value: [1, 2] } }), 'outputs[1].digest.value', /Uint8Array/],
  // Parents and traces.
  ['a parent that is an id alone', { ...sample, parents: [UUID] }, 'parents[0]', /give an object with stream, id/],
  ['a parent without stream', { ...sample, parents: [{ id: UUID }] }, 'parents[0].stream', /missing/],
  ['a parent with an id that is none', parent({ id: 'x' }), 'parents[0].id', /UUID/],
  ['a parent with a digest of 16 bytes', parent({ digest: HEX.slice(32) }), 'parents[0].digest', /16 bytes; give 32/],
  ['a parent with an empty origin', parent({ origin: '' }), 'parents[0].origin', /empty/],
  ['a trace of a wrong length', { ...sample, trace: { traceId: 'ab', spanId: 'cd' } }, 'trace.traceId', /1 bytes; give 16/],
  ['a trace of zeros', { ...sample, trace: { traceId: '0'.repeat(32), spanId: 'ab'.repeat(8) } }, 'trace.traceId', /zeros/],
  ['a trace without span', { ...sample, trace: { traceId: 'ab'.repeat(16) } }, 'trace.spanId', /missing/],
  ['a traceparent', { ...sample, trace: '00-ab-cd-01' }, 'trace', /object with traceId, spanId/],
  // Attributes.
  ['nested attributes', { ...sample, attributes: { a: { b: 1 } } }, 'attributes.a', /is an object; give a text/],
  ['an attribute that is a number', { ...sample, attributes: { rows: 12 } }, 'attributes.rows', /number 12; give a text: "12"/],
  ['an attribute that is a boolean', { ...sample, attributes: { ok: true } }, 'attributes.ok', /is true; give a text: "true"/],
  ['an attribute null', { ...sample, attributes: { a: null } }, 'attributes.a', /null/],
  ['an attribute undefined', { ...sample, attributes: { a: undefined } }, 'attributes.a', /missing/],
  ['an attribute without name', { ...sample, attributes: { '': 'x' } }, 'attributes[""]', /empty name/],
  ['an attribute __proto__', { ...sample, attributes: JSON.parse('{"__proto__":"x"}') }, 'attributes.__proto__', /another name/],
  ['half a pair in an attribute', { ...sample, attributes: { a: '\ud800x' } }, 'attributes.a', /surrogate/],
  ['half a pair in an attribute’s name', { ...sample, attributes: { 'a\udc00': 'x' } }, 'attributes["a\\udc00"]', /surrogate/],
  ['attributes in a Map', { ...sample, attributes: new Map([['a', 'x']]) }, 'attributes', /plain object/],
  ['attributes in a list', { ...sample, attributes: [['a', 'x']] }, 'attributes', /plain object/],
  ['attributes null', { ...sample, attributes: null }, 'attributes', /null/],
  // Facets.
  ['a facet without json', { ...sample, facets: [{ name: 'f', schemaUrl: 'urn:f' }] }, 'facets[0].json', /missing/],
  ['a facet without schema', { ...sample, facets: [{ name: 'f', json: 1 }] }, 'facets[0].schemaUrl', /missing/],
  ['NaN in a facet', facet({ a: [1, Number.NaN] }), 'facets[0].json.a[1]', /NaN/],
  ['Infinity in a facet', facet(Number.POSITIVE_INFINITY), 'facets[0].json', /Infinity/],
  ['−0 in a facet', facet({ a: -0 }), 'facets[0].json.a', /-0/],
  ['undefined in a facet', facet({ a: undefined }), 'facets[0].json.a', /missing/],
  ['a Date in a facet', facet({ a: at }), 'facets[0].json.a', /object that JSON cannot hold/],
  ['a Map in a facet', facet(new Map([['a', 1]])), 'facets[0].json', /object that JSON cannot hold/],
  ['a BigInt in a facet', facet({ a: 1n }), 'facets[0].json.a', /BigInt/],
  ['a function in a facet', facet({ toJSON: () => 1 }), 'facets[0].json.toJSON', /function/],
  ['a hole in a facet', facet(new Array(1)), 'facets[0].json[0]', /missing/],
  ['half a pair in a facet', facet(['\ud800']), 'facets[0].json[0]', /surrogate/],
  ['__proto__ in a facet', facet(JSON.parse('{"a":{"__proto__":1}}')), 'facets[0].json.a.__proto__', /another name/],
  ['a facet that goes in circles', facet(circle()), expect.stringContaining('facets[0].json.self') as never, /nests deeper/],
  ['a facet that is too deep', facet(deep(65)), expect.stringContaining('facets[0].json[0]') as never, /nests deeper/],
];

describe('an event that does not fit', () => {
  test.each(REFUSED)('is refused for %s, with its field and what would fit', (_, input, field, fits) => {
    const { code, message, details } = refusal(input);
    expect([code, details.field]).toEqual(['EVENT_INVALID', field]);
    expect(message).toMatch(/^cannot take event: /);
    expect(message).toMatch(fits);
  });

  test('is refused as too large if its facet is endless as text', () => {
    expect(refusal(facet(shared()))).toMatchObject({ code: 'LIMIT_EXCEEDED' });
  });

  test('is refused with a code if reading it fails', () => {
    const hostile = {
      ...sample,
      get actor(): string {
        throw new TypeError('not now');
      },
    };
    expect(refusal(hostile)).toMatchObject({ code: 'EVENT_INVALID', message: 'cannot take event: reading it failed: not now' });
  });

  test('is named in a way that no terminal obeys', () => {
    const { message } = refusal({ ...sample, attributes: { 'a\u009b31m\u202e\n': 1 } });
    expect(message).toContain('attributes["a\\u009b31m\\u202e\\n"]');
  });

  test('is refused by a function for another type', () => {
    expect(() => created({ ...sample, type: 'DELETE' } as never)).toThrow(expect.objectContaining({ code: 'EVENT_INVALID' }));
    expect(refusal(created(undefined as never))).toMatchObject({ code: 'EVENT_INVALID', details: { field: 'stream' } });
  });

  test('is not recorded, and the collector says the same', async () => {
    const collector: Collector = await createCollector({ origin: 'test', shards: 2, signer, log: null, spool: { folder: null } });
    const input = { ...sample, attributes: { rows: 12 } } as never;
    const refused = expect.objectContaining({ code: 'EVENT_INVALID', details: { field: 'attributes.rows' } });
    expect(() => collector.record(input)).toThrow(refused);
    await expect(collector.recordDurably(input)).rejects.toEqual(refused);
    expect(collector.stats.recorded).toBe(0);
    await collector.close();
  });
});

describe('an event that fits', () => {
  test.each([
    ['2026-01-31T10:00:00Z', Date.UTC(2026, 0, 31, 10) * 1000],
    ['2026-01-31T10:00:00.123456Z', Date.UTC(2026, 0, 31, 10) * 1000 + 123_456],
    ['2026-01-31T10:00:00.5+01:30', Date.UTC(2026, 0, 31, 8, 30) * 1000 + 500_000],
    ['2026-01-31T23:59:59.000001-00:30', Date.UTC(2026, 1, 1, 0, 29, 59) * 1000 + 1],
    ['1969-12-31T23:59:59.999999Z', -1],
    ['2024-02-29T00:00:00Z', Date.UTC(2024, 1, 29) * 1000],
  ])('keeps the time %s to the microsecond', (occurredAt, micros) => {
    const event = buildEvent({ ...sample, occurredAt });
    expect(EVENT_SCHEMA.decode(EVENT_SCHEMA.encode(event)).occurredAt).toBe(micros);
  });

  test('keeps every text as it is, also with a byte order mark, composed characters and spaces', () => {
    const value = '\ufeff e\u0301 \u00e9 😀\r\n\0';
    const event = buildEvent({
      ...sample,
      attributes: { 'k\ufeff': value, empty: '' },
      facets: [{ name: 'f', schemaUrl: 'u', json: value }],
    });
    const { attributes, facets } = EVENT_SCHEMA.decode(EVENT_SCHEMA.encode(event));
    expect(attributes).toEqual([
      { key: 'empty', value: '' },
      { key: 'k\ufeff', value },
    ]);
    expect(JSON.parse(facets[0]?.json ?? '')).toBe(value);
  });

  test('has another id for each key, whatever the keys look like', () => {
    const keys = ['7', '07', '7 ', 'null', 'undefined', '__proto__', 'e\u0301', '\u00e9', '😀', '\ufffd'];
    const ids = keys.map((idempotencyKey) => toHex(buildEvent({ ...sample, idempotencyKey, occurredAt: at }).id));
    expect(new Set(ids).size).toBe(keys.length);
  });

  test('is the same event when the call is repeated with its key', () => {
    const call = (): Uint8Array => EVENT_SCHEMA.encode(buildEvent({ ...sample, idempotencyKey: 'k', occurredAt: '2026-01-31T10:00:00Z' }));
    expect(toHex(call())).toBe(toHex(call()));
  });

  test.each([...DIGEST_BYTES])('takes a digest by %s of %d bytes, in hex or as bytes, keyed or not', (algorithm, length) => {
    for (const value of ['ab'.repeat(length), new Uint8Array(length).fill(0xab)])
      for (const name of [algorithm, `hmac-${algorithm}`]) {
        const [ref] = buildEvent({ ...sample, inputs: [{ name: 'x', digest: { algorithm: name, value } }] }).inputs;
        expect([ref?.digest?.algorithm, toHex(ref?.digest?.value ?? new Uint8Array(0))]).toEqual([name, 'ab'.repeat(length)]);
      }
  });

  test('takes a digest by an algorithm that nobody here knows', () => {
    const [ref] = buildEvent({ ...sample, inputs: [{ name: 'x', digest: { algorithm: 'blake3', value: 'abcd' } }] }).inputs;
    expect(ref?.digest?.algorithm).toBe('blake3');
  });

  test('may be of a class, with fields behind getters', () => {
    class Report {
      readonly stream = 's';
      readonly type = 'CREATE';
      get actor(): string {
        return 'a';
      }
    }
    expect(buildEvent(new Report())).toMatchObject({ stream: 's', actor: { id: 'a' } });
  });

  test('may leave out what describes its data by undefined', () => {
    const [ref] = buildEvent({ ...sample, inputs: [{ name: 'x', version: undefined, size: undefined } as never] }).inputs;
    expect(ref).toMatchObject({ version: null, size: null });
  });
});
