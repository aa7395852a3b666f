import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { fromHex, toHex, utf8 } from '../../../core/bytes.ts';

type Crypto = typeof import('../../../core/crypto/node.ts');
interface Vector {
  readonly name: string;
  readonly key: string;
  readonly message: string;
  readonly signature: string;
}
const VECTORS = JSON.parse(readFileSync('test/vectors/crypto/ed25519.json', 'utf8')) as {
  readonly rfc8032: { readonly vectors: readonly (Vector & { readonly seed: string })[] };
  readonly edge: { readonly vectors: readonly (Vector & { readonly good: boolean })[] };
};

/** What `#crypto` promises on every platform. */
export function cryptoContract(name: string, crypto: Crypto): void {
  const verify = (key: string, message: string, signature: string): boolean =>
    crypto.verifyEd25519(crypto.importPublicKey(fromHex(key)), fromHex(message), fromHex(signature));

  describe(`${name} keeps the contract of #crypto`, () => {
    test('hashes as FIPS 180-2 appendix B has it', () => {
      expect(toHex(crypto.sha256(utf8('abc')))).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
      expect(toHex(crypto.sha256(utf8('abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq')))).toBe(
        '248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1',
      );
    });

    test('writes a hash where it is told to and nowhere else', () => {
      const out = new Uint8Array(40).fill(7);
      crypto.sha256Into(utf8('abc'), out, 4);
      expect(toHex(out)).toBe(`07070707${toHex(crypto.sha256(utf8('abc')))}07070707`);
    });

    test('gives every hash memory of its own', () => {
      const first = crypto.sha256(utf8('a'));
      const before = toHex(first);
      crypto.sha256(utf8('b'));
      expect(toHex(first)).toBe(before);
    });

    test.each([
      // RFC 4231 §4.2, §4.3, §4.7
      ['0b'.repeat(20), '4869205468657265', 'b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7'],
      [
        '4a656665',
        '7768617420646f2079612077616e7420666f72206e6f7468696e673f',
        '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
      ],
      [
        'aa'.repeat(131),
        '54657374205573696e67204c6172676572205468616e20426c6f636b2d53697a65204b6579202d2048617368204b6579204669727374',
        '60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54',
      ],
    ])('computes HMAC-SHA256 as RFC 4231 has it (key %s)', (key, data, mac) => {
      expect(toHex(crypto.hmacSha256(fromHex(key), fromHex(data)))).toBe(mac);
    });

    test('gives as many random bytes as asked for, beyond 65,536 too', () => {
      const bytes = crypto.randomBytes(70_000);
      expect(bytes).toHaveLength(70_000);
      expect(toHex(bytes.subarray(-32))).not.toBe('00'.repeat(32));
      expect(toHex(crypto.randomBytes(16))).not.toBe(toHex(crypto.randomBytes(16)));
    });

    test.each(VECTORS.rfc8032.vectors)('signs and verifies RFC 8032 §7.1 $name', ({ seed, key, message, signature }) => {
      const privateKey = crypto.importPrivateKey(fromHex(seed));
      expect(toHex(privateKey.publicKey)).toBe(key);
      expect(toHex(crypto.signEd25519(privateKey, fromHex(message)))).toBe(signature);
      expect(verify(key, message, signature)).toBe(true);
    });

    test.each(VECTORS.edge.vectors)('verification of a signature where $name gives $good', ({ key, message, signature, good }) => {
      expect(verify(key, message, signature)).toBe(good);
    });

    test('a flipped bit anywhere is no signature', () => {
      const { key, message, signature } = VECTORS.rfc8032.vectors[2] as Vector;
      for (let bit = 0; bit < 512; bit += 7) {
        const flipped = fromHex(signature);
        flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
        expect(verify(key, message, toHex(flipped))).toBe(false);
      }
      expect(verify(key, `${message}00`, signature)).toBe(false);
    });

    test('what has another length is no signature and no key, and a foreign key object verifies nothing', () => {
      const { key, message, signature } = VECTORS.rfc8032.vectors[2] as Vector;
      for (const wrong of ['', signature.slice(2), `${signature}00`]) expect(verify(key, message, wrong)).toBe(false);
      expect(crypto.verifyEd25519({ raw: fromHex(key) }, fromHex(message), fromHex(signature))).toBe(false);
      expect(() => crypto.importPublicKey(new Uint8Array(31))).toThrow(expect.objectContaining({ code: 'KEY_INVALID' }));
      expect(() => crypto.importPrivateKey(new Uint8Array(33))).toThrow(expect.objectContaining({ code: 'KEY_INVALID' }));
      expect(() => crypto.signEd25519({ publicKey: fromHex(key) }, fromHex(message))).toThrow(
        expect.objectContaining({ code: 'INTERNAL' }),
      );
    });

    test('a key does not change with the bytes that it was imported from', () => {
      const { key, message, signature } = VECTORS.rfc8032.vectors[2] as Vector;
      const raw = fromHex(key);
      const imported = crypto.importPublicKey(raw);
      raw.fill(0);
      expect(toHex(imported.raw)).toBe(key);
      expect(crypto.verifyEd25519(imported, fromHex(message), fromHex(signature))).toBe(true);
    });

    test('whatever it signs it verifies, and under no other message', () => {
      const bytes = fc.uint8Array({ maxLength: 200 });
      fc.assert(
        fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), bytes, bytes, (seed, message, other) => {
          const key = crypto.importPrivateKey(seed);
          const signature = crypto.signEd25519(key, message);
          const publicKey = crypto.importPublicKey(key.publicKey);
          expect(crypto.verifyEd25519(publicKey, message, signature)).toBe(true);
          expect(crypto.verifyEd25519(publicKey, other, signature)).toBe(toHex(other) === toHex(message));
        }),
        { numRuns: 12, seed: 8032 },
      );
    });
  });
}
