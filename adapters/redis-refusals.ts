import { LineproofError, messageOf } from '../core/base/errors.ts';
import { isRefusal, type RefusalOf, refusalError, tlsRefusal } from './refusals.ts';

/** The oldest version that still gets fixes. */
const MIN_VERSION = [6, 2] as const;
/** The one maxmemory-policy under which nothing is forgotten. */
const KEEPS = 'noeviction';

/** Answers of Redis that need a person and cannot pass, by their first word. */
const FOREIGN: Readonly<Record<string, string>> = {
  WRONGTYPE: 'its keys in Redis hold values of another type; find out which other program writes there',
};

/**
 * Refuses by its INFO a server that takes no writes, may forget keys, or is too old. Throws INDEX_FORGETS, CONFIG_INVALID, or for a replica an error that
 * begins as the answer of one.
 */
export function checkRedis(info: string): void {
  const facts = infoFacts(info);
  const version = facts.get('redis_version') ?? '';
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (!(major > MIN_VERSION[0] || (major === MIN_VERSION[0] && minor >= MIN_VERSION[1]))) {
    const fact = `it is version ${version === '' ? 'unknown' : version.slice(0, 20)}; ${MIN_VERSION.join('.')} or newer is needed`;
    throw new LineproofError('CONFIG_INVALID', `cannot use Redis: ${fact}`);
  }
  if (facts.get('role') !== 'master') throw new Error('READONLY it is a replica');
  checkMemory(info);
}

/** Throws INDEX_FORGETS if a server that gave this INFO may forget keys by itself. A server that does not tell its policy is not one. */
export function checkMemory(info: string): void {
  const policy = infoFacts(info).get('maxmemory_policy') ?? 'unknown';
  if (policy === KEEPS) return;
  throw new LineproofError(
    'INDEX_FORGETS',
    `cannot use Redis: its maxmemory-policy is ${policy.slice(0, 40)}, which may forget identities; set maxmemory-policy ${KEEPS}`,
  );
}

/** The values of INFO, by name. */
export function infoFacts(info: string): ReadonlyMap<string, string> {
  return new Map(info.split('\r\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)] as const));
}

/**
 * A failure of ioredis as an error of ours; `complaint` is the last error of its connection. The foreign error is not kept as the cause: it carries
 * the arguments of its command, a password among them.
 */
export function redisError(act: string, error: unknown, complaint: Error | undefined): LineproofError {
  if (error instanceof LineproofError) return error;
  const answer = firstLine(messageOf(error));
  const foreign = FOREIGN[firstWord(answer)];
  if (foreign !== undefined) return new LineproofError('CONFIG_INVALID', `cannot ${act}: ${foreign}`);
  const refusal = refusalIn(error) ?? (complaint === undefined ? undefined : refusalIn(complaint));
  if (refusal !== undefined) return refusalError(act, 'Redis', refusal);
  const unconnected = /^(Stream isn't|Connection is closed|Cluster isn't ready)/.test(answer);
  const fact = unconnected ? `no connection to Redis${complaint === undefined ? '' : `: ${firstLine(complaint.message)}`}` : answer;
  return new LineproofError('UNAVAILABLE', `cannot ${act}: ${fact}`);
}

/** The refusal that an answer, or an error of the connection, is. */
export function refusalIn(error: unknown): RefusalOf<'Redis'> | undefined {
  const word = firstWord(firstLine(messageOf(error)));
  if (isRefusal('Redis', word)) return word;
  const { code, lastNodeError } = error as { code?: unknown; lastNodeError?: unknown };
  // A client of a cluster that reaches no node says what the last one said.
  return tlsRefusal(code, messageOf(error)) ?? (lastNodeError === undefined ? undefined : refusalIn(lastNodeError));
}

function firstWord(text: string): string {
  return /^[A-Z]+/.exec(text)?.[0] ?? '';
}

function firstLine(text: string): string {
  return (text.split('\n', 1)[0] ?? '').slice(0, 200);
}
