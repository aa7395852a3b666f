import { limitedLogger } from '../adapters/limited-logger.ts';
import { pinoLogger } from '../adapters/pino-logger.ts';
import type { Logger } from '../core/ports/logger.ts';
import type { Settings } from '../settings/embedded-settings.ts';

/** The log of a command of the embedded system: a failure that repeats cannot flood it. What was left out is counted when the process ends. */
export function commandLogger({ logLevel }: Pick<Settings, 'logLevel'>): Logger {
  muteLmdb();
  const logger = limitedLogger(pinoLogger(logLevel));
  process.once('exit', () => logger.flush());
  return logger;
}

/** lmdb's own errors have a number as code. */
function isOfLmdb(value: unknown): boolean {
  return value instanceof Error && typeof (value as { code?: unknown }).code === 'number' && value.stack?.includes('lmdb') === true;
}

/** Keeps lmdb from printing each commit that failed, with its stack: it gives the same error to its caller, which tells it with a code. */
function muteLmdb(): void {
  const print = console.error;
  console.error = (...values: unknown[]): void => {
    if (!isOfLmdb(values[0])) print(...values);
  };
}
