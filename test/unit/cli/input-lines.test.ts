import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { type InputLine, inputLines, MAX_LINE_BYTES } from '../../../cli/input-lines.ts';

async function* chunksOf(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function linesOf(input: string | Uint8Array, chunk = 65_536): Promise<InputLine[]> {
  const lines: InputLine[] = [];
  for await (const line of inputLines(chunksOf(typeof input === 'string' ? Buffer.from(input) : input, chunk))) lines.push(line);
  return lines;
}

const notUtf8 = 'its bytes are not UTF-8';

describe('the lines of an input', () => {
  test.each<[string, string | Uint8Array, InputLine[]]>([
    ['nothing', '', []],
    ['empty and blank lines', '\n\r\n \t\n', []],
    [
      'a last line without its end',
      'a\nb',
      [
        { number: 1, text: 'a' },
        { number: 2, text: 'b' },
      ],
    ],
    [
      'CRLF',
      'a\r\n\r\nb\r\n',
      [
        { number: 1, text: 'a' },
        { number: 3, text: 'b' },
      ],
    ],
    ['CRs that end no line', 'a\rb\r\r\n', [{ number: 1, text: 'a\rb\r' }]],
    ['a byte order mark at the beginning', '\ufeffa\n', [{ number: 1, text: 'a' }]],
    [
      'a byte order mark on another line',
      'a\n\ufeffb\n\ufeff\n',
      [
        { number: 1, text: 'a' },
        { number: 2, text: '\ufeffb' },
        { number: 3, text: '\ufeff' },
      ],
    ],
    ['separators of Unicode in a text', '"a\u2028b\u2029\u0085"\n', [{ number: 1, text: '"a\u2028b\u2029\u0085"' }]],
    [
      'bytes that are not UTF-8',
      Buffer.from([0x61, 0x0a, 0xff, 0x0a, 0x62]),
      [
        { number: 1, text: 'a' },
        { number: 2, fault: notUtf8 },
        { number: 3, text: 'b' },
      ],
    ],
    ['half of a surrogate pair as bytes', Buffer.from([0xed, 0xa0, 0x80]), [{ number: 1, fault: notUtf8 }]],
    ['UTF-16', Buffer.from('\ufeff{}', 'utf16le'), [{ number: 1, fault: notUtf8 }]],
    ['the end of a character that is cut', Buffer.from('é').subarray(0, 1), [{ number: 1, fault: notUtf8 }]],
  ])('are found in %s', async (_, input, lines) => {
    expect(await linesOf(input)).toEqual(lines);
    expect(await linesOf(input, 1)).toEqual(lines);
  });

  test('may have 1 MiB and no byte more, whatever their end; the lines after it are kept', async () => {
    const fits = 'x'.repeat(MAX_LINE_BYTES);
    const fault = `it has more than ${MAX_LINE_BYTES} bytes`;
    for (const end of ['\n', '\r\n']) {
      const [whole, long, after] = await linesOf(`${fits}${end}${fits}x${end}a`, 1000);
      expect([whole !== undefined && 'text' in whole && whole.text === fits, long, after]).toEqual([
        true,
        { number: 2, fault },
        { number: 3, text: 'a' },
      ]);
    }
    expect(await linesOf(`${fits}${fits}`)).toEqual([{ number: 1, fault }]);
  });

  test('do not depend on how the bytes arrive', async () => {
    const part = fc.constantFrom('a', 'é', '😀', '\n', '\r', '\r\n', ' ', '\u2028', '\ufeff');
    await fc.assert(
      fc.asyncProperty(fc.array(part, { maxLength: 12 }), fc.integer({ min: 1, max: 7 }), async (parts, chunk) => {
        expect(await linesOf(parts.join(''), chunk)).toEqual(await linesOf(parts.join('')));
      }),
    );
  });
});
