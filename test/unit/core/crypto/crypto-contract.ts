import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { concat, fromHex, toHex, utf8 } from '../../../../core/base/bytes.ts';

type Crypto = typeof import('../../../../core/crypto/node.ts');
type SignedCase = { readonly publicKey: string; readonly message: string; readonly signature: string };

const read = (name: string): unknown => JSON.parse(readFileSync(new URL(`../../../vectors/keys/${name}`, import.meta.url), 'utf8'));
const { rfc8032, edge } = read('../crypto/ed25519.json') as Readonly<
  Record<
    'rfc8032' | 'edge',
    {
      readonly vectors: readonly {
        readonly name: string;
        readonly seed: string;
        readonly key: string;
        readonly message: string;
        readonly signature: string;
        readonly good: boolean;
      }[];
    }
  >
>;
const speccheck = read('speccheck.json') as {
  readonly cases: readonly (SignedCase & { readonly name: string; readonly holds: boolean })[];
};
const torsion = read('torsion.json') as {
  readonly publicKey: string;
  readonly message: string;
  readonly signatures: readonly string[];
  readonly identityR: string;
  readonly forgeries: readonly SignedCase[];
};

/** Order of Ed25519's base point (RFC 8032 §5.1), little-endian. */
const L = 'edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010';
const code = (call: () => unknown): unknown => {
  try {
    return call();
  } catch (error) {
    return (error as { code: string }).code;
  }
};

