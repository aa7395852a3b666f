import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { compileSchema } from '../../../../core/avro/schema.ts';
import { fromHex, toHex, utf8 } from '../../../../core/base/bytes.ts';
import { canonicalJson, parseCanonicalJson } from '../../../../core/base/jcs.ts';
import { murmur2, shardOf } from '../../../../core/formats/shard.ts';

function vectors(file: string): unknown {
  return JSON.parse(readFileSync(`test/vectors/${file}.json`, 'utf8'));
}

const AVRO = vectors('avro/specification') as { vectors: { schema: unknown; value: unknown; hex: string }[] };
const JCS = vectors('jcs/rfc8785') as {
  samples: { section: string; input: string; output: string }[];
  numbers: { bits: string; text: string }[];
  refused: string[];
};
const KAFKA = vectors('kafka/murmur2') as { vectors: { text: string; hash: number }[] };
const FORMAT_INVALID = expect.objectContaining({ code: 'FORMAT_INVALID' });
const nested = (levels: number) => `${'['.repeat(levels)}${']'.repeat(levels)}`;
const double = (bits: string) => new DataView(fromHex(bits).buffer).getFloat64(0);

test.each(AVRO.vectors)("$value as $schema is $hex, as Avro's specification has it", ({ schema, value, hex }) => {
  const codec = compileSchema<unknown>(schema);
  expect(toHex(codec.encode(value))).toBe(hex);
  expect(codec.decode(fromHex(hex))).toEqual(value);
  expect(codec.walk(fromHex(`ff${hex}ff`), 1)).toBe(1 + hex.length / 2);
});

describe('canonical JSON', () => {
  test.each(JCS.samples)('is that of the sample in RFC 8785 §$section', ({ input, output }) => {
    expect(canonicalJson(JSON.parse(input))).toBe(output);
    expect(parseCanonicalJson(utf8(output))).toEqual(JSON.parse(input));
    expect(() => parseCanonicalJson(utf8(input))).toThrow(FORMAT_INVALID);
  });

  test.each(JCS.numbers)('writes the double $bits as $text', ({ bits, text }) => {
    expect(canonicalJson(double(bits))).toBe(text);
  });

  test.each(JCS.refused)('has no place for the double %s', (bits) => {
    expect(() => canonicalJson(double(bits))).toThrow(FORMAT_INVALID);
  });

  test.each(['{"a":1,"a":1}', '{"b":1,"a":1}', '1.0', '1E2', '-0', '"\\u0041"', '"\\/"', ' 1', '1\n', '\ufeff1', '', '[1,]', '"\\ud800"'])(
    '%j is not canonical',
    (json) => {
      expect(() => parseCanonicalJson(utf8(json))).toThrow(FORMAT_INVALID);
    },
  );

  test.each([undefined, () => 0, 1n, '\ud800', { '\udc00': 1 }, [undefined]])('has no place for %p', (value) => {
    expect(() => canonicalJson(value)).toThrow(FORMAT_INVALID);
  });

  test('nests 64 levels and no more, and takes a member named __proto__ as any other', () => {
    expect(parseCanonicalJson(utf8(nested(65)))).toBeDefined();
    expect(() => parseCanonicalJson(utf8(nested(66)))).toThrow(FORMAT_INVALID);
    expect(() => parseCanonicalJson(utf8(nested(200_000)))).toThrow(FORMAT_INVALID);
    expect(parseCanonicalJson(utf8('{"__proto__":1}'))).toEqual(JSON.parse('{"__proto__":1}'));
  });
});

describe("Kafka's partitioner", () => {
  test.each(KAFKA.vectors)('hashes $text to $hash', ({ text, hash }) => {
    expect(murmur2(utf8(text))).toBe(hash);
  });

  test.each(KAFKA.vectors)('puts $text where the sign bit is dropped', ({ text, hash }) => {
    for (const shards of [1, 2, 16, 1000]) expect(shardOf(text, shards)).toBe((hash & 0x7fffffff) % shards);
  });

  test("does not place the system's own streams: they live in the shard that they name", () => {
    expect([0, 3].map((shard) => shardOf(`lineproof/time/${shard}`, 4))).toEqual([0, 3]);
  });
});
