import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { fromHex } from '../../../../core/base/bytes.ts';
import { hasCode } from '../../../../core/base/errors.ts';
import { checkPublicKey } from '../../../../core/keys/ed25519.ts';

const read = (name: string): unknown => JSON.parse(readFileSync(new URL(`../../../vectors/keys/${name}`, import.meta.url), 'utf8'));

function refuses(publicKey: Uint8Array): boolean {
  try {
    checkPublicKey(publicKey);
    return false;
  } catch (error) {
    if (hasCode(error, 'KEY_INVALID')) return true;
    throw error;
  }
}

test.each(Object.entries(read('refused-keys.json') as Record<string, readonly string[]>).filter(([name]) => name !== 'source'))(
  'a key of %s is refused at registration',
  (_, keys) => {
    expect(keys.filter((key) => !refuses(fromHex(key)))).toEqual([]);
  },
);

test('sound keys are taken', () => {
  const { rfc8032 } = read('../crypto/ed25519.json') as { readonly rfc8032: { readonly vectors: readonly { readonly key: string }[] } };
  const speccheck = read('speccheck.json') as { readonly cases: readonly { readonly publicKey: string; readonly keyAllowed: boolean }[] };
  expect(rfc8032.vectors.filter(({ key }) => refuses(fromHex(key)))).toEqual([]);
  expect(speccheck.cases.filter(({ publicKey, keyAllowed }) => refuses(fromHex(publicKey)) === keyAllowed)).toEqual([]);
});

test('a key that is not a point, or has another length, is refused', () => {
  // y = 2 has no x on the curve.
  for (const bytes of [fromHex(`02${'00'.repeat(31)}`), new Uint8Array(0), new Uint8Array(31), new Uint8Array(33)])
    expect(refuses(bytes)).toBe(true);
});

test('each of these is refused', () => {
  const { badKeys } = read('../crypto/ed25519.json') as {
    readonly badKeys: { readonly keys: readonly { readonly name: string; readonly key: string }[] };
  };
  expect(badKeys.keys.filter(({ key }) => !refuses(fromHex(key))).map(({ name }) => name)).toEqual([]);
});
