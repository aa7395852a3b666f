import { equal, fromHex } from '../base/bytes.ts';

/** y of the eight points of small order, little-endian: of order 1, 2, 4, and two of order 8; each but the first two with either sign of x. */
const SMALL_ORDER_Y = [
  '0100000000000000000000000000000000000000000000000000000000000000',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  '0000000000000000000000000000000000000000000000000000000000000000',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
].map(fromHex);

/** Whether y < p, as RFC 8032 §5.1.3 demands; OpenSSL takes y modulo p. (It also lets x = 0 have a sign: such a point is of small order.) */
export function isCanonicalPoint(encoded: Uint8Array): boolean {
  const [low = 0, top = 0] = [encoded[0], encoded[31]];
  return low < 0xed || (top & 0x7f) !== 0x7f || encoded.subarray(1, 31).some((byte) => byte !== 0xff);
}

/**
 * Whether 32 bytes spell a point of small order, canonically except for the sign of x. As a key or as R, OpenSSL 3.5 refuses such points and
 * OpenSSL 3.0 does not. They are refused everywhere here, so that no signature holds on one machine and not on another.
 */
export function isSmallOrderPoint(encoded: Uint8Array): boolean {
  const low = encoded[0];
  const top = (encoded[31] as number) & 0x7f;
  return SMALL_ORDER_Y.some((y) => y[0] === low && y[31] === top && equal(y.subarray(0, 31), encoded.subarray(0, 31)));
}
