import { expect, test } from '@jest/globals';
import { toBase64 } from '../../../../core/base/bytes.ts';
import { formatCheckpoint, parseCheckpoint } from '../../../../core/keys/checkpoint.ts';

const ROOT = new Uint8Array(32).fill(7);
const BASE64 = toBase64(ROOT);
const GOOD = `example.com/log/0\n20852163\n${BASE64}\n`;

test('a checkpoint is three lines', () => {
  expect(formatCheckpoint({ origin: 'example.com/log/0', size: 20852163, root: ROOT })).toBe(GOOD);
  expect(parseCheckpoint(GOOD)).toEqual({ origin: 'example.com/log/0', size: 20852163, root: ROOT });
});

test.each([0, 1, 2 ** 32, 2 ** 53 - 1])('size %d is read as it is written', (size) => {
  expect(parseCheckpoint(formatCheckpoint({ origin: 'o', size, root: ROOT })).size).toBe(size);
});

test.each([
  ['an extension line', `${GOOD}extension\n`],
  ['an empty line after it', `${GOOD}\n`],
  ['no last newline', GOOD.slice(0, -1)],
  ['a leading zero', GOOD.replace('20852163', '020852163')],
  ['a sign', GOOD.replace('20852163', '+20852163')],
  ['a negative size', GOOD.replace('20852163', '-1')],
  ['a size with an exponent', GOOD.replace('20852163', '1e3')],
  ['a size in hexadecimal', GOOD.replace('20852163', '0x10')],
  ['a size beyond 2^53 − 1', GOOD.replace('20852163', '9007199254740992')],
  ['a size of many digits', GOOD.replace('20852163', '1'.repeat(400))],
  ['no size', GOOD.replace('20852163', '')],
  ['no origin', GOOD.replace('example.com/log/0', '')],
  ['a root of 31 bytes', GOOD.replace(BASE64, toBase64(ROOT.slice(1)))],
  ['a root of 33 bytes', GOOD.replace(BASE64, toBase64(new Uint8Array(33)))],
  ['a root without padding', GOOD.replace('=\n', '\n')],
  ['a space after the size', GOOD.replace('20852163', '20852163 ')],
  ['carriage returns', GOOD.replaceAll('\n', '\r\n')],
  ['nothing', ''],
])('one with %s is refused', (_, text) => {
  expect(() => parseCheckpoint(text)).toThrow(expect.objectContaining({ code: 'FORMAT_INVALID' }));
});
