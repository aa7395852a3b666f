import { equal, utf8, utf8Text } from './bytes.ts';
import { LineproofError } from './errors.ts';

/** Levels of arrays and objects that canonical JSON may nest. */
const MAX_DEPTH = 64;
/** Values that a JSON text may hold: many more than any format of ours needs. */
const MAX_VALUES = 1_000_000;
const LONE_SURROGATE = /[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/;

/** RFC 8785 text of a JSON value; throws FORMAT_INVALID for lone surrogates, numbers that are not finite, values that JSON lacks, and nesting beyond 64. */
export function canonicalJson(value: unknown): string {
  return write(value, 0);
}

/** The value of canonical JSON `bytes`; throws FORMAT_INVALID unless they are spelled exactly as {@link canonicalJson} spells that value. */
export function parseCanonicalJson(bytes: Uint8Array): unknown {
  checkStructure(bytes);
  let value: unknown;
  try {
    value = JSON.parse(utf8Text(bytes));
  } catch (cause) {
    throw new LineproofError('FORMAT_INVALID', 'cannot read JSON: it is malformed', {}, cause);
  }
  if (!equal(utf8(canonicalJson(value)), bytes))
    throw new LineproofError('FORMAT_INVALID', 'cannot read JSON: it is not canonical (RFC 8785)');
  return value;
}

/** Bounds depth and number of values before anything is made of them: a parser makes about forty bytes of memory of each byte of `[[[[`. Throws FORMAT_INVALID or LIMIT_EXCEEDED. */
function checkStructure(bytes: Uint8Array): void {
  let [depth, values, inString] = [0, 0, false];
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i];
    if (inString) {
      if (byte === BACKSLASH) i += 1;
      else if (byte === QUOTE) inString = false;
    } else if (byte === QUOTE) inString = true;
    else if (byte === COMMA) values += 1;
    else if (byte === OPEN_ARRAY || byte === OPEN_OBJECT) {
      depth += 1;
      values += 1;
    } else if (byte === CLOSE_ARRAY || byte === CLOSE_OBJECT) depth -= 1;
    // Nothing lies below the innermost level where that is empty, so that one more bracket is right.
    if (depth > MAX_DEPTH + 1) throw new LineproofError('FORMAT_INVALID', `cannot read JSON: it nests deeper than ${MAX_DEPTH}`);
    if (values > MAX_VALUES) throw new LineproofError('LIMIT_EXCEEDED', `cannot read JSON: it holds more than ${MAX_VALUES} values`);
  }
}

const [QUOTE, COMMA, BACKSLASH, OPEN_ARRAY, CLOSE_ARRAY, OPEN_OBJECT, CLOSE_OBJECT] = utf8('",\\[]{}') as unknown as readonly number[];

function write(value: unknown, depth: number): string {
  if (depth > MAX_DEPTH) throw new LineproofError('FORMAT_INVALID', `cannot write JSON: it nests deeper than ${MAX_DEPTH}`);
  if (value === null || typeof value === 'boolean') return String(value);
  if (typeof value === 'string') return quote(value);
  if (Number.isFinite(value)) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map((item) => write(item, depth + 1)).join(',')}]`;
  if (typeof value !== 'object')
    throw new LineproofError('FORMAT_INVALID', `cannot write JSON: it cannot hold a value of type ${typeof value}`);
  // The default sort order is that of UTF-16 code units, as RFC 8785 wants it.
  const members = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([name, member]) => `${quote(name)}:${write(member, depth + 1)}`).join(',')}}`;
}

function quote(text: string): string {
  if (LONE_SURROGATE.test(text)) throw new LineproofError('FORMAT_INVALID', 'cannot write JSON: a string holds half of a surrogate pair');
  return JSON.stringify(text);
}
