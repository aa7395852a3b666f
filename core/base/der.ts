import { LineproofError } from './errors.ts';

/** Tags of DER (X.690) that our readers know: universal types, and `[n]` of a context, primitive or constructed. */
export const DER_TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** Tag of `[n]` that holds other elements. */
export function contextTag(n: number): number {
  return 0xa0 | n;
}

/** Tag of `[n]` that holds bytes. */
export function plainContextTag(n: number): number {
  return 0x80 | n;
}

/** One element: its tag, its content, and all of its bytes. */
export interface DerElement {
  readonly tag: number;
  readonly content: Uint8Array;
  readonly whole: Uint8Array;
}

/** Elements of a sequence or set that are read; more are refused. */
const MAX_ITEMS = 64;
const MAX_OID_BYTES = 64;

function invalid(reason: string): LineproofError {
  return new LineproofError('FORMAT_INVALID', `cannot read DER: ${reason}`);
}

/**
 * Reads elements one after the other. It goes into an element only where its caller does, so no nesting of hostile bytes costs anything.
 * Every method throws FORMAT_INVALID on bytes that DER does not allow: indefinite and padded lengths, long tags, bytes that are missing.
 */
export class DerReader {
  readonly #bytes: Uint8Array;
  #at = 0;
  #items = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get done(): boolean {
    return this.#at === this.#bytes.length;
  }

  /** Tag of the next element; undefined at the end. */
  get tag(): number | undefined {
    return this.#bytes[this.#at];
  }

  /** The next element, which must have this tag where one is given. */
  next(wanted?: number): DerElement {
    const start = this.#at;
    const tag = this.#byte();
    if (wanted !== undefined && tag !== wanted) throw invalid(`tag 0x${hexByte(tag)} where 0x${hexByte(wanted)} belongs`);
    if ((tag & 0x1f) === 0x1f) throw invalid('a tag of more than one byte');
    if (++this.#items > MAX_ITEMS) throw invalid(`more than ${MAX_ITEMS} elements side by side`);
    const length = this.#length();
    if (length > this.#bytes.length - this.#at) throw invalid('an element is longer than what holds it');
    const content = this.#bytes.subarray(this.#at, this.#at + length);
    this.#at += length;
    return { tag, content, whole: this.#bytes.subarray(start, this.#at) };
  }

  /** A reader of the next element's content. */
  into(wanted: number): DerReader {
    return new DerReader(this.next(wanted).content);
  }

  /** The next element if it has this tag. */
  optional(wanted: number): DerElement | undefined {
    return this.tag === wanted ? this.next(wanted) : undefined;
  }

  /** All elements that are left. */
  rest(): DerElement[] {
    const elements: DerElement[] = [];
    while (!this.done) elements.push(this.next());
    return elements;
  }

  /** Throws where bytes are left. */
  end(): void {
    if (!this.done) throw invalid('elements that do not belong there');
  }

  #byte(): number {
    const byte = this.#bytes[this.#at];
    if (byte === undefined) throw invalid('it ends too early');
    this.#at += 1;
    return byte;
  }

  #length(): number {
    const first = this.#byte();
    if (first < 0x80) return first;
    if (first === 0x80) throw invalid('an indefinite length');
    if (first > 0x83) throw invalid('a length of more than three bytes');
    let length = 0;
    for (let i = 0x80; i < first; i++) length = length * 256 + this.#byte();
    if (length < 0x80 || length < 256 ** (first - 0x81)) throw invalid('a length with more bytes than it needs');
    return length;
  }
}

/** A reader of `bytes`, which must be exactly one element with this tag. */
export function readDer(bytes: Uint8Array, tag: number): DerReader {
  const reader = new DerReader(bytes);
  const inner = reader.into(tag);
  reader.end();
  return inner;
}

