import { sha256, sha256Into } from '#crypto';
import { concat, fromHex, toHex, utf8, utf8Into } from '../base/bytes.ts';
import { LineproofError } from '../base/errors.ts';

/** UUIDv7 (RFC 9562): milliseconds of `nowMicros`, then 10 bytes of `random`. */
export function newEventId(nowMicros: number, random: Uint8Array): Uint8Array {
  if (random.length < 10) throw new LineproofError('FORMAT_INVALID', 'cannot make event id: it needs 10 random bytes');
  const id = new Uint8Array(16);
  let ms = Math.floor(nowMicros / 1000);
  for (let i = 5; i >= 0; i--) {
    id[i] = ms % 256;
    ms = Math.floor(ms / 256);
  }
  id.set(random.subarray(0, 10), 6);
  return stamp(id, 7);
}

/** UUIDv8 of a caller's idempotency key: `H(0x05 ‖ u16 len(stream) ‖ stream ‖ key)[:16]` with version and variant set (docs/formats.md §1). */
export function idFromKey(stream: string, key: string | Uint8Array): Uint8Array {
  return stamp(keyed(5, stream, typeof key === 'string' ? utf8(key) : key), 8);
}

/** Key of an identity in the dedup index: `H(0x04 ‖ u16 len(stream) ‖ stream ‖ id)[:16]` (docs/formats.md §3). */
export function dedupKeyOfEvent(stream: string, id: Uint8Array): Uint8Array {
  return keyed(4, stream, id);
}

/** Key of a batch header in the dedup index: `H(0x06 ‖ header)[:16]` (docs/formats.md §3). */
export function dedupKeyOfHeader(header: Uint8Array): Uint8Array {
  return sha256(concat(Uint8Array.of(6), header)).slice(0, 16);
}

/** The usual lower-case text of a 16-byte UUID. */
export function formatUuid(id: Uint8Array): string {
  const hex = toHex(id);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** The 16 bytes of a UUID as {@link formatUuid} writes it; throws FORMAT_INVALID. */
export function parseUuid(text: string): Uint8Array {
  if (!/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text))
    throw new LineproofError('FORMAT_INVALID', 'cannot read UUID: it is not lower-case 8-4-4-4-12');
  return fromHex(text.replaceAll('-', ''));
}

/** Buffer for the bytes to hash; its content never outlives a call. */
let keyInput = new Uint8Array(1024);
const keyDigest = new Uint8Array(32);

function keyed(prefix: number, stream: string, rest: Uint8Array): Uint8Array {
  const room = 3 + 3 * stream.length + rest.length;
  if (room > keyInput.length) keyInput = new Uint8Array(2 * room);
  const end = utf8Into(stream, keyInput, 3);
  const length = end - 3;
  if (length > 0xffff) throw new LineproofError('LIMIT_EXCEEDED', `cannot hash identity: the stream name has ${length} bytes`);
  keyInput[0] = prefix;
  keyInput[1] = length >> 8;
  keyInput[2] = length & 0xff;
  keyInput.set(rest, end);
  sha256Into(keyInput.subarray(0, end + rest.length), keyDigest, 0);
  return keyDigest.slice(0, 16);
}

function stamp(id: Uint8Array, version: number): Uint8Array {
  id[6] = ((id[6] as number) & 0x0f) | (version << 4);
  id[8] = ((id[8] as number) & 0x3f) | 0x80;
  return id;
}
