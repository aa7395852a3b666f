import { VERDICTS } from '../auditor/verdict-words.ts';
import { ERROR_TRAITS, type ErrorCode, LineproofError } from '../core/base/errors.ts';

/** Exit codes of every command; 64-up as sysexits.h names them. A verdict has further codes: {@link VERDICTS}. */
export const EXIT = { ok: VERDICTS.OK.exitCode, findings: VERDICTS.FAILED.exitCode, usage: 2, bug: 70, io: 74, configuration: 78 } as const;

/** The exit code of an error. */
export function exitCodeOf(error: unknown): number {
  const code = codeOf(error);
  if (code === undefined) return EXIT.bug;
  if (code === 'USAGE') return EXIT.usage;
  if (code === 'DATA_IN_USE') return EXIT.io;
  const { fault } = ERROR_TRAITS[code];
  if (fault === 'operator') return EXIT.configuration;
  if (fault === 'environment') return EXIT.io;
  return fault === 'bug' ? EXIT.bug : EXIT.findings;
}

function codeOf(error: unknown): ErrorCode | undefined {
  return error instanceof LineproofError ? error.code : undefined;
}
