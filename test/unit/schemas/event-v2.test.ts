import { createRequire } from 'node:module';
import { describe, expect, test } from '@jest/globals';
import { compileSchema } from '../../../core/avro/schema.ts';
import { SCHEMA_TEXTS } from '../../../core/avro/schema-texts.ts';
import { toHex } from '../../../core/base/bytes.ts';
import { archivedEventSchema, decodeArchivedEvent, encodeArchivedEvent } from '../../../core/formats/archived-event.ts';
import { type Event, eventDigest } from '../../../core/formats/event.ts';
import { compileEventSchema, EVENT_SCHEMA } from '../../../core/formats/event-schema.ts';
import { EVENT_SCHEMA_V2, type EventV2 } from '../../support/event-v2.ts';

interface AvscType {
  toBuffer(value: unknown): Buffer;
  fromBuffer(bytes: Buffer, resolver?: unknown): Record<string, unknown>;
  createResolver(writer: AvscType): unknown;
}
const avsc = createRequire(import.meta.url)('avsc') as { Type: { forSchema(schema: unknown): AvscType } };
const fill = (length: number, byte: number) => new Uint8Array(length).fill(byte);
const EVENT: Event = {
  id: fill(16, 7),
  stream: 'datasets/ü',
  type: 'TRANSFORM',
  importance: 'AUXILIARY',
  occurredAt: 1_700_000_000_000_000,
  actor: { id: 'job-7', kind: 'JOB', onBehalfOf: null },
  activity: null,
  inputs: [],
  outputs: [],
  parents: [],
  trace: null,
  attributes: [{ key: 'a', value: '1' }],
  facets: [],
};
const LATER: EventV2 = { ...EVENT, purpose: 'audit', labels: ['x', 'y'] };
const encodeV2 = (event: EventV2) => EVENT_SCHEMA_V2.encode(event as Event);
const types = () => [SCHEMA_TEXTS.Event, EVENT_SCHEMA_V2.text].map((text) => avsc.Type.forSchema(JSON.parse(text))) as [AvscType, AvscType];

describe('an event of a later schema', () => {
  test('has another digest, of its schema and of itself', () => {
    expect(EVENT_SCHEMA_V2.hex).not.toBe(EVENT_SCHEMA.hex);
    const bytes = EVENT_SCHEMA.encode(EVENT);
    expect(toHex(eventDigest(EVENT_SCHEMA_V2.digest, bytes))).not.toBe(toHex(eventDigest(EVENT_SCHEMA.digest, bytes)));
  });

  test('is read with the fields that it has gained, which have their defaults where nobody gave them', () => {
    expect(EVENT_SCHEMA_V2.decode(encodeV2(LATER))).toEqual(LATER);
    expect(EVENT_SCHEMA_V2.decode(encodeV2(EVENT))).toEqual({ ...EVENT, purpose: null, labels: [] });
  });

  test('has the same head', () => {
    expect(EVENT_SCHEMA_V2.readHead(encodeV2(LATER))).toEqual(EVENT_SCHEMA.readHead(EVENT_SCHEMA.encode(EVENT)));
  });

  test('of a kind that this version does not know counts as OTHER', () => {
    expect(EVENT_SCHEMA_V2.readHead(encodeV2({ ...LATER, type: 'ARCHIVE' })).type).toBe('OTHER');
    expect(() => EVENT_SCHEMA.encode({ ...EVENT, type: 'ARCHIVE' } as never)).toThrow(expect.objectContaining({ code: 'AVRO_INVALID' }));
  });

  test('is walked to its last byte, the added fields included', () => {
    const bytes = encodeV2(LATER);
    for (let end = 0; end < bytes.length; end++) {
      expect(() => EVENT_SCHEMA_V2.readHead(bytes.slice(0, end))).toThrow(expect.objectContaining({ code: 'AVRO_INVALID' }));
    }
    expect(() => EVENT_SCHEMA.readHead(bytes)).toThrow(expect.objectContaining({ code: 'AVRO_INVALID' }));
    expect(() => EVENT_SCHEMA_V2.readHead(EVENT_SCHEMA.encode(EVENT))).toThrow(expect.objectContaining({ code: 'AVRO_INVALID' }));
  });

  test('is archived under another schema, its bytes unchanged', () => {
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
    const schema = archivedEventSchema(EVENT_SCHEMA_V2.text);
    expect(schema).not.toBe(archivedEventSchema(EVENT_SCHEMA.text));
    const bytes = encodeArchivedEvent(row, encodeV2(LATER));
    expect(decodeArchivedEvent(bytes).event).toEqual(encodeV2(LATER));
    expect(compileSchema<{ event: EventV2 }>(JSON.parse(schema)).decode(bytes).event).toEqual(LATER);
  });

  test('is what avsc writes, and avsc resolves records between the two schemas, both ways', () => {
    const [one, two] = types();
    const old = EVENT_SCHEMA.encode(EVENT);
    expect(two.fromBuffer(Buffer.from(old), two.createResolver(one))).toMatchObject({ stream: EVENT.stream, purpose: null, labels: [] });
    expect(new Uint8Array(two.toBuffer(two.fromBuffer(Buffer.from(encodeV2(LATER)))))).toEqual(encodeV2(LATER));
    const read = one.fromBuffer(Buffer.from(encodeV2({ ...LATER, type: 'ARCHIVE' })), one.createResolver(two));
    expect(read).toMatchObject({ stream: EVENT.stream, type: 'OTHER' });
    expect(read).not.toHaveProperty('purpose');
  });
});

describe('an event schema', () => {
  type Schema = { name: string; namespace: string; fields: { name: string; type: unknown; default?: unknown }[] };
  const changed = (change: (schema: Schema) => void) => {
    const schema = JSON.parse(EVENT_SCHEMA_V2.text) as Schema;
    change(schema);
    return JSON.stringify(schema);
  };

  test('keeps its digest when it is spelled with spaces', () => {
    expect(compileEventSchema(JSON.stringify(JSON.parse(EVENT_SCHEMA_V2.text), undefined, 3)).hex).toBe(EVENT_SCHEMA_V2.hex);
  });

  test.each<[string, string]>([
    ['is not JSON', '{'],
    ['is not a record', '"string"'],
    ['has another name', changed((schema) => Object.assign(schema, { name: 'Happening' }))],
    ['has another namespace', changed((schema) => Object.assign(schema, { namespace: 'other' }))],
    ['lacks a field of version 1', changed(({ fields }) => fields.splice(12, 1))],
    ['has a field before those of version 1', changed(({ fields }) => fields.unshift({ name: 'x', type: 'long' }))],
    ['has fields of version 1 in another order', changed(({ fields }) => fields.splice(7, 2, ...fields.slice(7, 9).toReversed()))],
    ['has a leading field of another type', changed(({ fields }) => Object.assign(fields[4] as object, { type: 'long' }))],
    ['has an id of another size', changed(({ fields }) => Object.assign((fields[0] as { type: object }).type, { size: 17 }))],
    ['lacks a kind of version 1', changed(({ fields }) => (fields[2] as { type: { symbols: string[] } }).type.symbols.shift())],
    ['has a field of a type that is not used', changed(({ fields }) => fields.push({ name: 'x', type: 'double' }))],
    ['has a field twice', changed(({ fields }) => fields.push({ name: 'purpose', type: 'string' }))],
    ['contains itself', changed(({ fields }) => fields.push({ name: 'x', type: ['null', 'Event'] }))],
  ])('that %s is refused', (_, text) => {
    expect(() => compileEventSchema(text)).toThrow(expect.objectContaining({ code: 'SCHEMA_INVALID' }));
  });
});
