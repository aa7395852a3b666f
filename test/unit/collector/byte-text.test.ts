import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { sha256 } from '#crypto';
import { byteText, isEscaped } from '../../../collector/byte-text.ts';
import { safeName } from '../../../collector/files.ts';
import { toHex } from '../../../core/base/bytes.ts';
import { streamFault } from '../../../core/base/format-checks.ts';
import { bytesOfText } from '../../support/git-repository.ts';

const pieces = fc.oneof(
  fc.uint8Array({ maxLength: 4 }).map((bytes) => Buffer.from(bytes)),
  fc.string({ unit: 'binary', maxLength: 4 }).map((text) => Buffer.from(text)),
  fc
    .constantFrom('\\', '\\x', '\\x5c', '\\xff', '\\XFF', 'x5', '\u0085', '\n', '\0', '\ufffd', '\u{10ffff}')
    .map((text) => Buffer.from(text)),
  fc.constantFrom([0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xe2, 0x82]).map((bytes) => Buffer.from(bytes)),
);

test('any bytes can be had back from their text, and no text has a replacement character that the bytes do not have', () => {
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 8 }), fc.boolean(), (all, controls) => {
      const bytes = Buffer.concat(all);
      const text = byteText(bytes, { controls });
      expect(bytesOfText(text)).toEqual(bytes);
      expect(text.includes('\ufffd')).toBe(bytes.includes(Buffer.from('\ufffd')));
      if (controls) expect(text).not.toMatch(/\p{Cc}/u);
      expect(isEscaped(bytes, text)).toBe(text !== bytes.toString('utf8') || !Buffer.from(text).equals(bytes));
    }),
    { numRuns: 2000 },
  );
});

test.each([
  ['plain text stays', Buffer.from('Zoë \\ x'), 'Zoë \\ x'],
  ['a byte that is not UTF-8', Buffer.from([0x66, 0xff]), 'f\\xff'],
  ['a text that looks like an escape', Buffer.from('f\\xff'), 'f\\x5cxff'],
  ['an overlong form and a surrogate', Buffer.from([0xc0, 0x80, 0xed, 0xa0, 0x80]), '\\xc0\\x80\\xed\\xa0\\x80'],
  ['valid characters between bytes that are not', Buffer.from([0xff, 0xc3, 0xab, 0xfe]), '\\xffë\\xfe'],
])('%s', (_, bytes, text) => {
  expect(byteText(bytes)).toBe(text);
});

test('bytes that are too many are cut, and the text says how many there were and what their digest is', () => {
  const bytes = Buffer.alloc(5000, 0xc3);
  const text = byteText(bytes, { maxBytes: 4999 });
  expect(text).toBe(`${'\\xc3'.repeat(1024)}… (sha256 ${toHex(sha256(bytes))}, 5000 bytes)`);
  expect(byteText(bytes, { maxBytes: 5000 })).toBe('\\xc3'.repeat(5000));
});

test('the name of any folder gives the name of a stream, and two folders never the same', () => {
  const names = [
    '',
    'a',
    'a\u0001',
    'a_',
    `a${'\u0001'.repeat(300)}`,
    `a${'\u0001'.repeat(301)}`,
    'é'.repeat(30),
    'é'.repeat(31),
    '\\x01',
    '\u{1f600}'.repeat(100),
  ];
  const streams = names.map((name) => `files/${safeName(name)}`);
  expect(streams.map(streamFault)).toEqual(names.map(() => undefined));
  expect(new Set(streams).size).toBe(names.length);
});
