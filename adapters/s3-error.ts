import { LineproofError } from '../core/base/errors.ts';

/** The parts of a failure of the S3 client. */
interface S3Failure {
  readonly name?: unknown;
  readonly message?: unknown;
  readonly $metadata?: { readonly httpStatusCode?: number };
}

/** Failures that no retry ends, and what to do about them. */
const OPERATOR_NAMES: Readonly<Record<string, string>> = {
  NoSuchBucket: 'the bucket does not exist; create it, or correct bucket, region or endpoint',
  InvalidBucketName: 'the name of the bucket is not valid',
  InvalidAccessKeyId: 'the server does not know this access key; correct the credentials',
  XAdminUserNotFound: 'the server does not know this access key; correct the credentials',
  SignatureDoesNotMatch: 'the secret of this access key is wrong; correct the credentials',
  InvalidToken: 'the session token is not valid; get new credentials',
  ExpiredToken: 'the credentials have expired; get new ones',
  CredentialsProviderError: 'there are no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile or a role',
  AuthorizationHeaderMalformed: 'the bucket is in another region; correct the region',
  PermanentRedirect: 'the bucket is in another region or at another endpoint; correct them',
  RequestTimeTooSkewed: 'this clock and that of the server are too far apart; set them',
  AccessDenied:
    'these credentials do not permit it; grant s3:ListBucket, s3:GetObject, s3:PutObject and s3:DeleteObject, and s3:PutObjectRetention for object lock',
  NotImplemented: 'the server does not implement a part of the request; use one that has conditional writes',
  InvalidBucketState:
    'the bucket has no object lock, which can only be turned on when a bucket is made; make another bucket, or configure no lock',
  ObjectLockConfigurationNotFoundError:
    'the bucket has no object lock, which can only be turned on when a bucket is made; make another bucket, or configure no lock',
};

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
  if (OPERATOR_NAMES[name] !== undefined) return 'failed';
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
  const operator = OPERATOR_NAMES[name];
  if (operator !== undefined) return new LineproofError('CONFIG_INVALID', `cannot ${act}: ${operator}`);
  if (status === 403) return new LineproofError('CONFIG_INVALID', `cannot ${act}: ${OPERATOR_NAMES['AccessDenied']}`);
  const facts = [name === 'Error' ? '' : name, message === name ? '' : message].filter((each) => each !== '').join(': ');
  const fact = `${facts}${status === undefined ? '' : ` (status ${status})`}`;
  return new LineproofError(s3Outcome(error) === 'failed' ? 'IO_FAILED' : 'UNAVAILABLE', `cannot ${act}: ${fact}`);
}

function factsOf(error: unknown): { readonly status: number | undefined; readonly name: string; readonly message: string } {
  const { name, message, $metadata } = (error ?? {}) as S3Failure;
  // A name that came with a status may be long.
  return { status: $metadata?.httpStatusCode, name: oneLine(name), message: oneLine(message).replace(/^AWS SDK error wrapper for /, '') };
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
