import { expect, test } from '@jest/globals';
import { SCHEMA_TEXTS } from '../../../core/avro/schema-texts.ts';
import { evolutionFaults } from '../../../schemas/evolution.ts';
import { EVENT_SCHEMA_V2 } from '../../support/event-v2.ts';

interface Field {
  name: string;
  type: unknown;
  default?: unknown;
}
type Schema = Record<string, unknown> & { fields: Field[] };
const event = () => JSON.parse(SCHEMA_TEXTS.Event) as Schema;
const field = (schema: Schema, name: string) => schema.fields.find((each) => each.name === name) as Field;
const inside = (schema: Schema, name: string) =>
  field(schema, name).type as Schema & { symbols: string[]; items: Schema; default?: unknown };

function faultsOf(change: (schema: Schema) => unknown): string[] {
  const schema = event();
  change(schema);
  return evolutionFaults(event(), schema);
}

test('the later schema of the tests evolves from the released one, and not the other way round', () => {
  const later: unknown = JSON.parse(EVENT_SCHEMA_V2.text);
  expect(evolutionFaults(event(), later)).toEqual([]);
  expect(evolutionFaults(later, event()).length).toBeGreaterThan(0);
});

test.each<[string, (schema: Schema) => unknown]>([
  ['a field with a default at the end', ({ fields }) => fields.push({ name: 'x', type: ['null', 'string'], default: null })],
  [
    'a field with a default at the end of a record inside',
    (schema) => inside(schema, 'actor').fields.push({ name: 'x', type: 'long', default: 0 }),
  ],
  ['a symbol at the end of an enum with a default', (schema) => inside(schema, 'type').symbols.push('ARCHIVE')],
  ['another doc', (schema) => Object.assign(schema, { doc: 'x' })],
  ['nothing', () => undefined],
])('%s may be added', (_, change) => {
  expect(faultsOf(change)).toEqual([]);
});

test.each<[string, string, (schema: Schema) => unknown]>([
  ['a field is removed at the end', 'schema.facets was removed', ({ fields }) => fields.pop()],
  [
    'a field is removed in between',
    'schema.trace was removed',
    (schema) => schema.fields.splice(schema.fields.indexOf(field(schema, 'trace')), 1),
  ],
  ['a field is renamed', 'schema.stream was removed, renamed', (schema) => Object.assign(field(schema, 'stream'), { name: 'chain' })],
  ['fields change places', 'was removed, renamed or moved', (schema) => Object.assign(schema, { fields: schema.fields.toReversed() })],
  ['a field has another type', 'schema.occurredAt', (schema) => Object.assign(field(schema, 'occurredAt'), { type: 'int' })],
  [
    'a field loses its logical type',
    'schema.occurredAt has another type',
    (schema) => Object.assign(field(schema, 'occurredAt'), { type: 'long' }),
  ],
  [
    'a field becomes optional',
    'schema.stream has another type',
    (schema) => Object.assign(field(schema, 'stream'), { type: ['null', 'string'] }),
  ],
  ['an optional field becomes needed', 'schema.activity', (schema) => Object.assign(field(schema, 'activity'), { type: 'string' })],
  ['a field gains a default', 'default of schema.stream', (schema) => Object.assign(field(schema, 'stream'), { default: '' })],
  ['a field comes without a default', 'schema.x was added without a default', ({ fields }) => fields.push({ name: 'x', type: 'string' })],
  [
    'a field inside comes without a default',
    'schema.actor.x was added without a default',
    (schema) => inside(schema, 'actor').fields.push({ name: 'x', type: 'string' }),
  ],
  [
    "an array's record comes with a field without a default",
    'schema.attributes.items.x was added',
    (schema) => inside(schema, 'attributes').items.fields.push({ name: 'x', type: 'string' }),
  ],
  ['a fixed has another size', 'size of schema.id', (schema) => Object.assign(inside(schema, 'id'), { size: 17 })],
  ['a record has another name', 'name of schema', (schema) => Object.assign(schema, { name: 'Happening' })],
  ['a symbol is removed', 'symbols of schema.type', (schema) => inside(schema, 'type').symbols.pop()],
  ['a symbol comes in between', 'symbols of schema.type', (schema) => inside(schema, 'type').symbols.splice(3, 0, 'ARCHIVE')],
  ['an enum has another default', 'default of schema.type', (schema) => Object.assign(inside(schema, 'type'), { default: 'CREATE' })],
  [
    'a symbol comes to an enum without a default',
    'schema.type',
    (schema) => {
      inside(schema, 'type').symbols.push('ARCHIVE');
      delete inside(schema, 'type').default;
    },
  ],
])('it is not an evolution when %s', (_, fault, change) => {
  expect(faultsOf(change).join('\n')).toContain(fault);
});