/** Object identifier in dotted decimal. */
export function derOid({ content }: DerElement): string {
  if (content.length === 0 || content.length > MAX_OID_BYTES) throw invalid('an object identifier of a wrong length');
  const arcs: bigint[] = [];
  let arc = 0n;
  let begins = true;
  for (const byte of content) {
    if (begins && byte === 0x80) throw invalid('an object identifier with padding');
    arc = arc * 128n + BigInt(byte & 0x7f);
    begins = (byte & 0x80) === 0;
    if (!begins) continue;
    arcs.push(arc);
    arc = 0n;
  }
  if (!begins) throw invalid('an object identifier that ends too early');
  const [both = 0n, ...others] = arcs;
  const first = both < 80n ? both / 40n : 2n;
  return [first, both - first * 40n, ...others].join('.');
}

/** The bytes of an integer as they are, two's complement, checked to be the shortest spelling. */
export function derInteger({ content }: DerElement): Uint8Array {
  const [first, second = 0] = content;
  if (first === undefined) throw invalid('an empty integer');
  const isPadded = content.length > 1 && ((first === 0 && second < 0x80) || (first === 0xff && second >= 0x80));
  if (isPadded) throw invalid('an integer with more bytes than it needs');
  return content;
}

/** An integer from 0 to 2^31 − 1. */
export function derSmallInteger(element: DerElement): number {
  const bytes = derInteger(element);
  if (bytes.length > 4 || (bytes[0] as number) >= 0x80) throw invalid('a number below 0 or above 2^31 − 1');
  return bytes.reduce((value, byte) => value * 256 + byte, 0);
}

export function derBoolean({ content }: DerElement): boolean {
  if (content.length !== 1 || (content[0] !== 0 && content[0] !== 0xff)) throw invalid('a truth value other than 00 and FF');
  return content[0] === 0xff;
}

/** The bytes of a bit string that has whole bytes only. */
export function derBitBytes({ content }: DerElement): Uint8Array {
  if (content[0] !== 0) throw invalid('a bit string of incomplete bytes');
  return content.subarray(1);
}

const TIME = /^(\d{4})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})(?:\.(\d{0,5}[1-9]))?Z$/;

/** Microseconds since 1970 of a GeneralizedTime in UTC. Fractions have at most six digits and no zero at the end (RFC 3161 §2.4.2). */
export function derTime({ tag, content }: DerElement): number {
  let text = String.fromCharCode(...content.subarray(0, 32));
  if (tag === DER_TAG.utcTime) text = `${Number(text.slice(0, 2)) >= 50 ? '19' : '20'}${text}`;
  else if (tag !== DER_TAG.generalizedTime) throw invalid('another type where a time belongs');
  const match = TIME.exec(text);
  if (match === null || content.length > 32) throw invalid('a time that is not spelled as DER wants it');
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match.slice(1, 7).map(Number);
  const date = new Date(Date.UTC(year, month - 1, day, hour, minute, second));
  const isReal = date.toISOString().replace(/\D/g, '').slice(0, 14) === match.slice(1, 7).join('');
  if (!isReal || year < 1950) throw invalid('a time that no calendar has');
  return date.getTime() * 1000 + Number((match[7] ?? '').padEnd(6, '0'));
}

function hexByte(byte: number): string {
  return byte.toString(16).padStart(2, '0');
}

/** DER of an element: its length in as few bytes as it needs. */
export function encodeDer(tag: number, ...contents: readonly Uint8Array[]): Uint8Array {
  const size = contents.reduce((sum, { length }) => sum + length, 0);
  const length = size < 0x80 ? [size] : size < 0x100 ? [0x81, size] : [0x82, size >> 8, size & 0xff];
  if (size > 0xffff) throw new LineproofError('LIMIT_EXCEEDED', `cannot write DER: ${size} bytes are more than 65,535`);
  const whole = new Uint8Array(1 + length.length + size);
  whole.set([tag, ...length]);
  let at = 1 + length.length;
  for (const content of contents) {
    whole.set(content, at);
    at += content.length;
  }
  return whole;
}
