import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import * as browser from '../../../../core/crypto/browser.ts';
import * as node from '../../../../core/crypto/node.ts';
import { holdCryptoContract } from './crypto-contract.ts';

describe('node', () => holdCryptoContract(node));
describe('browser', () => holdCryptoContract(browser));

test('both say the same of any seed, message and damaged signature', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), fc.uint8Array({ maxLength: 200 }), fc.nat(511), (seed, message, bit) => {
      const [here, there] = [node.importPrivateKey(seed), browser.importPrivateKey(seed)];
      expect(there.publicKey).toEqual(here.publicKey);
      const signature = node.signEd25519(here, message);
      expect(browser.signEd25519(there, message)).toEqual(signature);
      const damaged = signature.slice();
      damaged[bit >> 3] = (damaged[bit >> 3] as number) ^ (1 << (bit & 7));
      for (const { importPublicKey, verifyEd25519 } of [node, browser]) {
        const key = importPublicKey(here.publicKey);
        expect([verifyEd25519(key, message, signature), verifyEd25519(key, message, damaged)]).toEqual([true, false]);
      }
    }),
    { numRuns: 50 },
  );
});

test('both know the same exports', () => {
  expect(Object.keys(browser).toSorted()).toEqual(Object.keys(node).toSorted());
});
