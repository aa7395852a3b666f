import { LineproofError } from './errors.ts';
import { parseCanonicalJson } from './jcs.ts';

/** Whether a JSON value has a certain form. */
export type Shape = (value: unknown) => boolean;

/** Maximum items of a list: more than the links that a segment can hold. */
const MAX_ITEMS = 2 ** 17;

/** The value of canonical JSON that must have `shape`; throws FORMAT_INVALID, with `what` in its message. */
export function readShape(payload: Uint8Array, shape: Shape, what: string): unknown {
  const json = parseCanonicalJson(payload);
  if (!shape(json)) throw new LineproofError('FORMAT_INVALID', `cannot read ${what}: it does not have the expected form`);
  return json;
}

/** An object that has all of `fields` and no others. */
export function object(fields: Readonly<Record<string, Shape>>): Shape {
  const entries = Object.entries(fields);
  return (value) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value) || Object.keys(value).length !== entries.length) return false;
    return entries.every(([name, shape]) => shape((value as Record<string, unknown>)[name]));
  };
}

export function list(item: Shape): Shape {
  return (value) => Array.isArray(value) && value.length <= MAX_ITEMS && value.every(item);
}

export function orNull(shape: Shape): Shape {
  return (value) => value === null || shape(value);
}

/** 1 to 1,024 UTF-16 code units. */
export const text: Shape = (value) => typeof value === 'string' && value.length > 0 && value.length <= 1024;
/** Microseconds since 1970. */
export const micros: Shape = (value) => Number.isSafeInteger(value);
/** A whole number from 0. */
export const count: Shape = (value) => Number.isSafeInteger(value) && (value as number) >= 0;
/** SHA-256 in lower-case hexadecimal. */
export const digest: Shape = (value) => typeof value === 'string' && /^[0-9a-f]{64}$/.test(value);
