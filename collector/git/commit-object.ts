import { sha256Stream } from '#crypto';
import { byteText, isEscaped } from '../byte-text.ts';

/** Header lines beyond this are not read. */
const MAX_HEADER_BYTES = 1024 * 1024;
const MAX_MESSAGE_BYTES = 8 * 1024;
const MAX_TIME_BYTES = 128;
/** The latest second that an event's time can hold: in the year 2255. */
const MAX_SECONDS = 9_007_199_254;
const BLANK_LINE = Buffer.from('\n\n');

/** Why an event cannot have a commit's time. */
export const NO_TIME = {
  none: 'the commit has no committer line',
  unreadable: 'the committer line has no readable time',
  outside: 'the committer time is after the year 2255',
} as const;

/** An author or committer line. */
export interface Ident {
  /** `name <address>` as the line has it. */
  readonly person: Buffer;
  /** `seconds zone` as the line has it. */
  readonly time: Buffer;
  /** Seconds since 1970; undefined where the line has no number. */
  readonly seconds: number | undefined;
  readonly zoneOk: boolean;
}

/** What a commit object says, byte for byte. */
export interface CommitObject {
  readonly tree: string;
  readonly parents: readonly string[];
  readonly author: Ident | undefined;
  readonly committer: Ident | undefined;
  readonly encoding: Buffer | undefined;
  /** True where the header is longer than what is read of it. */
  readonly headerCut: boolean;
  /** SHA-256 of the whole object. */
  readonly digest: Uint8Array;
  readonly message: { readonly start: Buffer; readonly size: number; readonly digest: Uint8Array };
}

/** Takes a commit object in parts; its length has no bound, so only header and beginning of the message stay in memory. */
export class CommitParser {
  readonly #whole = sha256Stream();
  readonly #message = sha256Stream();
  #header: Buffer = Buffer.alloc(0);
  /** The last byte before the next part, once the header is longer than what is kept of it. */
  #last: Buffer = Buffer.alloc(0);
  #inMessage = false;
  #headerCut = false;
  #start: Buffer = Buffer.alloc(0);
  #messageSize = 0;

  take(part: Buffer): void {
    this.#whole.update(part);
    if (this.#inMessage) return this.#takeMessage(part);
    const before = this.#headerCut ? this.#last : this.#header;
    const bytes = Buffer.concat([before, part]);
    // The first of the blank line's two bytes may be the last of the part before.
    const end = bytes.indexOf(BLANK_LINE, Math.max(0, before.length - 1));
    this.#takeHeader(end === -1 ? bytes : bytes.subarray(0, end));
    if (end === -1) return;
    this.#inMessage = true;
    this.#takeMessage(bytes.subarray(end + 2));
  }

  #takeHeader(bytes: Buffer): void {
    this.#last = bytes.subarray(-1);
    if (this.#headerCut) return;
    this.#headerCut = bytes.length > MAX_HEADER_BYTES;
    this.#header = Buffer.from(bytes.subarray(0, MAX_HEADER_BYTES));
  }

  #takeMessage(part: Buffer): void {
    this.#message.update(part);
    this.#messageSize += part.length;
    const room = MAX_MESSAGE_BYTES - this.#start.length;
    if (room > 0) this.#start = Buffer.concat([this.#start, part.subarray(0, room)]);
  }

  end(): CommitObject {
    const lines = linesOf(this.#header);
    const tree = /^tree ([0-9a-f]+)$/.exec((lines[0] ?? Buffer.alloc(0)).toString('latin1'))?.[1] ?? '';
    const parents: string[] = [];
    for (const line of lines.slice(1)) {
      const [, parent] = /^parent ([0-9a-f]+)$/.exec(line.toString('latin1', 0, 80)) ?? [];
      if (parent === undefined) break;
      parents.push(parent);
    }
    const value = (name: string): Buffer | undefined =>
      lines.find((line) => line.toString('latin1', 0, name.length + 1) === `${name} `)?.subarray(name.length + 1);
    const message = { start: this.#start, size: this.#messageSize, digest: this.#message.digest() };
    return {
      tree,
      parents,
      author: identOf(value('author')),
      committer: identOf(value('committer')),
      encoding: value('encoding'),
      headerCut: this.#headerCut,
      digest: this.#whole.digest(),
      message,
    };
  }
}

function linesOf(header: Buffer): Buffer[] {
  const lines: Buffer[] = [];
  for (let from = 0; from < header.length; ) {
    const found = header.indexOf(10, from);
    const end = found === -1 ? header.length : found;
    lines.push(header.subarray(from, end));
    from = end + 1;
  }
  return lines;
}

/** The time is what follows the last `>`, as git reads it. */
function identOf(line: Buffer | undefined): Ident | undefined {
  if (line === undefined) return undefined;
  const end = line.lastIndexOf('>'.charCodeAt(0)) + 1;
  const person = end === 0 ? line : line.subarray(0, end);
  const time = end === 0 ? Buffer.alloc(0) : line.subarray(line[end] === 0x20 ? end + 1 : end);
  const [, digits, zone] = /^(\d{1,20})(?: (.*))?$/s.exec(time.toString('latin1', 0, MAX_TIME_BYTES)) ?? [];
  return { person, time, seconds: digits === undefined ? undefined : Number(digits), zoneOk: /^[+-]\d{4}$/.test(zone ?? '') };
}

/** The text of a time as the commit has it. */
export function timeText({ time }: Ident): string {
  return byteText(time, { controls: true, maxBytes: MAX_TIME_BYTES });
}

interface MessageText {
  readonly text: string;
  /** True where the text is only the beginning. */
  readonly cut: boolean;
  readonly escaped: boolean;
}

/** A message as far as it fits into an event. */
export function messageText({ message: { start, size } }: CommitObject): MessageText {
  const kept = start.subarray(0, MAX_MESSAGE_BYTES);
  const text = byteText(kept);
  return { text, cut: size > MAX_MESSAGE_BYTES, escaped: isEscaped(kept, text) };
}

/** Microseconds since 1970 when the commit was made, or why that cannot be said. */
export function commitTime({ committer }: CommitObject): { readonly micros: number } | { readonly unknown: string } {
  if (committer === undefined) return { unknown: NO_TIME.none };
  if (committer.seconds === undefined) return { unknown: NO_TIME.unreadable };
  return committer.seconds > MAX_SECONDS ? { unknown: NO_TIME.outside } : { micros: committer.seconds * 1_000_000 };
}

/** Which parts of the object git's own rules cannot read, in a fixed order. */
export function unreadableParts({ author, committer, headerCut }: CommitObject): string[] {
  const idents = [['author', author] as const, ['committer', committer] as const];
  const faults = idents.flatMap(([name, ident]) => {
    if (ident === undefined) return [name];
    return [...(ident.seconds === undefined ? [`${name}Time`] : []), ...(ident.zoneOk ? [] : [`${name}Zone`])];
  });
  return headerCut ? [...faults, 'header'] : faults;
}
