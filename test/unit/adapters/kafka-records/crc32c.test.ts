import { expect, test } from '@jest/globals';
import { crc32c } from '../../../../adapters/kafka-records/crc32c.ts';

test('the checksum is that of RFC 3720, appendix B.4', () => {
  const rising = Uint8Array.from({ length: 32 }, (_, i) => i);
  const readCommand = Buffer.from(
    '01c000000000000000000000000000001400000000000400000000140000001828000000000000000200000000000000',
    'hex',
  );
  const sums = [new Uint8Array(32), new Uint8Array(32).fill(255), rising, rising.toReversed(), readCommand].map((bytes) => crc32c(bytes));
  expect(sums).toEqual([0x8a9136aa, 0x62a8ab43, 0x46dd794e, 0x113fdb5c, 0xd9963a56]);
});

test('the checksum of a part begins at any place and has any length', () => {
  const bytes = Uint8Array.from({ length: 64 }, (_, i) => (i * 37) & 255);
  for (let from = 0; from < bytes.length; from++) {
    let crc = -1;
    for (const byte of bytes.subarray(from)) {
      crc ^= byte;
      for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (-(crc & 1) & 0x82f63b78);
    }
    expect(crc32c(bytes, from)).toBe(~crc >>> 0);
  }
});
