import { LineproofError, messageOf } from '../core/base/errors.ts';
import { LIMITS } from '../core/base/limits.ts';
import { ioError } from '../platform/errno.ts';
import { readBoundedFile } from '../settings/small-file.ts';

/** What `read` makes of the bytes of a tlog-policy file that an option names. Throws USAGE, with the line that is wrong, or an I/O error. */
export function readWitnessFile<T>(option: string, path: string, read: (bytes: Uint8Array) => T): T {
  let bytes: Uint8Array;
  try {
    bytes = readBoundedFile(path, LIMITS.policyBytes);
  } catch (error) {
    throw ioError(`read ${option} ${path}`, error);
  }
  try {
    return read(bytes);
  } catch (error) {
    throw new LineproofError('USAGE', `${option} ${path} cannot be used: ${messageOf(error)}`, { path }, error);
  }
}
