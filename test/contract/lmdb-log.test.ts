import { openLmdbLog } from '../../adapters/lmdb-log.ts';
import { systemClock } from '../../adapters/system-clock.ts';
import { temporaryFolder } from '../support/command.ts';
import { logContract } from './log-contract.ts';

logContract('LMDB', async () => {
  const { path, release } = temporaryFolder('log');
  return { prefix: 'contract', open: () => openLmdbLog(path, { clock: systemClock }), release: async () => release() };
});
