import { utf8 } from './bytes.ts';
import { LineproofError } from './errors.ts';
import { LIMITS } from './limits.ts';

/** Why a signed text cannot be read that has carriage returns. */
export const CHANGED_LINE_ENDS = 'its lines end in CR LF, as a mail program or an editor may write them';

/** Throws FORMAT_INVALID with `message` unless `condition` holds. */
export function mustHold(condition: boolean, message: string): asserts condition {
  if (!condition) throw new LineproofError('FORMAT_INVALID', message);
}

/** Throws LIMIT_EXCEEDED when `what` has more than `limit` bytes. */
export function mustFit(bytes: number, limit: number, what: string): void {
  if (bytes > limit)
    throw new LineproofError('LIMIT_EXCEEDED', `cannot take ${what}: ${bytes} bytes are more than ${limit}`, { bytes, limit });
}

/** Throws FORMAT_INVALID unless each of `numbers` is 0 or more. */
export function mustCount(what: string, ...numbers: readonly number[]): void {
  for (const number of numbers) mustHold(number >= 0, `cannot take ${what}: a number in it is negative`);
}

/** Throws FORMAT_INVALID unless each of `numbers` is from 0 to {@link LIMITS.laneNumber}. */
export function mustNumberLane(what: string, ...numbers: readonly number[]): void {
  mustCount(what, ...numbers);
  for (const number of numbers) mustHold(number <= LIMITS.laneNumber, `cannot take ${what}: a number in it is above ${LIMITS.laneNumber}`);
}

/** Origins and key names: at most 255 bytes (docs/formats.md §2). */
export function checkName(name: string, what: string): void {
  if (name.length * 3 > LIMITS.nameBytes) mustFit(utf8(name).length, LIMITS.nameBytes, what);
}

/** The fault of a stream name, or undefined: it must have 1 to 256 bytes and no control characters (docs/formats.md §1). */
export function streamFault(stream: string): string | undefined {
  if (stream.length === 0) return 'the stream has no name';
  if (stream.length * 3 > LIMITS.streamBytes && utf8(stream).length > LIMITS.streamBytes)
    return `the stream's name is longer than ${LIMITS.streamBytes} bytes`;
  for (let i = 0; i < stream.length; i++) {
    const unit = stream.charCodeAt(i);
    if (unit < 0x20 || (unit >= 0x7f && unit < 0xa0)) return "the stream's name holds a control character";
  }
  return undefined;
}

/** Throws FORMAT_INVALID unless `stream` can be a stream's name. */
export function checkStream(stream: string): void {
  const fault = streamFault(stream);
  mustHold(fault === undefined, `cannot take stream: ${fault}`);
}
