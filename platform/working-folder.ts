import { LineproofError } from '../core/base/errors.ts';

/** The folder in which this process was started; undefined if it is not there any more. */
export function workingFolder(): string | undefined {
  try {
    return process.cwd();
  } catch (error) {
    if (isFolderGone(error)) return undefined;
    throw error;
  }
}

/** Whether an error says that the folder in which the process was started is not there any more. */
export function isFolderGone(error: unknown): boolean {
  return error instanceof Error && (error as NodeJS.ErrnoException).syscall === 'uv_cwd';
}

export function folderGone(): LineproofError {
  return new LineproofError('NOT_FOUND', 'cannot use the working folder: it is not there any more; change to another folder');
}
