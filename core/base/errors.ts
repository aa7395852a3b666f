/** The party that caused an error and must act to end it. */
type Fault = 'input' | 'operator' | 'environment' | 'bug' | 'evidence';

interface Traits {
  readonly fault: Fault;
  /** True when the same call may succeed later without anybody acting on it. */
  readonly retryable: boolean;
}

/** Every code a {@link LineproofError} can carry, with whose fault it is and whether a retry can help. */
export const ERROR_TRAITS = {
  AVRO_INVALID: { fault: 'input', retryable: false },
  FORMAT_INVALID: { fault: 'input', retryable: false },
  LIMIT_EXCEEDED: { fault: 'input', retryable: false },
  EVENT_INVALID: { fault: 'input', retryable: false },
  EVENT_REFUSED: { fault: 'input', retryable: false },
  SCHEMA_INVALID: { fault: 'input', retryable: false },
  NOT_RESUBMITTABLE: { fault: 'input', retryable: false },
  SIGNATURE_INVALID: { fault: 'input', retryable: false },
  KEY_INVALID: { fault: 'input', retryable: false },
  POLICY_INVALID: { fault: 'operator', retryable: false },
  CONFIG_INVALID: { fault: 'operator', retryable: false },
  USAGE: { fault: 'operator', retryable: false },
  KEY_UNREADABLE: { fault: 'operator', retryable: false },
  DATA_IN_USE: { fault: 'operator', retryable: false },
  DISK_FULL: { fault: 'environment', retryable: true },
  IO_FAILED: { fault: 'environment', retryable: true },
  UNAVAILABLE: { fault: 'environment', retryable: true },
  NOT_ATTESTED: { fault: 'environment', retryable: true },
  REFUSED: { fault: 'operator', retryable: true },
  ANSWER_UNUSABLE: { fault: 'environment', retryable: true },
  REPOSITORY_UNREADABLE: { fault: 'environment', retryable: false },
  NOT_FOUND: { fault: 'environment', retryable: false },
  SPOOL_FULL: { fault: 'environment', retryable: true },
  SPOOL_DAMAGED: { fault: 'environment', retryable: false },
  INDEX_FORGETS: { fault: 'operator', retryable: true },
  CLOSED: { fault: 'operator', retryable: false },
  LOG_BEHIND: { fault: 'evidence', retryable: false },
  LOG_DIVERGED: { fault: 'evidence', retryable: false },
  CHAIN_TRIMMED: { fault: 'evidence', retryable: false },
  ARCHIVE_DIVERGED: { fault: 'evidence', retryable: false },
  FORMAT_UNKNOWN: { fault: 'operator', retryable: false },
  BLOCK_REFUSED: { fault: 'bug', retryable: false },
  INTERNAL: { fault: 'bug', retryable: false },
} as const satisfies Record<string, Traits>;

/** The closed list of error codes; docs/errors.md explains each one. */
export type ErrorCode = keyof typeof ERROR_TRAITS;

/** The one error class of the project: a code to act on, a sentence to read, facts that are never secrets. */
export class LineproofError extends Error {
  readonly code: ErrorCode;
  readonly details: Readonly<Record<string, string | number | boolean>>;

  constructor(code: ErrorCode, message: string, details: Readonly<Record<string, string | number | boolean>> = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'LineproofError';
    this.code = code;
    this.details = details;
  }

  get retryable(): boolean {
    return ERROR_TRAITS[this.code].retryable;
  }
}

/** Whether `error` is ours and carries one of `codes`; works across module realms, where `instanceof` does not. */
export function hasCode(error: unknown, ...codes: readonly ErrorCode[]): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && 'details' in error && codes.some((code) => code === error.code);
}

/** The message of a thrown value; works for errors of another module realm and for values that are not errors. */
export function messageOf(error: unknown): string {
  if (error instanceof Error) return error.message;
  const said = typeof error === 'object' && error !== null && 'message' in error ? error.message : undefined;
  return typeof said === 'string' ? said : String(error);
}
