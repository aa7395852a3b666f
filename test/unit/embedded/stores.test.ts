import { expect, test } from '@jest/globals';
import { closeStores, type Stores } from '../../../embedded/stores.ts';

test('every store is closed, also after one that fails, and the first failure is thrown', async () => {
  const closed: string[] = [];
  const store = (name: string, failure?: string): { close(): Promise<void> } => ({
    close: async () => {
      closed.push(name);
      if (failure !== undefined) throw new Error(failure);
    },
  });
  const stores = {
    log: store('log'),
    dedup: store('dedup', 'first'),
    state: store('state', 'second'),
    objects: store('objects'),
    registry: store('registry'),
  };
  await expect(closeStores(stores as unknown as Stores)).rejects.toThrow('first');
  expect(closed).toEqual(['log', 'dedup', 'state', 'objects', 'registry']);
});
