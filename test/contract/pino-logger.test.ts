import { openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll } from '@jest/globals';
import { pinoLogger } from '../../adapters/pino-logger.ts';
import { temporaryFolder } from '../support/command.ts';
import { loggerContract } from './logger-contract.ts';

const { path: folder, release } = temporaryFolder('logger');
afterAll(release);
let files = 0;

loggerContract('pino', (level) => {
  const path = join(folder, `${files++}.log`);
  const logger = pinoLogger(level, openSync(path, 'a'));
  return { logger, written: () => readFileSync(path, 'utf8') };
});
