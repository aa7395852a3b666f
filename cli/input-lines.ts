const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
/** More than an event of the largest size takes, also with most of its characters escaped. */
export const MAX_LINE_BYTES = 1024 * 1024;

/** One line of a stream, without its end. */
export type InputLine =
  | { readonly number: number; readonly text: string }
  /** A line that cannot be used; `fault` says why. */
  | { readonly number: number; readonly fault: string };

/**
 * The lines of a stream of bytes, numbered from 1. Only LF ends a line, and a CR before it belongs to the end; node:readline would also break texts at
 * U+2028. A byte order mark at the beginning is left out. The last line may lack its end. Lines that are empty or blank are skipped.
 */
export async function* inputLines(chunks: AsyncIterable<Uint8Array | string>): AsyncGenerator<InputLine> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  let number = 0;
  /** Keeps no more of a line than it may have. */
  const add = (piece: Buffer): void => {
    bytes += piece.length;
    if (bytes <= MAX_LINE_BYTES + 1) pieces.push(piece);
  };
  const take = (): InputLine | undefined => {
    const line = lineOf(++number, pieces, bytes);
    pieces.length = 0;
    bytes = 0;
    return line;
  };
  for await (const chunk of chunks) {
    const buffer = Buffer.from(chunk as Uint8Array);
    let from = 0;
    for (let end = buffer.indexOf(LINE_FEED); end >= 0; end = buffer.indexOf(LINE_FEED, from)) {
      add(buffer.subarray(from, end));
      from = end + 1;
      const line = take();
      if (line !== undefined) yield line;
    }
    if (from < buffer.length) add(buffer.subarray(from));
  }
  const last = bytes > 0 ? take() : undefined;
  if (last !== undefined) yield last;
}

function lineOf(number: number, pieces: readonly Buffer[], bytes: number): InputLine | undefined {
  const line = Buffer.concat(pieces);
  const isEnded = line.at(-1) === CARRIAGE_RETURN;
  if (bytes - (isEnded ? 1 : 0) > MAX_LINE_BYTES) return { number, fault: `it has more than ${MAX_LINE_BYTES} bytes` };
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: number > 1 }).decode(isEnded ? line.subarray(0, -1) : line);
    return /^[ \t\r]*$/.test(text) ? undefined : { number, text };
  } catch {
    return { number, fault: 'its bytes are not UTF-8' };
  }
}
