import { createRequire } from 'node:module';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { compileSchema } from '../../../../core/avro/schema.ts';
import { SCHEMA_TEXTS } from '../../../../core/avro/schema-texts.ts';
import { toHex } from '../../../../core/base/bytes.ts';

interface AvscType {
  toBuffer(value: unknown): Buffer;
  fromBuffer(bytes: Buffer): unknown;
}
const avsc = createRequire(import.meta.url)('avsc') as { Type: { forSchema(schema: unknown): AvscType } };

/** One value as we take it, and as avsc does. */
interface Pair {
  readonly ours: unknown;
  readonly theirs: unknown;
}
type Json = Record<string, unknown>;
const both = (value: unknown): Pair => ({ ours: value, theirs: value });
const binary = (bytes: Uint8Array): Pair => ({ ours: bytes, theirs: Buffer.from(bytes) });
const pairs = (items: readonly Pair[], make: (values: readonly unknown[]) => unknown): Pair => ({
  ours: make(items.map(({ ours }) => ours)),
  theirs: make(items.map(({ theirs }) => theirs)),
});

/** Values of a schema. `names` collects the types that were defined, by their short names. */
function values(schema: unknown, names: Map<string, fc.Arbitrary<Pair>>): fc.Arbitrary<Pair> {
  if (Array.isArray(schema)) return union(schema, names);
  if (typeof schema === 'string') return primitive(schema) ?? (names.get(schema.split('.').at(-1) as string) as fc.Arbitrary<Pair>);
  const { type, name, size, symbols, items, fields } = schema as Json;
  const define = (arbitrary: fc.Arbitrary<Pair>) => {
    names.set(name as string, arbitrary);
    return arbitrary;
  };
  switch (type) {
    case 'fixed':
      return define(fc.uint8Array({ minLength: size as number, maxLength: size as number }).map(binary));
    case 'enum':
      return define(fc.constantFrom(...(symbols as string[])).map(both));
    case 'array':
      return fc.array(values(items, names), { maxLength: 4 }).map((each) => pairs(each, (list) => [...list]));
    case 'record': {
      const members = (fields as { name: string; type: unknown }[]).map((field) => [field.name, values(field.type, names)] as const);
      const record = fc
        .tuple(...members.map(([, arbitrary]) => arbitrary))
        .map((each) => pairs(each, (list) => Object.fromEntries(members.map(([member], i) => [member, list[i]]))));
      return define(record);
    }
    default:
      return values(type, names);
  }
}

function primitive(type: string): fc.Arbitrary<Pair> | undefined {
  switch (type) {
    case 'string':
      return fc.string({ unit: 'binary', maxLength: 80 }).map(both);
    case 'bytes':
      return fc.uint8Array({ maxLength: 80 }).map(binary);
    case 'long':
      // avsc takes no numbers at the very edge of what a double holds exactly.
      return fc.oneof(fc.integer({ min: -100, max: 100 }), fc.integer({ min: -(2 ** 52), max: 2 ** 52 })).map(both);
    case 'int':
      return fc.integer().map(both);
    case 'boolean':
      return fc.boolean().map(both);
    default:
      return undefined;
  }
}

function union([first, ...rest]: readonly unknown[], names: Map<string, fc.Arbitrary<Pair>>): fc.Arbitrary<Pair> {
  if (first === 'null') return fc.oneof(fc.constant(both(null)), values(rest[0], names));
  const branches = [first, ...rest] as { name: string; namespace: string }[];
  return fc.oneof(
    ...branches.map((branch) =>
      values(branch, names).map(({ ours, theirs }) => ({
        ours: { branch: branch.name, value: ours },
        theirs: { [`${branch.namespace}.${branch.name}`]: theirs },
      })),
    ),
  );
}

describe.each(Object.entries(SCHEMA_TEXTS))('every %s', (_, schemaText) => {
  const schema: unknown = JSON.parse(schemaText);
  const codec = compileSchema<unknown>(schema);
  const oracle = avsc.Type.forSchema(schema);
  const arbitrary = values(schema, new Map());

  test('is written as avsc writes it, and read by either as the other wrote it', () => {
    fc.assert(
      fc.property(arbitrary, ({ ours, theirs }) => {
        const bytes = codec.encode(ours);
        const expected = new Uint8Array(oracle.toBuffer(theirs));
        expect(toHex(bytes)).toBe(toHex(expected));
        expect(codec.decode(expected)).toEqual(ours);
        expect(codec.walk(expected, 0)).toBe(expected.length);
        expect(toHex(new Uint8Array(oracle.toBuffer(oracle.fromBuffer(Buffer.from(bytes)))))).toBe(toHex(bytes));
      }),
      { numRuns: 100, seed: 1 },
    );
  });

  test('cut short is refused, wherever it was cut', () => {
    fc.assert(
      fc.property(arbitrary, fc.nat(), ({ ours }, at) => {
        const bytes = codec.encode(ours);
        const cut = bytes.slice(0, at % bytes.length);
        expect(() => codec.decode(cut)).toThrow(expect.objectContaining({ code: 'AVRO_INVALID' }));
        expect(() => codec.walk(cut, 0)).toThrow(expect.objectContaining({ code: 'AVRO_INVALID' }));
      }),
      { numRuns: 100, seed: 2 },
    );
  });
});
