import { LineproofError } from '../core/base/errors.ts';
import { type Invocation, stringOption } from './command.ts';

const MAX_WAIT_SECONDS = 86_400;

/** The value of `--wait` in milliseconds; `fallback` seconds without it. Throws USAGE. */
export function waitMsOf(invocation: Invocation, fallback: number): number {
  const text = stringOption(invocation, 'wait') ?? String(fallback);
  if (!/^[0-9]{1,5}$/.test(text) || Number(text) > MAX_WAIT_SECONDS)
    throw new LineproofError('USAGE', `--wait is ${JSON.stringify(text.slice(0, 80))}: it must be seconds, at most ${MAX_WAIT_SECONDS}`);
  return Number(text) * 1000;
}
