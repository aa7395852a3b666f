import { describe, expect, test } from '@jest/globals';
import { encodeManifest, type Manifest, parseManifest } from '../../../../core/archive/manifest.ts';
import { encodeRetired, parseRetired, type Retired } from '../../../../core/archive/retired.ts';
import { utf8 } from '../../../../core/base/bytes.ts';
import { canonicalJson } from '../../../../core/base/jcs.ts';
import { count, list } from '../../../../core/base/json-shape.ts';
import { codeOf } from '../keys/support.ts';

const hex = 'ab'.repeat(32);
const object = { name: '0-9.events.avro', size: 5, sha256: hex, content: hex };
const MANIFEST: Manifest = {
  origin: 'origin.example/0',
  first: 0,
  end: 9,
  root: hex,
  objects: [object],
  counts: {
    links: 8,
    seals: 1,
    duplicates: 0,
    conflicts: 0,
    repeated: 0,
    rejected: 0,
    empty: 0,
    sampledOut: 0,
    perProducer: [{ producer: 'p', links: 8 }],
  },
  occurred: { from: -5, to: 7 },
  accepted: { from: 1, to: 2 },
  schemas: [hex],
  policies: [hex],
  offsets: [{ generation: 0, from: 0, to: 3 }],
  previous: null,
};
const RETIRED: Retired = { origin: 'origin.example/0', first: 0, end: 9, manifest: hex, policy: hex, objects: [object] };

/** Every value inside a JSON value, as [path, value]. */
function places(value: unknown, path: readonly (string | number)[] = []): [path: readonly (string | number)[], value: unknown][] {
  if (typeof value !== 'object' || value === null) return [[path, value]];
  const inner = Object.entries(value).flatMap(([name, each]) => places(each, [...path, Array.isArray(value) ? Number(name) : name]));
  return [[path, value], ...inner];
}

/** `value` with the part at `path` replaced. */
function put(value: unknown, [step, ...rest]: readonly (string | number)[], replacement: unknown): unknown {
  if (step === undefined) return replacement;
  const copy = structuredClone(value) as Record<string | number, unknown>;
  copy[step] = put(copy[step], rest, replacement);
  return copy;
}

describe.each([
  ['manifest.json', MANIFEST, (value: unknown) => parseManifest(utf8(canonicalJson(value)))],
  ['retired.json', RETIRED, (value: unknown) => parseRetired(utf8(canonicalJson(value)))],
] as const)('%s', (_, sample, parse) => {
  test('is read back as it was written', () => {
    expect(parse(sample)).toEqual(sample);
  });

  test('every field must be there, and no other', () => {
    const objects = places(sample).filter(([, value]) => typeof value === 'object' && value !== null && !Array.isArray(value));
    for (const [path, value] of objects) {
      expect(codeOf(() => parse(put(sample, path, { ...(value as object), more: 1 })))).toBe('FORMAT_INVALID');
      for (const name of Object.keys(value as object)) {
        const { [name]: _gone, ...rest } = value as Record<string, unknown>;
        expect(codeOf(() => parse(put(sample, path, rest)))).toBe('FORMAT_INVALID');
        expect(codeOf(() => parse(put(sample, path, { ...rest, toString: 1 })))).toBe('FORMAT_INVALID');
      }
    }
  });

  test('no field holds a value of another kind', () => {
    for (const [path, value] of places(sample)) {
      const wrong = [true, 'text that is no digest '.repeat(99), '', {}, [1], 1.5, 2 ** 53];
      for (const other of typeof value === 'number' ? [...wrong, '1', null] : [...wrong, 7])
        expect([path, codeOf(() => parse(put(sample, path, other)))]).toEqual([path, 'FORMAT_INVALID']);
    }
  });

  test('counts and places are not negative; digests are lower-case', () => {
    for (const [path, value] of places(sample)) {
      if (typeof value === 'number' && !['occurred', 'accepted'].includes(String(path[0])))
        expect([path, codeOf(() => parse(put(sample, path, -1)))]).toEqual([path, 'FORMAT_INVALID']);
      if (value === hex) expect(codeOf(() => parse(put(sample, path, hex.toUpperCase())))).toBe('FORMAT_INVALID');
    }
  });
});

test('null means that nothing came before, or that nothing occurred', () => {
  const other = { ...MANIFEST, occurred: null, previous: hex };
  expect(parseManifest(encodeManifest(other))).toEqual(other);
  expect(codeOf(() => parseManifest(utf8(canonicalJson({ ...MANIFEST, accepted: null }))))).toBe('FORMAT_INVALID');
});

test('neither is the other, and neither is JSON that is not canonical', () => {
  expect(codeOf(() => parseManifest(encodeRetired(RETIRED)))).toBe('FORMAT_INVALID');
  expect(codeOf(() => parseRetired(encodeManifest(MANIFEST)))).toBe('FORMAT_INVALID');
  expect(codeOf(() => parseManifest(utf8(JSON.stringify(MANIFEST))))).toBe('FORMAT_INVALID');
  expect(codeOf(() => parseManifest(utf8(`${canonicalJson(MANIFEST)}\n`)))).toBe('FORMAT_INVALID');
});

test('a list has at most 131,072 items', () => {
  const most = Array<number>(2 ** 17).fill(0);
  expect([list(count)(most), list(count)([...most, 0])]).toEqual([true, false]);
});
