import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { utf8 } from '../../../../core/base/bytes.ts';
import { type SignatureScheme, verifyForeignSignature } from '../../../../core/crypto/node.ts';

const TEXT = utf8('text');
const spki = (key: KeyObject): Uint8Array => key.export({ format: 'der', type: 'spki' });
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const ec = generateKeyPairSync('ec', { namedCurve: 'P-384' });
const ed = generateKeyPairSync('ed25519');

test.each<[string, { readonly publicKey: KeyObject; readonly privateKey: KeyObject }, SignatureScheme]>([
  ['RSA with SHA-256', rsa, { kind: 'rsa', hash: 'sha256' }],
  ['RSA with SHA-512', rsa, { kind: 'rsa', hash: 'sha512' }],
  ['ECDSA with SHA-384', ec, { kind: 'ecdsa', hash: 'sha384' }],
  ['Ed25519', ed, { kind: 'ed25519', hash: 'sha512' }],
])('%s: a signature holds for its text, its key and its scheme', (_, { publicKey, privateKey }, scheme) => {
  const signature = sign(scheme.kind === 'ed25519' ? null : scheme.hash, TEXT, privateKey);
  expect(verifyForeignSignature(spki(publicKey), scheme, TEXT, signature)).toBe(true);
  expect(verifyForeignSignature(spki(publicKey), scheme, utf8('other'), signature)).toBe(false);
  for (const { publicKey: other } of [rsa, ec, ed].filter((pair) => pair.publicKey !== publicKey))
    expect(verifyForeignSignature(spki(other), scheme, TEXT, signature)).toBe(false);
});

test('an RSA key below 2,048 bits verifies nothing', () => {
  const short = generateKeyPairSync('rsa', { modulusLength: 1024 });
  const signature = sign('sha256', TEXT, short.privateKey);
  expect(verifyForeignSignature(spki(short.publicKey), { kind: 'rsa', hash: 'sha256' }, TEXT, signature)).toBe(false);
});
