import { LineproofError } from '../core/base/errors.ts';
import { isRefusal, type RefusalOf, refusalError, tlsRefusal } from './refusals.ts';

/** The parts of a failure of the S3 client. */
interface S3Failure {
  readonly name?: unknown;
  readonly message?: unknown;
  /** Code of the socket's error. */
  readonly code?: unknown;
  readonly $metadata?: { readonly httpStatusCode?: number };
}

/** The outcome of a request that failed. */
export type S3Outcome = 'missing' | 'refused' | 'conflict' | 'unsatisfiable' | 'unknown' | 'failed';

/**
 * `missing`: there is no such object; `refused`: its condition does not hold; `conflict`: another write to the key was under way, nothing was done;
 * `unsatisfiable`: the range is outside the object; `unknown`: it may have taken effect, or may still; `failed`: nothing was done.
 */
export function s3Outcome(error: unknown): S3Outcome {
  const { status, name } = factsOf(error);
  if (status === 412) return 'refused';
  if (status === 416) return 'unsatisfiable';
  if (status === 404 && (name === 'NoSuchKey' || name === 'NotFound')) return 'missing';
  if (name === 'ConditionalRequestConflict' || name === 'OperationAborted') return 'conflict';
  // Also where TLS failed: then nothing was sent.
  if (refusalOf(error) !== undefined) return 'failed';
  return status !== undefined && status >= 300 && status < 500 && !DAMAGED.has(name) && status !== 408 && status !== 429
    ? 'failed'
    : 'unknown';
}

/** The bytes were altered or cut on their way; sending them again may help. */
const DAMAGED: ReadonlySet<string> = new Set([
  'BadDigest',
  'InvalidDigest',
  'XAmzContentSHA256Mismatch',
  'IncompleteBody',
  'RequestTimeout',
]);

/** A failure of the S3 client as an error of ours. The foreign error is not kept as the cause: it carries the request with its signature. */
export function s3Error(act: string, error: unknown): LineproofError {
  if (error instanceof LineproofError) return error;
  const { status, name, message } = factsOf(error);
  const refusal = refusalOf(error);
  if (refusal !== undefined) return refusalError(act, 'S3', refusal);
  const facts = [name === 'Error' ? '' : name, message === name ? '' : message].filter((each) => each !== '').join(': ');
  const fact = `${facts}${status === undefined ? '' : ` (status ${status})`}`;
  return new LineproofError(s3Outcome(error) === 'failed' ? 'IO_FAILED' : 'UNAVAILABLE', `cannot ${act}: ${fact}`);
}

/** An answer without a name (a HEAD has no body) is told by its status. */
function refusalOf(error: unknown): RefusalOf<'S3'> | undefined {
  const { status, name, message } = factsOf(error);
  if (isRefusal('S3', name)) return name;
  if (status === 403) return 'AccessDenied';
  return tlsRefusal((error as S3Failure | null)?.code, message);
}

function factsOf(error: unknown): { readonly status: number | undefined; readonly name: string; readonly message: string } {
  const { name, message, $metadata } = (error ?? {}) as S3Failure;
  // A name that came with a status may be long.
  return {
    status: $metadata?.httpStatusCode,
    name: oneLine(name),
    message: oneLine(message).replace(/^AWS SDK error wrapper for (?:Error: )?/, ''),
  };
}

function oneLine(text: unknown): string {
  return typeof text === 'string'
    ? text
        .slice(0, 400)
        .replaceAll(/[^\x20-\x7e]+/g, ' ')
        .trim()
        .slice(0, 200)
    : '';
}
