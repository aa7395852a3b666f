import { describe, expect, test } from '@jest/globals';
import { compare, concat, equal, fromBase64, fromHex, toBase64, toHex, utf8, utf8Into, utf8Text } from '../../../../core/base/bytes.ts';

describe('bytes', () => {
  // RFC 4648 §10
  test.each([
    ['', ''],
    ['f', 'Zg=='],
    ['fo', 'Zm8='],
    ['foo', 'Zm9v'],
    ['foobar', 'Zm9vYmFy'],
  ])('base64 of %j is %j, both ways', (text, encoded) => {
    expect(toBase64(utf8(text))).toBe(encoded);
    expect(utf8Text(fromBase64(encoded))).toBe(text);
  });

  test.each(['Zg', 'Zg=', 'Zh==', 'Zm9=', 'Zg==\n', 'Z===', '____', '=Zg='])('base64 spelled %j is refused', (text) => {
    expect(() => fromBase64(text)).toThrow(expect.objectContaining({ code: 'FORMAT_INVALID' }));
  });

  test.each(['0', 'AB', '0g', 'g0', ' 00', '0:', '`0', '00\u0130'])('hexadecimal spelled %j is refused', (text) => {
    expect(() => fromHex(text)).toThrow(expect.objectContaining({ code: 'FORMAT_INVALID' }));
  });

  test('hexadecimal round-trips every byte', () => {
    const all = Uint8Array.from({ length: 256 }, (_, i) => i);
    expect(toHex(all)).toBe(Buffer.from(all).toString('hex'));
    expect(fromHex(toHex(all))).toEqual(all);
  });

  test('hexadecimal of many bytes is that of its pieces', () => {
    const many = Uint8Array.from({ length: 10_001 }, (_, i) => i);
    expect(toHex(many)).toBe(Buffer.from(many).toString('hex'));
  });

  test.each(['', 'stream', 'größe', '流', '😀 tail', 'half \ud800'])('%j is written in place as the encoder has it', (text) => {
    const out = new Uint8Array(3 * text.length + 2);
    const end = utf8Into(text, out, 2);
    expect(out.subarray(2, end)).toEqual(utf8(text));
  });

  test.each([[[0xc0, 0x80]], [[0xed, 0xa0, 0x80]], [[0xff]], [[0xe2, 0x82]]])('malformed UTF-8 %j is refused', (bytes) => {
    expect(() => utf8Text(Uint8Array.from(bytes))).toThrow(expect.objectContaining({ code: 'FORMAT_INVALID' }));
  });

  test('a byte order mark is content and survives', () => {
    expect(utf8Text(Uint8Array.from([0xef, 0xbb, 0xbf, 0x61]))).toBe('\uFEFFa');
  });

  test('order and equality look at every byte and at the length', () => {
    const [a, b, ab] = [utf8('a'), utf8('b'), concat(utf8('a'), utf8('b'))];
    expect([compare(a, b) < 0, compare(ab, a) > 0, compare(a, a)]).toEqual([true, true, 0]);
    expect([equal(a, a), equal(a, b), equal(a, ab)]).toEqual([true, false, false]);
  });
});
