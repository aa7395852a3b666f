import { isUtf8 } from 'node:buffer';
import { sha256 } from '#crypto';
import { toHex } from '../core/base/bytes.ts';

/** Bytes that a cut text keeps of its beginning. */
const KEPT_BYTES = 1024;

/** How {@link byteText} writes. */
export interface ByteTextOptions {
  /** Escape control characters too: for what is printed, and for names of streams. */
  readonly controls?: boolean;
  /** More bytes than this are cut. */
  readonly maxBytes?: number;
}

/**
 * Bytes as text, which can be turned back into the same bytes: UTF-8 stays as it is; each byte that is not UTF-8 becomes `\xNN` (two lower-case hex digits), and so does
 * a backslash before what looks like such an escape. To get the bytes back, replace each `\xNN` by its byte. Bytes beyond `maxBytes` are cut: then
 * the text is the beginning, `…`, and the SHA-256 and the length of all bytes.
 */
export function byteText(bytes: Uint8Array, { controls = false, maxBytes = Number.POSITIVE_INFINITY }: ByteTextOptions = {}): string {
  if (bytes.length > maxBytes) {
    const start = escaped(bytes.subarray(0, Math.min(KEPT_BYTES, maxBytes)), controls);
    return `${start}… (sha256 ${toHex(sha256(bytes))}, ${bytes.length} bytes)`;
  }
  return escaped(bytes, controls);
}

/** Whether {@link byteText} escapes or cuts something, so that its text is not the bytes' UTF-8. */
export function isEscaped(bytes: Uint8Array, text: string): boolean {
  return Buffer.compare(Buffer.from(text), bytes) !== 0;
}

function escaped(bytes: Uint8Array, controls: boolean): string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (isUtf8(buffer)) return escapedText(buffer.toString('utf8'), controls);
  const parts: string[] = [];
  let from = 0;
  for (let at = 0; at < buffer.length; ) {
    const length = sequenceLength(buffer, at);
    if (length === 0) {
      parts.push(escapedText(buffer.toString('utf8', from, at), controls), hexEscape(buffer[at] as number));
      from = at + 1;
    }
    at += length || 1;
  }
  parts.push(escapedText(buffer.toString('utf8', from), controls));
  return parts.join('');
}

/** Bytes of the UTF-8 character at `at`; 0 if there is none. */
function sequenceLength(buffer: Buffer, at: number): number {
  const lead = buffer[at] as number;
  const length = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  return at + length <= buffer.length && isUtf8(buffer.subarray(at, at + length)) ? length : 0;
}

function escapedText(text: string, controls: boolean): string {
  const plain = text.replaceAll(/\\(?=x[0-9a-fA-F]{2})/g, '\\x5c');
  return controls ? plain.replaceAll(/\p{Cc}/gu, (char) => [...Buffer.from(char)].map(hexEscape).join('')) : plain;
}

function hexEscape(byte: number): string {
  return `\\x${byte.toString(16).padStart(2, '0')}`;
}
