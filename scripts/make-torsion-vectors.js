// Prints signatures by a sound key whose R has torsion, made with noble's point arithmetic: the content of test/vectors/keys/torsion.json.
// They pass in a verifier that multiplies by the cofactor, and must fail in one that compares R byte for byte.
import { etc, hashes, Point, utils } from '@noble/ed25519';
import { sha512 } from '@noble/hashes/sha2.js';

hashes.sha512 = sha512;
const L = Point.CURVE().n;
const ORDER_8 = 'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a';
const ORDER_8_OTHER = '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05';
const number = (bytes) => BigInt(`0x${etc.bytesToHex(bytes.toReversed())}`);
const encode = (value) => etc.hexToBytes(value.toString(16).padStart(64, '0')).toReversed();

const seed = Uint8Array.from({ length: 32 }, (_, i) => i);
const { scalar, pointBytes } = utils.getExtendedPublicKey(seed);
const message = new TextEncoder().encode('torsion in R');
const R_SCALAR = number(sha512(message)) % L;
const sign = (torsion, r = R_SCALAR) => {
  const R = Point.BASE.multiply(r, false).add(torsion).toBytes();
  const k = number(sha512(etc.concatBytes(R, pointBytes, message))) % L;
  return etc.bytesToHex(etc.concatBytes(R, encode((r + k * scalar) % L)));
};

const generator = Point.fromHex(ORDER_8);
let torsion = Point.ZERO;
const signatures = [];
for (let i = 0; i < 8; i++) {
  signatures.push(sign(torsion));
  torsion = torsion.add(generator);
}

// With a key A of small order, anybody finds a message for which k·A = 0: then R = S·B is a signature by it.
const P = 2n ** 255n - 19n;
const SMALL_ORDER_Y = [0n, 1n, P - 1n, P, P + 1n, number(etc.hexToBytes(ORDER_8)), number(etc.hexToBytes(ORDER_8_OTHER))];
const forgeries = SMALL_ORDER_Y.flatMap((y) => [y, y + 2n ** 255n]).map((y) => forge(encode(y)));

function forge(publicKey) {
  const point = Point.fromBytes(publicKey, true);
  const R = Point.BASE.toBytes();
  for (let text = 0; ; text++) {
    const attempt = Uint8Array.of(text);
    const k = number(sha512(etc.concatBytes(R, publicKey, attempt))) % L;
    if (!point.multiply(k, false).is0()) continue;
    const [key, chosen, signature] = [publicKey, attempt, etc.concatBytes(R, encode(1n))].map((each) => etc.bytesToHex(each));
    return { publicKey: key, message: chosen, signature };
  }
}

process.stdout.write(
  `${JSON.stringify(
    {
      source:
        'scripts/make-torsion-vectors.js with @noble/ed25519 3.2.0; signature i has R = r·B + i·T, T of order 8; 0 is an ordinary one; identityR has r = 0 and no torsion; forgeries: by every spelling of a key of small order',
      publicKey: etc.bytesToHex(pointBytes),
      message: etc.bytesToHex(message),
      signatures,
      identityR: sign(Point.ZERO, 0n),
      forgeries,
    },
    null,
    2,
  )}\n`,
);
