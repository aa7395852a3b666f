import { quotedText } from '../core/base/quoted-text.ts';

const LONE_SURROGATE = /[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/;

/** What is wrong with one field of an event. Each level that it passes on its way out puts its name in front of the path. */
export class FieldFault extends Error {
  readonly path: string;
  /** What comes after the path, such as "is missing". */
  readonly fact: string;

  constructor(path: string, fact: string) {
    super(`${path} ${fact}`);
    this.path = path;
    this.fact = fact;
  }
}

/** Throws a {@link FieldFault}. */
export function refuse(path: string, fact: string): never {
  throw new FieldFault(path, fact);
}

/** Runs `work` on a part of a field; `step` is that part's path, such as `outputs[2]`. */
export function within<T>(step: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof FieldFault)) throw error;
    throw new FieldFault(error.path === '' ? step : `${step}${error.path.startsWith('[') ? '' : '.'}${error.path}`, error.fact);
  }
}

/** A member's place in its object: its name if that is plain, else in brackets. */
export function member(name: string): string {
  return /^[A-Za-z_][\w.-]{0,60}$/.test(name) ? name : `[${quotedText(name)}]`;
}

/** What a value is, for a message: "is missing", "is null", "is the number 7", "is a list". Content of texts is not shown. */
export function nature(value: unknown): string {
  if (value === undefined) return 'is missing';
  if (value === null) return 'is null';
  if (typeof value === 'number') return `is the number ${Object.is(value, -0) ? '-0' : value}`;
  if (typeof value === 'boolean') return `is ${value}`;
  if (Array.isArray(value)) return 'is a list';
  return (
    { string: 'is a text', bigint: 'is a BigInt', function: 'is a function', symbol: 'is a symbol' }[typeof value as string] ??
    'is an object'
  );
}

/** The members of an object that may have only `fields`. */
export function fieldsOf(value: unknown, fields: ReadonlySet<string>, what: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    refuse('', `${nature(value)}; give an object with ${list(fields)}`);
  for (const name of Object.keys(value))
    if (!fields.has(name)) refuse(member(name), `is not a field of ${what}, which has ${list(fields)}`);
  return value as Record<string, unknown>;
}

function list(fields: ReadonlySet<string>): string {
  return [...fields].join(', ');
}

/** The members of a plain object, which may have any names but `__proto__`. */
export function membersOf(value: unknown, sample: string): Readonly<Record<string, unknown>> {
  if (!isPlain(value)) refuse('', `${nature(value)}; give a plain object, such as ${sample}`);
  if (Object.hasOwn(value, '__proto__')) refuse('__proto__', 'is a name that programs which read the event can lose; give it another name');
  return value;
}

/** Whether a value is an object without a class, also of another realm. Objects of classes, such as Map, keep content where Object.entries does not see it. */
export function isPlain(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/** A text; it may be empty. */
export function anyText(value: unknown, name: string): string {
  if (typeof value !== 'string') refuse(name, `${nature(value)}; give a text${example(value)}`);
  if (LONE_SURROGATE.test(value)) refuse(name, 'holds half of a surrogate pair, which no UTF-8 can hold');
  return value;
}

function example(value: unknown): string {
  return typeof value === 'number' || typeof value === 'boolean' ? `: ${quotedText(String(value))}` : '';
}

/** A text with something in it. */
export function text(value: unknown, name: string): string {
  const given = anyText(value, name);
  if (given === '') refuse(name, 'is empty; give a text with something in it');
  return given;
}

/** A text with something in it, or null if it is left out. */
export function optionalText(value: unknown, name: string): string | null {
  if (value === undefined) return null;
  if (value === null || value === '') refuse(name, `is ${value === null ? 'null' : 'empty'}; leave it out if there is none`);
  return text(value, name);
}

/** One of a few words. */
export function wordOf<T extends string>(value: unknown, name: string, words: readonly T[]): T {
  const found = words.find((word) => word === value);
  if (found !== undefined) return found;
  return refuse(name, `${typeof value === 'string' ? `is ${quotedText(value)}` : nature(value)}; give one of ${words.join(', ')}`);
}

/** A list, each item read; empty if it is left out. */
export function listOf<T>(value: unknown, name: string, read: (item: unknown) => T): T[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) refuse(name, `${nature(value)}; give a list, or leave it out`);
  const items: T[] = [];
  // By index, so that a hole in the list counts as a missing item.
  for (let i = 0; i < value.length; i++) items.push(within(`${name}[${i}]`, () => read(value[i])));
  return items;
}
