import { expect, test } from '@jest/globals';
import { unpackRecords } from '../../../../adapters/kafka-records/unpack.ts';
import { CODECS, PACK } from '../../../support/record-batch.ts';

// In a file of its own: the decoder is started once in a process.
test('the decoder of zstd is started again after it failed to start', async () => {
  const section = Buffer.from('records');
  const assembly = Object.getOwnPropertyDescriptor(globalThis, 'WebAssembly') as PropertyDescriptor;
  expect(Reflect.deleteProperty(globalThis, 'WebAssembly')).toBe(true);
  try {
    await expect(unpackRecords(CODECS.zstd, PACK.zstd(section))).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  } finally {
    Object.defineProperty(globalThis, 'WebAssembly', assembly);
  }
  expect(await unpackRecords(CODECS.zstd, PACK.zstd(section))).toEqual(section);
});
