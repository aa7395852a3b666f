import { LineproofError } from '../core/base/errors.ts';
import { LIMITS } from '../core/base/limits.ts';
import { anyText, isPlain, member, membersOf, nature, refuse, within } from './field-check.ts';

/** Levels that a facet may nest; canonical JSON, too, ends there. */
const MAX_DEPTH = 64;

/** The JSON text of a value that JSON can hold unchanged. What JSON.stringify would leave out or turn into something else is refused. */
export function facetJson(value: unknown): string {
  check(value, 0, { values: 0 });
  return JSON.stringify(value);
}

/** `seen` counts across the whole facet: objects that share their parts can be small in memory and endless as text. */
function check(value: unknown, depth: number, seen: { values: number }): void {
  if (++seen.values > LIMITS.eventBytes)
    throw new LineproofError('LIMIT_EXCEEDED', `cannot take event: a facet holds more than ${LIMITS.eventBytes} values`);
  if (depth > MAX_DEPTH) refuse('', `nests deeper than ${MAX_DEPTH} levels`);
  if (value === null || typeof value === 'boolean') return;
  if (typeof value === 'string') return void anyText(value, '');
  if (typeof value === 'number') return checkNumber(value);
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) within(`[${i}]`, () => check(value[i], depth + 1, seen));
    return;
  }
  if (!isPlain(value)) refuse('', `${nature(value)} that JSON cannot hold; give null, a boolean, number, text, list or plain object`);
  for (const [name, item] of Object.entries(membersOf(value, '{}'))) {
    anyText(name, member(name));
    within(member(name), () => check(item, depth + 1, seen));
  }
}

function checkNumber(value: number): void {
  if (!Number.isFinite(value) || Object.is(value, -0)) refuse('', `${nature(value)}, which JSON cannot hold`);
}
