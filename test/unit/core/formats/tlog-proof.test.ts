import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { toBase64, utf8 } from '../../../../core/base/bytes.ts';
import { formatTlogProof, parseTlogProof } from '../../../../core/formats/tlog-proof.ts';

const CHECKPOINT = `example.com/log\n7\n${toBase64(new Uint8Array(32))}\n\n— example.com/log AAAAAA==\n`;
const hash = (fill: number): Uint8Array => new Uint8Array(32).fill(fill);
const proof = { extra: utf8('hello'), index: 5, path: [hash(1), hash(2), hash(3)], checkpoint: CHECKPOINT };
const text = formatTlogProof(proof);

const bytes = (minLength: number, maxLength: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ minLength, maxLength });

describe('tlog proofs', () => {
  test('are written as C2SP tlog-proof says', () => {
    expect(text).toBe(
      `c2sp.org/tlog-proof@v1\nextra aGVsbG8=\nindex 5\n${toBase64(hash(1))}\n${toBase64(hash(2))}\n${toBase64(hash(3))}\n\n${CHECKPOINT}`,
    );
  });

  test('of a tree of one leaf, without extra data, have neither path nor extra lines', () => {
    const small = { extra: new Uint8Array(0), index: 0, path: [], checkpoint: CHECKPOINT };
    expect(formatTlogProof(small)).toBe(`c2sp.org/tlog-proof@v1\nindex 0\n\n${CHECKPOINT}`);
    expect(parseTlogProof(formatTlogProof(small))).toEqual(small);
  });

  test('are read as they were written', () => {
    fc.assert(
      fc.property(bytes(0, 300), fc.maxSafeNat(), fc.array(bytes(32, 32), { maxLength: 53 }), (extra, index, path) => {
        const made = { extra, index, path, checkpoint: CHECKPOINT };
        expect(parseTlogProof(formatTlogProof(made))).toEqual(made);
      }),
    );
  });

  test.each([
    ['nothing', ''],
    ['another version', text.replace('@v1', '@v2')],
    ['no version', text.replace('c2sp.org/tlog-proof@v1\n', '')],
    ['a line before', `\n${text}`],
    ['carriage returns', text.replaceAll('\n', '\r\n')],
    ['an empty extra line', text.replace('aGVsbG8=', '')],
    ['two extra lines', text.replace('extra aGVsbG8=\n', 'extra aGVsbG8=\nextra aGVsbG8=\n')],
    ['extra after index', text.replace('extra aGVsbG8=\nindex 5\n', 'index 5\nextra aGVsbG8=\n')],
    ['extra data not padded', text.replace('aGVsbG8=', 'aGVsbG8')],
    ['extra data with unused bits', text.replace('aGVsbG8=', 'aGVsbG9=')],
    ['two spaces', text.replace('index 5', 'index  5')],
    ['no index', text.replace('index 5\n', '')],
    ['a leading zero', text.replace('index 5', 'index 05')],
    ['a sign', text.replace('index 5', 'index +5')],
    ['a negative index', text.replace('index 5', 'index -5')],
    ['an index of 2^53', text.replace('index 5', 'index 9007199254740992')],
    ['an index of 17 digits', text.replace('index 5', 'index 10000000000000000')],
    ['an exponent', text.replace('index 5', 'index 5e0')],
    ['a hash of 31 bytes', text.replace(toBase64(hash(2)), toBase64(hash(2).subarray(1)))],
    ['a hash of 33 bytes', text.replace(toBase64(hash(2)), toBase64(new Uint8Array(33)))],
    ['a hash in base64url', text.replace(toBase64(hash(2)), toBase64(hash(255)).replaceAll('/', '_'))],
    ['54 hashes', formatTlogProof({ ...proof, path: Array.from({ length: 54 }, () => hash(1)) })],
    ['no empty line', text.replace(`\n\n${CHECKPOINT}`, '\n')],
    ['no checkpoint', text.slice(0, text.indexOf('\n\n') + 2)],
    ['a checkpoint without its last newline', text.slice(0, -1)],
  ])('with %s are refused', (_, wrong) => {
    expect(() => parseTlogProof(wrong)).toThrow(expect.objectContaining({ code: 'FORMAT_INVALID' }));
  });

  test.each([
    ['', 'it is empty'],
    [text.replaceAll('\n', '\r\n'), 'its lines end in CR LF'],
    ['# Lineproof\n', 'it does not start with c2sp.org/tlog-proof@v1'],
    [text.slice(0, 60), 'the empty line before the checkpoint is missing'],
  ])('that a mail program or a wrong path gave are refused with what they are (%#)', (wrong, words) => {
    expect(() => parseTlogProof(wrong)).toThrow(words);
  });
});
