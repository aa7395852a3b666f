import { openLmdbStateStore } from '../../adapters/lmdb-state-store.ts';
import { temporaryFolder } from '../support/command.ts';
import { stateStoreContract } from './state-store-contract.ts';

stateStoreContract('LMDB', async () => {
  const { path, release } = temporaryFolder('state');
  return { open: () => openLmdbStateStore(path), release: async () => release() };
});
