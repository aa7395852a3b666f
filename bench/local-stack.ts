import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { Redis } from 'ioredis';
import { LineproofError } from '../core/base/errors.ts';
import { runNode } from './children.ts';
import { processorMicrosOf } from './processor-time.ts';

/** What `npm run stack -- up --json` says of its servers. */
interface StackAnswer {
  readonly kafka: { readonly brokers: readonly string[] };
  readonly registry: { readonly url: string };
  readonly redis: { readonly url: string };
  readonly s3: {
    readonly endpoint: string;
    readonly region: string;
    readonly bucket: string;
    readonly accessKeyId: string;
    readonly secretAccessKey: string;
  };
  readonly versions: Readonly<Record<string, string>>;
}

/** Real servers that were started for a measurement and end with it: one broker, the registry, Redis, S3. */
export interface LocalStack extends StackAnswer {
  /** Processor time so far, microseconds, by server. */
  processorMicros(): Readonly<Record<string, number>>;
}

/** Where the project lies: its scripts are run as a user runs them. */
export const PROJECT = dirname(createRequire(import.meta.url).resolve('lineproof/package.json'));

function stackCommand(folder: string, ...args: string[]) {
  const main = join(PROJECT, 'infra', 'stack', 'main.js');
  return runNode(['--disable-warning=TimeoutNegativeWarning', main, ...args, '--data', folder, '--json'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

/** Starts a stack in `folder`; its talk goes to stderr. Throws UNAVAILABLE; what is missing was said on stderr then. */
export async function startStack(folder: string): Promise<LocalStack> {
  const up = await stackCommand(folder, 'up');
  if (up.code !== 0)
    throw new LineproofError(
      'UNAVAILABLE',
      'cannot measure on the stack: it did not start, for what is said above; npm run stack -- check lists what this machine lacks',
    );
  const status = await stackCommand(folder, 'status');
  const { servers } = JSON.parse(status.stdout) as { servers: { name: string; pids: number[] }[] };
  const answer = JSON.parse(up.stdout) as StackAnswer;
  return {
    ...answer,
    versions: { ...answer.versions, redis: await redisVersion(answer.redis.url) },
    processorMicros: () =>
      Object.fromEntries(servers.map(({ name, pids }) => [name, pids.reduce((sum, pid) => sum + processorMicrosOf(pid), 0)])),
  };
}

async function redisVersion(url: string): Promise<string> {
  const redis = new Redis(url, { lazyConnect: true });
  await redis.connect();
  const version = /^redis_version:(\S+)/m.exec(await redis.info('server'))?.[1] ?? 'unknown';
  redis.disconnect();
  return version;
}

/** Ends the servers of `folder`, started or half started. */
export async function endStack(folder: string): Promise<void> {
  if (existsSync(folder)) await stackCommand(folder, 'down');
}
