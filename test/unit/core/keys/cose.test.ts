import { describe, expect, test } from '@jest/globals';
import { fromHex, toHex, utf8 } from '../../../../core/base/bytes.ts';
import { CBOR_NULL, cborArray, cborBytes, cborInt, cborMap, cborTag, cborText } from '../../../../core/base/cbor.ts';
import { receiptOf, signTreeHead, treeHeadSigner } from '../../../../core/keys/cose.ts';
import { parseVerifierKey } from '../../../../core/keys/key.ts';
import { testSigner } from '../../../support/producer.ts';

describe('CBOR', () => {
  // RFC 8949, appendix A.
  test.each<[string, Uint8Array, string]>([
    ['0', cborInt(0), '00'],
    ['23', cborInt(23), '17'],
    ['24', cborInt(24), '1818'],
    ['100', cborInt(100), '1864'],
    ['1000', cborInt(1000), '1903e8'],
    ['1000000', cborInt(1_000_000), '1a000f4240'],
    ['1000000000000', cborInt(1_000_000_000_000), '1b000000e8d4a51000'],
    ['-1', cborInt(-1), '20'],
    ['-10', cborInt(-10), '29'],
    ['-100', cborInt(-100), '3863'],
    ['-1000', cborInt(-1000), '3903e7'],
    ['null', CBOR_NULL, 'f6'],
    ["h'01020304'", cborBytes(fromHex('01020304')), '4401020304'],
    ['"IETF"', cborText('IETF'), '6449455446'],
    ['"ü"', cborText('ü'), '62c3bc'],
    ['[1, 2, 3]', cborArray(cborInt(1), cborInt(2), cborInt(3)), '83010203'],
    ['{1: 2, 3: 4}', cborMap([1, cborInt(2)], [3, cborInt(4)]), 'a201020304'],
    ['1(1363896240)', cborTag(1, cborInt(1_363_896_240)), 'c11a514b67b0'],
  ])('writes %s as the specification does', (_, bytes, hex) => {
    expect(toHex(bytes)).toBe(hex);
  });
});

describe('the COSE signature of a tree head', () => {
  const signer = testSigner('example.org/log/0');
  const head = { origin: 'example.org/log/0', size: 300, root: new Uint8Array(32).fill(5) };
  const keys = [parseVerifierKey(signer.verifierKey)];

  test('is found to be by the key that made it, for its own head only', async () => {
    const bytes = await signTreeHead(head, signer);
    expect(treeHeadSigner(bytes, head, keys)).toBe(keys[0]);
    for (const other of [
      { ...head, size: 301 },
      { ...head, origin: 'example.org/log/1' },
      { ...head, root: new Uint8Array(32).fill(6) },
    ])
      expect(treeHeadSigner(bytes, other, keys)).toBeUndefined();
    expect(treeHeadSigner(bytes, head, [parseVerifierKey(testSigner('example.org/log/0', 'other').verifierKey)])).toBeUndefined();
  });

  test('has one spelling: no other bytes are taken', async () => {
    const bytes = await signTreeHead(head, signer);
    for (let at = 0; at < bytes.length; at++) {
      const other = bytes.slice();
      other[at] = (other[at] as number) ^ 1;
      expect([at, treeHeadSigner(other, head, keys)]).toEqual([at, undefined]);
    }
    for (const other of [bytes.slice(1), bytes.slice(0, -1), Uint8Array.of(...bytes, 0), new Uint8Array(0)])
      expect(treeHeadSigner(other, head, keys)).toBeUndefined();
  });

  test('becomes a receipt with the path, and nothing else does', async () => {
    const bytes = await signTreeHead(head, signer);
    const receipt = toHex(receiptOf(bytes, { size: 300, index: 3, path: [new Uint8Array(32).fill(1)] }));
    expect(receipt).toContain(`a119018ca1208158288319012c03815820${'01'.repeat(32)}`);
    expect(receipt.endsWith(`f65840${toHex(bytes.slice(-64))}`)).toBe(true);
    expect(() => receiptOf(utf8('x'.repeat(200)), { size: 1, index: 0, path: [] })).toThrow(
      expect.objectContaining({ code: 'FORMAT_INVALID' }),
    );
  });
});
