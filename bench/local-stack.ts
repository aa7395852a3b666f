import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { Redis } from 'ioredis';
import { LineproofError } from '../core/base/errors.ts';
import { runNode } from './children.ts';
import { processorMicrosOf } from './processor-time.ts';

/** The output of `npm run stack -- up --json`: how to reach its servers. */
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

/** Real servers that run for one measurement: one broker, the registry, Redis, S3. */
export interface LocalStack extends StackAnswer {
  /** Processor time so far, microseconds, by server. */
  processorMicros(): Readonly<Record<string, number>>;
}

/** The project's folder: its scripts are run as a user runs them. */
export const PROJECT = dirname(createRequire(import.meta.url).resolve('lineproof/package.json'));

function stackCommand(folder: string, ...args: string[]) {
  const main = join(PROJECT, 'infra', 'stack', 'main.js');
  return runNode(['--disable-warning=TimeoutNegativeWarning', main, ...args, '--data', folder, '--json'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

/** Starts a stack in `folder`; its messages go to stderr. Throws UNAVAILABLE; stderr then names what is missing. */
export async function startStack(folder: string): Promise<LocalStack> {
  const up = await stackCommand(folder, 'up');
  if (up.code !== 0)
    throw new LineproofError(
      'UNAVAILABLE',
      'cannot measure on the stack: it did not start, for the reason above; npm run stack -- check lists what this machine lacks',
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

/** Ends the servers of `folder`, also if only some of them were started. */
export async function endStack(folder: string): Promise<void> {
  if (existsSync(folder)) await stackCommand(folder, 'down');
}
