import { quotedText } from '../core/base/quoted-text.ts';
import { nature, refuse } from './field-check.ts';

const TIME = /^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(?:\.(\d+))?(Z|([+-])(\d{2}):(\d{2}))$/;
const FITS = 'give a Date, or a text with date, time and zone such as 2026-01-31T10:00:00.123456Z';

/** Microseconds since 1970 of a time that a caller gives. */
export function microsOf(value: unknown, name: string): number {
  if (typeof value === 'string') return microsOfText(value, name);
  if (Object.prototype.toString.call(value) !== '[object Date]') refuse(name, `${nature(value)}; ${FITS}`);
  const ms = (value as Date).getTime();
  if (!Number.isFinite(ms)) refuse(name, 'is an invalid Date');
  return inRange(ms * 1000, name);
}

/** The date is compared with how it is written back, because Date makes 1 March of 30 February. */
function microsOfText(value: string, name: string): number {
  const [, local, fraction = '', zone, sign, hours, minutes] = TIME.exec(value) ?? [];
  if (local === undefined) refuse(name, `is ${quotedText(value)}; ${FITS}`);
  if (fraction.length > 6) refuse(name, `is ${quotedText(value)}; give at most 6 digits after the second, as an event holds microseconds`);
  const ms = Date.parse(`${local}Z`);
  if (!Number.isFinite(ms) || new Date(ms).toISOString().slice(0, 19) !== local)
    refuse(name, `is ${quotedText(value)}, and there is no such date and time; leap seconds cannot be given`);
  if (zone !== 'Z' && (Number(hours) > 23 || Number(minutes) > 59)) refuse(name, `is ${quotedText(value)}, and there is no such zone`);
  const offsetMs = zone === 'Z' ? 0 : (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes)) * 60_000;
  return inRange((ms - offsetMs) * 1000 + Number(fraction.padEnd(6, '0')), name);
}

function inRange(micros: number, name: string): number {
  if (!Number.isSafeInteger(micros)) refuse(name, 'is outside the years 1684 to 2255, which an event can hold');
  return micros;
}
