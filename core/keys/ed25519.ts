import { Point } from '@noble/ed25519';
import { toHex } from '../base/bytes.ts';
import { LineproofError } from '../base/errors.ts';

const KEYS_KEPT = 16_384;
/** A bounded cache of good keys: each key of a policy is read several times, and a check takes milliseconds. */
const checked = new Set<string>();

/** Refuses a public key that is not canonical, of small order or with torsion (docs/formats.md §4). Throws KEY_INVALID. Slow: for registration only. */
export function checkPublicKey(raw: Uint8Array): void {
  const hex = toHex(raw);
  if (checked.has(hex)) return;
  let point: Point;
  try {
    // Not ZIP 215: only y < p is taken, and the sign of x = 0 must be 0.
    point = Point.fromBytes(raw, false);
  } catch (cause) {
    throw new LineproofError('KEY_INVALID', 'cannot use public key: it is not a canonical point of the curve', {}, cause);
  }
  if (point.isSmallOrder() || !point.isTorsionFree())
    throw new LineproofError('KEY_INVALID', 'cannot use public key: it is of small order or has torsion');
  if (checked.size >= KEYS_KEPT) checked.clear();
  checked.add(hex);
}
