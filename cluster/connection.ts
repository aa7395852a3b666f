import { readFileSync } from 'node:fs';
import { checkPem } from '../adapters/pem.ts';
import { LineproofError } from '../core/base/errors.ts';
import { systemReason } from '../platform/errno.ts';

/** How long one request to a server may take. */
export const REQUEST_TIMEOUT_MS = 10_000;

/** The content of a file that a setting names; undefined if it names none. Throws CONFIG_INVALID. */
export function fileOf(path: string, setting: string): string | undefined {
  if (path === '') return undefined;
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new LineproofError('CONFIG_INVALID', `cannot use ${setting} ${path}: it cannot be read (${systemReason(error)})`, {}, error);
  }
}

/** The `tls` of an adapter's settings, if a setting names a file of authorities. Throws CONFIG_INVALID. */
export function tlsOf(path: string, setting: string): { readonly tls?: { readonly ca: string } } {
  const ca = fileOf(path, setting);
  if (ca === undefined) return {};
  checkPem({ ca }, () => setting);
  return { tls: { ca } };
}
