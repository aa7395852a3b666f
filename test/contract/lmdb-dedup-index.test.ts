import { openLmdbDedupIndex } from '../../adapters/lmdb-dedup-index.ts';
import { temporaryFolder } from '../support/command.ts';
import { dedupIndexContract } from './dedup-index-contract.ts';

dedupIndexContract('LMDB', async () => {
  const { path, release } = temporaryFolder('dedup');
  return { open: () => openLmdbDedupIndex(path), release: async () => release() };
});
