import type { Redis } from 'ioredis';

/** Each is one step for everybody else. */
const DELETE = "local keys = redis.call('KEYS', ARGV[1]) for _, key in ipairs(keys) do redis.call('DEL', key) end ";
const DUMP =
  "local out = {} for _, key in ipairs(redis.call('KEYS', ARGV[1])) do out[#out + 1] = key out[#out + 1] = redis.call('DUMP', key) end return out";
const RESTORE = `${DELETE} for i = 2, #ARGV, 2 do redis.call('RESTORE', ARGV[i], 0, ARGV[i + 1]) end`;

/** Pattern of the keys that an origin has in Redis. */
export function redisKeys({ origin }: { readonly origin: string }): string {
  return `lineproof:{${origin}/*`;
}

/** All keys of a pattern, each with its content behind it, as {@link restoreKeys} takes them. */
export async function dumpKeys(redis: Redis, pattern: string): Promise<readonly Buffer[]> {
  return (await redis.callBuffer('EVAL', DUMP, 0, pattern)) as Buffer[];
}

/** Deletes the keys of a pattern. */
export async function deleteKeys(redis: Redis, pattern: string): Promise<void> {
  await redis.call('EVAL', DELETE, 0, pattern);
}

/** Sets the keys of a pattern back to what they were. */
export async function restoreKeys(redis: Redis, pattern: string, dump: readonly Buffer[]): Promise<void> {
  await redis.call('EVAL', RESTORE, 0, pattern, ...dump);
}
