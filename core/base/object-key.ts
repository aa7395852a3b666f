import { LineproofError } from './errors.ts';

const MAX_KEY_BYTES = 512;
const PLAIN = /^(?!\.)[A-Za-z0-9._-]{1,200}$/;

/** Throws FORMAT_INVALID for a text that is not an object key. So all stores accept the same keys, and no key leads out of a store's folder. */
export function checkObjectKey(key: string): void {
  if (key.length <= MAX_KEY_BYTES && key.split('/').every((part) => PLAIN.test(part))) return;
  throw new LineproofError(
    'FORMAT_INVALID',
    `cannot use object key ${JSON.stringify(key.slice(0, 80))}: it is not a relative path of plain names`,
  );
}
