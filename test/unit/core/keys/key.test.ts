import { describe, expect, test } from '@jest/globals';
import { fromBase64, fromHex, toHex, utf8 } from '../../../../core/base/bytes.ts';
import { importPublicKey, verifyEd25519 } from '../../../../core/crypto/node.ts';
import {
  checkKeyName,
  formatPrivateKey,
  formatVerifierKey,
  keyId,
  keySigner,
  parsePrivateKey,
  parseVerifierKey,
} from '../../../../core/keys/key.ts';
import { KEY_TYPE } from '../../../../core/keys/signature.ts';

/** golang.org/x/mod/sumdb/note, package documentation and note_test.go. */
const GO_VERIFIER = 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW';
const GO_PRIVATE = 'PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz';
const KEY_INVALID = expect.objectContaining({ code: 'KEY_INVALID' });
const MATERIAL = GO_VERIFIER.slice(GO_VERIFIER.lastIndexOf('+') + 1);

describe('verifier keys', () => {
  test("Go's example is read and written as it is", () => {
    const key = parseVerifierKey(GO_VERIFIER);
    expect(key).toMatchObject({ name: 'PeterNeumann', type: 1, text: GO_VERIFIER });
    expect(toHex(key.id)).toBe('c74f20a3');
    expect(formatVerifierKey(key.name, key.type, key.publicKey)).toBe(GO_VERIFIER);
  });

  test("no part of Go's example is a key, nor is it with one character changed", () => {
    for (let i = 0; i < GO_VERIFIER.length; i++) {
      for (let k = i + 1; k <= GO_VERIFIER.length; k++)
        if (k - i < GO_VERIFIER.length) expect(() => parseVerifierKey(GO_VERIFIER.slice(i, k))).toThrow(KEY_INVALID);
      const changed = GO_VERIFIER.slice(0, i) + String.fromCharCode(GO_VERIFIER.charCodeAt(i) + 1) + GO_VERIFIER.slice(i + 1);
      expect(() => parseVerifierKey(changed)).toThrow(KEY_INVALID);
    }
  });

  test('base64 may hold + without splitting the key', () => {
    const keys = Array.from({ length: 64 }, (_, i) => keySigner('a', new Uint8Array(32).fill(i)).verifierKey);
    const withPlus = keys.filter((text) => text.split('+').length > 3);
    expect(withPlus.length).toBeGreaterThan(0);
    for (const text of withPlus) expect(parseVerifierKey(text).text).toBe(text);
  });

  test.each([
    ['an upper-case id', `PeterNeumann+C74F20A3+${MATERIAL}`],
    ["another name's id", `PeterNeuman+c74f20a3+${MATERIAL}`],
    ['no material', 'PeterNeumann+c74f20a3+'],
    ['base64 with unused bits set', GO_VERIFIER.replace(/W$/, 'X')],
    ['base64 without padding', 'a+00000000+AQA'],
    ['no id', 'PeterNeumann'],
    ['no name', `+c74f20a3+${MATERIAL}`],
    ['a key of another length', formatVerifierKey('a', KEY_TYPE.ed25519, new Uint8Array(33).fill(1))],
    ['a key of small order', formatVerifierKey('a', KEY_TYPE.ed25519, fromHex(`01${'00'.repeat(31)}`))],
    ['a witness key of small order', formatVerifierKey('a', KEY_TYPE.cosignature, fromHex(`01${'00'.repeat(31)}`))],
    ['material beyond 8 KiB', formatVerifierKey('a', 6, new Uint8Array(8192))],
  ])('one with %s is refused', (_, text) => {
    expect(() => parseVerifierKey(text)).toThrow(KEY_INVALID);
  });

  test('one of an algorithm that is not known is kept', () => {
    const text = formatVerifierKey('ml-dsa', 6, new Uint8Array(1312).fill(3));
    expect(parseVerifierKey(text)).toMatchObject({ type: 6, text });
  });

  test('the type counts for the id', () => {
    const { publicKey } = parseVerifierKey(GO_VERIFIER);
    expect(toHex(keyId('PeterNeumann', KEY_TYPE.ed25519, publicKey))).toBe('c74f20a3');
    expect(toHex(keyId('PeterNeumann', KEY_TYPE.cosignature, publicKey))).not.toBe('c74f20a3');
  });
});

describe('key names', () => {
  test.each(['a', 'example.com/log/0', 'ü', 'x'.repeat(255), '🙂', 'a\uFEFFb', 'a\u200Bb'])('%s is one', (name) => {
    expect(() => checkKeyName(name)).not.toThrow();
  });

  test.each(['', 'a b', 'a+b', 'a\tb', 'a\nb', 'a\u00a0b', 'a\u0000b', 'a\u0085b', 'a\u007fb', '\ud800', 'x'.repeat(256), 'ü'.repeat(128)])(
    '%j is not one',
    (name) => {
      expect(() => checkKeyName(name)).toThrow(KEY_INVALID);
    },
  );
});

describe('private keys', () => {
  test("Go's example is read and written as it is, and belongs to its verifier key", () => {
    const { name, id, seed } = parsePrivateKey(GO_PRIVATE);
    expect([name, toHex(id)]).toEqual(['PeterNeumann', 'c74f20a3']);
    expect(formatPrivateKey(name, seed)).toBe(GO_PRIVATE);
    expect(keySigner(name, seed).verifierKey).toBe(GO_VERIFIER);
  });

  test.each([
    ['a verifier key', GO_VERIFIER],
    ['nothing after the prefix', 'PRIVATE+KEY+'],
    ["another key's id", GO_PRIVATE.replace('c74f20a3', 'c74f20a4')],
    ['another algorithm', GO_PRIVATE.replace('+AYEK', '+AoEK')],
    ['a seed cut short', GO_PRIVATE.slice(0, -4)],
    ['a newline after it', `${GO_PRIVATE}\n`],
  ])('%s is not one', (_, text) => {
    expect(() => parsePrivateKey(text)).toThrow(KEY_INVALID);
  });

  test('an error about one repeats nothing of it', () => {
    let message = '';
    try {
      parsePrivateKey(GO_PRIVATE.replace('c74f20a3', 'c74f20a4'));
    } catch (error) {
      message = String((error as Error).stack);
    }
    expect(message).toContain('its id does not belong');
    expect(message).not.toContain('AYEKFALV');
  });

  test('a signer signs what its verifier key verifies', async () => {
    const { name, seed } = parsePrivateKey(GO_PRIVATE);
    const signer = keySigner(name, seed);
    const signature = await signer.sign(utf8('x'));
    expect(verifyEd25519(importPublicKey(parseVerifierKey(signer.verifierKey).publicKey), utf8('x'), signature)).toBe(true);
    expect(toHex(signer.keyId)).toBe('c74f20a3');
    expect(fromBase64(MATERIAL)[0]).toBe(KEY_TYPE.ed25519);
  });
});
