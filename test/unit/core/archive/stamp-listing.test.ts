import { expect, test } from '@jest/globals';
import { newestStamps } from '../../../../core/archive/stamp-listing.ts';
import { utf8 } from '../../../../core/base/bytes.ts';
import { makeStamp, STAMP_EPOCH, stampChain } from '../../../support/forged-stamp.ts';
import { MemoryObjectStore } from '../../../support/memory.ts';

test('the newest time stamp of each authority is the one that covers most leaves; what cannot be read has no time', async () => {
  const store = new MemoryObjectStore();
  const chain = stampChain();
  const put = (name: string, bytes: Uint8Array): unknown => store.objects.set(`logs/0/timestamps/${name}`, bytes);
  put('9.a.tsr', makeStamp('x', chain));
  put('100.a.tsr', makeStamp('x', chain, { genTime: STAMP_EPOCH + 5e6 }));
  put('7.b.tsr', utf8('junk'));
  put('8.c.tsr', makeStamp('x', chain, { status: 2 }));
  put('101.a.tsr', makeStamp('x', chain));
  put('200.a.pem', utf8(''));
  put('200.note', utf8(''));
  put('Upper.tsr', utf8(''));
  store.objects.set('logs/1/timestamps/300.a.tsr', makeStamp('x', chain));
  expect([...(await newestStamps(store, 0, 100))]).toEqual([
    ['a', { size: 100, genTime: STAMP_EPOCH + 5e6 }],
    ['b', { size: 7, genTime: undefined }],
    ['c', { size: 8, genTime: undefined }],
  ]);
});
