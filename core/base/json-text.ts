import { LineproofError } from './errors.ts';
import { quotedText } from './quoted-text.ts';

/** Levels of arrays and objects that a text may nest. */
const MAX_DEPTH = 64;
/** More digits than any number needs: the work on a number grows faster than its length. */
const MAX_NUMBER_UNITS = 1000;
const SPACE = /[ \t\n\r]*/y;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const WORD = /true|false|null/y;
const LONE_SURROGATE = /[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/;

/**
 * The value of a JSON text (RFC 8259) that some program wrote, if JavaScript can hold it unchanged. JSON.parse would round numbers, keep only the
 * last of repeated names and take halves of surrogate pairs: this refuses them. Throws FORMAT_INVALID, which names the place by the number of
 * characters before it and, inside of a value, by its path.
 */
export function parseJsonText(text: string): unknown {
  const reader = new Reader(text);
  const value = reader.value([]);
  reader.end();
  return value;
}

type Path = readonly (string | number)[];

/** Reads one text from its beginning to its end. */
class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  value(path: Path): unknown {
    if (path.length > MAX_DEPTH) this.#refuse(path, `it nests deeper than ${MAX_DEPTH} levels`);
    this.#take(SPACE);
    const next = this.#text[this.#at];
    if (next === '{') return this.#object(path);
    if (next === '[') return this.#array(path);
    if (next === '"') return this.#string(path);
    const word = this.#take(WORD);
    if (word !== undefined) return JSON.parse(word);
    const number = this.#take(NUMBER);
    if (number !== undefined) return this.#number(number, path);
    return this.#refuse(path, next === undefined ? 'it ends too early' : 'a value must begin there');
  }

  end(): void {
    this.#take(SPACE);
    if (this.#at < this.#text.length) this.#refuse([], 'it goes on after its end');
  }

  #object(path: Path): Record<string, unknown> {
    const members: Record<string, unknown> = {};
    for (const _ of this.#items('{', '}', path)) {
      if (this.#text[this.#at] !== '"') this.#refuse(path, 'a name in quotes must begin there');
      const name = this.#string(path);
      const inside = [...path, name];
      if (name === '__proto__') this.#refuse(inside, 'no name may be __proto__, because programs that read it later can lose it');
      if (Object.hasOwn(members, name)) this.#refuse(inside, 'the name occurs twice');
      this.#expect(':', path);
      members[name] = this.value(inside);
    }
    return members;
  }

  #array(path: Path): unknown[] {
    const items: unknown[] = [];
    for (const _ of this.#items('[', ']', path)) items.push(this.value([...path, items.length]));
    return items;
  }

  /** Steps through a list in brackets: the caller reads one item at each step. */
  *#items(open: string, close: string, path: Path): Generator<void> {
    this.#expect(open, path);
    this.#take(SPACE);
    if (this.#text[this.#at] === close) {
      this.#at++;
      return;
    }
    for (;;) {
      yield;
      this.#take(SPACE);
      if (this.#text[this.#at] !== ',') break;
      this.#at++;
      this.#take(SPACE);
    }
    this.#expect(close, path);
  }

  #string(path: Path): string {
    const start = this.#at;
    let end = start + 1;
    while (end < this.#text.length && this.#text[end] !== '"') end += this.#text[end] === '\\' ? 2 : 1;
    if (end >= this.#text.length) this.#refuse(path, 'a string is not closed');
    let value: string;
    try {
      value = JSON.parse(this.#text.slice(start, end + 1));
    } catch {
      return this.#refuse(path, 'a string holds a control character, or an escape that JSON does not have');
    }
    if (LONE_SURROGATE.test(value)) this.#refuse(path, 'a string holds half of a surrogate pair');
    this.#at = end + 1;
    return value;
  }

  #number(token: string, path: Path): number {
    const value = Number(token);
    if (token.length > MAX_NUMBER_UNITS || decimal(token) !== decimal(String(value))) {
      this.#at -= token.length;
      this.#refuse(path, `the number ${token.slice(0, 40)} would become ${Object.is(value, -0) ? '0' : value}; write it as a string`);
    }
    return value;
  }

  #expect(char: string, path: Path): void {
    this.#take(SPACE);
    if (this.#text[this.#at] !== char) this.#refuse(path, this.#at >= this.#text.length ? 'it ends too early' : `${char} must be there`);
    this.#at++;
  }

  #take(token: RegExp): string | undefined {
    token.lastIndex = this.#at;
    const found = token.exec(this.#text)?.[0];
    this.#at += found?.length ?? 0;
    return found;
  }

  #refuse(path: Path, fact: string): never {
    const place = path.length === 0 ? '' : ` of ${quotedText(path.join('.'), 100)}`;
    throw new LineproofError('FORMAT_INVALID', `cannot read JSON: at character ${this.#at + 1}${place}: ${fact}`, { at: this.#at });
  }
}

/** One spelling for each decimal number: sign, digits without zeros around them, and the exponent of the last. Only 0 and -0 differ although they are equal. */
function decimal(token: string): string {
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(token) ?? [];
  const digits = `${whole}${fraction}`.replace(/^0+/, '');
  const significant = digits.replace(/0+$/, '');
  if (significant === '') return `${sign}0`;
  return `${sign}${significant}e${Number(exponent) - fraction.length + digits.length - significant.length}`;
}
