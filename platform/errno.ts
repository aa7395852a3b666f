import { LineproofError, messageOf } from '../core/base/errors.ts';

const FULL: readonly string[] = ['ENOSPC', 'EDQUOT'];

/** The code of an error, such as `ENOENT` from the system; undefined if it has none. */
export function errnoOf(error: unknown): string | undefined {
  const code = typeof error === 'object' && error !== null ? (error as NodeJS.ErrnoException).code : undefined;
  return typeof code === 'string' ? code : undefined;
}

/** {@link errnoOf} for a message. */
export function systemReason(error: unknown): string {
  return errnoOf(error) ?? 'unknown reason';
}

/** Whether the disk or a quota is full. */
export function isDiskFull(error: unknown): boolean {
  return FULL.includes(errnoOf(error) ?? '');
}

/** DISK_FULL if the disk or a quota is full, otherwise IO_FAILED. An error that has a code of ours stays as it is. */
export function ioError(act: string, error: unknown, whenFull = 'free some space'): LineproofError {
  if (error instanceof LineproofError) return error;
  if (isDiskFull(error)) return new LineproofError('DISK_FULL', `cannot ${act}: the disk is full; ${whenFull}`, {}, error);
  return new LineproofError('IO_FAILED', `cannot ${act}: ${messageOf(error)}`, {}, error);
}
