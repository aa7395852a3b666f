import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { fromHex, toHex, utf8 } from '../../../core/bytes.ts';
import * as browser from '../../../core/crypto/browser.ts';
import * as node from '../../../core/crypto/node.ts';
import { checkPublicKey } from '../../../core/ed25519.ts';
import { cryptoContract } from './crypto-contract.ts';

cryptoContract('node:crypto', node);
cryptoContract('noble', browser);

const { badKeys, rfc8032 } = JSON.parse(readFileSync('test/vectors/crypto/ed25519.json', 'utf8')) as {
  readonly badKeys: { readonly keys: readonly { readonly name: string; readonly key: string }[] };
  readonly rfc8032: { readonly vectors: readonly { readonly key: string; readonly seed: string }[] };
};

test('both platforms export the same names', () => {
  expect(Object.keys(browser).toSorted()).toEqual(Object.keys(node).toSorted());
});

test('both platforms make the same signatures', () => {
  const seed = node.randomBytes(32);
  expect(toHex(browser.signEd25519(browser.importPrivateKey(seed), utf8('x')))).toBe(
    toHex(node.signEd25519(node.importPrivateKey(seed), utf8('x'))),
  );
});

describe('a public key is registered', () => {
  test.each(badKeys.keys)('never where it is $name', ({ key }) => {
    expect(() => checkPublicKey(fromHex(key))).toThrow(expect.objectContaining({ code: 'KEY_INVALID' }));
  });

  test.each(['', '00'.repeat(31), '00'.repeat(33)])('never with another length (%s)', (key) => {
    expect(() => checkPublicKey(fromHex(key))).toThrow(expect.objectContaining({ code: 'KEY_INVALID' }));
  });

  test.each(rfc8032.vectors)('where it is the one of an RFC 8032 vector, $key', ({ key }) => {
    expect(() => checkPublicKey(fromHex(key))).not.toThrow();
  });
});
