import { openFolderObjectStore } from '../../adapters/folder-object-store.ts';
import { temporaryFolder } from '../support/command.ts';
import { objectStoreContract } from './object-store-contract.ts';

objectStoreContract('folder', async () => {
  const { path, release } = temporaryFolder('objects');
  return { prefix: 'contract', open: () => openFolderObjectStore(path), release: async () => release() };
});