/** What every module behind #crypto must do. */
export function holdCryptoContract(crypto: Crypto): void {
  const { sha256, sha256Into, sha256Stream, hmacSha256, randomBytes, importPublicKey, importPrivateKey, signEd25519, verifyEd25519 } =
    crypto;
  const verify = ({ publicKey, message, signature }: SignedCase): boolean =>
    verifyEd25519(importPublicKey(fromHex(publicKey)), fromHex(message), fromHex(signature));
  const vectors = rfc8032.vectors.map(({ key, ...rest }) => ({ publicKey: key, ...rest }));
  const [first, , third] = vectors as [(typeof vectors)[number], unknown, (typeof vectors)[number]];

  // FIPS 180-4 examples.
  test.each([
    ['sha256', 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'],
    ['sha384', 'cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7'],
    [
      'sha512',
      'ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f',
    ],
  ] as const)('%s of "abc"', (name, digest) => {
    expect(toHex(crypto.sha2(name, utf8('abc')))).toBe(digest);
  });

  test('a signature of a certificate or time stamp is never taken for good without being verified', () => {
    const scheme = { kind: 'ecdsa', hash: 'sha256' } as const;
    expect(crypto.verifyForeignSignature(new Uint8Array(), scheme, utf8('a'), new Uint8Array(8))).not.toBe(true);
  });

  // FIPS 180-4 examples.
  test.each([
    ['', 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'],
    ['abc', 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'],
    ['abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq', '248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1'],
  ])('SHA-256 of %j', (text, digest) => {
    expect(toHex(sha256(utf8(text)))).toBe(digest);
    const out = new Uint8Array(40).fill(7);
    sha256Into(utf8(text), out, 4);
    expect(toHex(out)).toBe(`07070707${digest}07070707`);
    const stream = sha256Stream();
    for (const byte of utf8(text)) stream.update(Uint8Array.of(byte));
    expect(toHex(stream.digest())).toBe(digest);
  });

  test('SHA-256 reads exactly the bytes of a view', () => {
    const arena = utf8('xxabcxx');
    expect(sha256(arena.subarray(2, 5))).toEqual(sha256(utf8('abc')));
  });

  test('every hash has separate memory', () => {
    const hash = sha256(utf8('a'));
    const before = toHex(hash);
    sha256(utf8('b'));
    expect(toHex(hash)).toBe(before);
  });

  test('HMAC-SHA256 as in RFC 4231, test cases 2 and 6', () => {
    expect(toHex(hmacSha256(utf8('Jefe'), utf8('what do ya want for nothing?')))).toBe(
      '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
    );
    expect(toHex(hmacSha256(new Uint8Array(131).fill(0xaa), utf8('Test Using Larger Than Block-Size Key - Hash Key First')))).toBe(
      '60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54',
    );
  });

  test('random bytes have the wanted length and do not repeat', () => {
    expect([0, 1, 32, 70_000].map((length) => randomBytes(length).length)).toEqual([0, 1, 32, 70_000]);
    expect(randomBytes(16)).not.toEqual(randomBytes(16));
    expect(
      randomBytes(70_000)
        .subarray(65_536)
        .some((byte) => byte !== 0),
    ).toBe(true);
  });

  test.each(vectors)('RFC 8032 §7.1: $name', (each) => {
    const key = importPrivateKey(fromHex(each.seed));
    expect(toHex(key.publicKey)).toBe(each.publicKey);
    expect(toHex(signEd25519(key, fromHex(each.message)))).toBe(each.signature);
    expect(verify(each)).toBe(true);
  });

  test.each(speccheck.cases)('a signature with $name holds: $holds', (each) => {
    expect(verify(each)).toBe(each.holds);
  });

  test.each(edge.vectors)('a signature where $name is good: $good', ({ key, message, signature, good }) => {
    expect(verify({ publicKey: key, message, signature })).toBe(good);
  });

  test('torsion in R is refused, whatever its order', () => {
    const { publicKey, message, signatures } = torsion;
    expect(signatures.map((signature) => verify({ publicKey, message, signature }))).toEqual([true, ...Array(7).fill(false)]);
  });

  test('R of small order is refused even where the equation holds: OpenSSL 3.0 takes it, 3.5 does not', () => {
    expect(verify({ ...torsion, signature: torsion.identityR })).toBe(false);
  });

  test('S + L of a right signature is refused', () => {
    const plusL = addLittleEndian(fromHex(first.signature).subarray(32), fromHex(L));
    expect(verify({ ...first, signature: first.signature.slice(0, 64) + toHex(plusL) })).toBe(false);
  });

  test('keys of small order verify nothing in any spelling, though the equation holds', () => {
    expect(torsion.forgeries).toHaveLength(14);
    expect(torsion.forgeries.filter(verify)).toEqual([]);
  });

  test('a bit anywhere in key, message or signature decides', () => {
    const { publicKey, message, signature } = third;
    expect(flips(publicKey).filter((flipped) => verify({ publicKey: flipped, message, signature }))).toEqual([]);
    expect(flips(message).filter((flipped) => verify({ publicKey, message: flipped, signature }))).toEqual([]);
    expect(flips(signature).filter((flipped) => verify({ publicKey, message, signature: flipped }))).toEqual([]);
  });

  test('verification of nonsense is false, not an exception', () => {
    const key = importPublicKey(fromHex(first.publicKey));
    for (const length of [0, 63, 65, 128]) expect(verifyEd25519(key, new Uint8Array(0), new Uint8Array(length))).toBe(false);
    expect(verifyEd25519({ raw: key.raw }, new Uint8Array(0), fromHex(first.signature))).toBe(false);
    for (let seed = 0; seed < 20; seed++) {
      const raw = sha256(utf8(`no point ${seed}`));
      expect(verifyEd25519(importPublicKey(raw), new Uint8Array(0), concat(raw, raw))).toBe(false);
    }
  });

  test('a key keeps what it was imported from', () => {
    const raw = fromHex(first.publicKey);
    const seed = fromHex(first.seed);
    const [key, secret] = [importPublicKey(raw), importPrivateKey(seed)];
    raw.fill(0);
    seed.fill(0);
    expect(toHex(key.raw)).toBe(first.publicKey);
    expect(verifyEd25519(key, new Uint8Array(0), signEd25519(secret, new Uint8Array(0)))).toBe(true);
  });

  test('keys of another length are refused, and foreign key objects', () => {
    for (const length of [0, 31, 33, 64]) {
      expect(code(() => importPublicKey(new Uint8Array(length)))).toBe('KEY_INVALID');
      expect(code(() => importPrivateKey(new Uint8Array(length)))).toBe('KEY_INVALID');
    }
    expect(code(() => signEd25519({ publicKey: new Uint8Array(32) }, new Uint8Array(0)))).toBe('INTERNAL');
  });
}

function addLittleEndian(a: Uint8Array, b: Uint8Array): Uint8Array {
  let carry = 0;
  return a.map((byte, i) => {
    carry = byte + (b[i] as number) + (carry >> 8);
    return carry & 0xff;
  });
}

/** `hex` with each of its bits flipped in turn. */
function flips(hex: string): string[] {
  return Array.from({ length: hex.length * 4 }, (_, bit) => {
    const bytes = fromHex(hex);
    bytes[bit >> 3] = (bytes[bit >> 3] as number) ^ (1 << (bit & 7));
    return toHex(bytes);
  });
}
