import { describe, expect, test } from '@jest/globals';
import { utf8 } from '../../../../core/base/bytes.ts';
import { parseCanonicalJson } from '../../../../core/base/jcs.ts';

describe('JSON that is made to fill the memory', () => {
  const nested = (levels: number): Uint8Array => utf8(`${'['.repeat(levels)}${']'.repeat(levels)}`);

  test('nests at most 64 deep, which is known before it is parsed', () => {
    expect(parseCanonicalJson(nested(65))).toBeDefined();
    expect(() => parseCanonicalJson(nested(66))).toThrow(/nests deeper than 64/);
    expect(() => parseCanonicalJson(utf8('['.repeat(1_000_000)))).toThrow(/nests deeper than 64/);
    // Brackets in a string nest nothing, also behind an escaped quote.
    const text = JSON.stringify(`${'['.repeat(100)}"${'{'.repeat(100)}\\`);
    expect(parseCanonicalJson(utf8(text))).toBe(JSON.parse(text));
  });

  test('holds at most a million values', () => {
    expect(() => parseCanonicalJson(utf8(`[${'0,'.repeat(1_000_000)}0]`))).toThrow(expect.objectContaining({ code: 'LIMIT_EXCEEDED' }));
  });
});
