import { describe, expect, test } from '@jest/globals';
import { unpackRecords } from '../../../../adapters/kafka-records/unpack.ts';
import { Unreadable } from '../../../../adapters/kafka-records/unreadable.ts';
import { LIMITS } from '../../../../core/base/limits.ts';
import { BOMB, CODECS, lz4Frame, PACK, zstdBlock, zstdFrame } from '../../../support/record-batch.ts';

const SECTION = Buffer.from(Array.from({ length: 5000 }, (_, i) => (i * i) & 255));
const NAMES = ['gzip', 'snappy', 'lz4', 'zstd'] as const;

function packed(): (readonly [string, number, Buffer])[] {
  return [
    ...NAMES.map((name) => [name, CODECS[name], PACK[name](SECTION)] as const),
    ['snappy as Java clients frame it', CODECS.snappy, PACK.javaSnappy(SECTION)],
  ];
}

async function refused(codec: number, stored: Buffer): Promise<boolean> {
  try {
    await unpackRecords(codec, stored);
    return false;
  } catch (error) {
    if (error instanceof Unreadable) return true;
    throw error;
  }
}

describe.each(packed())('%s', (_, codec, stored) => {
  test('unpacks to what was packed', async () => {
    expect(SECTION.equals(await unpackRecords(codec, stored))).toBe(true);
  });

  test('is refused where it is cut, or gives other bytes than all', async () => {
    for (let length = 0; length < stored.length; length += length < 64 || stored.length - length < 64 ? 1 : 97) {
      const cut = stored.subarray(0, length);
      expect((await refused(codec, cut)) || (await unpackRecords(codec, cut)).length < SECTION.length).toBe(true);
    }
  });
});

describe.each(NAMES)('a bomb of %s', (name) => {
  test('is unpacked up to the limit', async () => {
    const unpacked = await unpackRecords(CODECS[name], BOMB[name](LIMITS.recordBatchBytes));
    expect([unpacked.length, unpacked.every((byte) => byte === 0)]).toEqual([LIMITS.recordBatchBytes, true]);
  });

  test('is refused one byte above the limit, and at any size', async () => {
    expect(await refused(CODECS[name], BOMB[name](LIMITS.recordBatchBytes + 1))).toBe(true);
    expect(await refused(CODECS[name], BOMB[name](100 * 1024 * 1024))).toBe(true);
  });

  test('takes no more memory than the limit needs', async () => {
    const bomb = BOMB[name](200 * 1024 * 1024);
    await refused(CODECS[name], bomb);
    const before = process.memoryUsage().rss;
    for (let i = 0; i < 5; i++) await refused(CODECS[name], bomb);
    expect(process.memoryUsage().rss - before).toBeLessThan(64 * 1024 * 1024);
  });
});

/** Sections of `count` blocks, each of one byte or of none. */
const BLOCKS: Readonly<Record<string, readonly [codec: number, pack: (count: number) => Buffer]>> = {
  'snappy as Java clients frame it': [
    CODECS.snappy,
    (count) => Buffer.concat([PACK.javaSnappy(Buffer.alloc(0)).subarray(0, 16), Buffer.from('00000003010041'.repeat(count), 'hex')]),
  ],
  lz4: [CODECS.lz4, (count) => lz4Frame(Array.from({ length: count }, () => ({ bytes: Buffer.from('A'), plain: true })))],
  'blocks of zstd': [
    CODECS.zstd,
    (count) =>
      zstdFrame(
        count,
        [...new Array<Buffer>(count).keys()].map((i) => zstdBlock(i % 2 === 0 ? 0 : 1, 1, Buffer.from('A'), i === count - 1)),
      ),
  ],
  'frames of zstd': [
    CODECS.zstd,
    (count) =>
      Buffer.concat([
        Buffer.from('502a4d1803000000abcdef'.repeat(count / 2), 'hex'),
        Buffer.from('28b52ffd200109000041'.repeat(count / 2), 'hex'),
        // One more than wanted is one more skippable frame.
        Buffer.from(count % 2 === 0 ? '' : '5f2a4d1800000000', 'hex'),
      ]),
  ],
};

test.each(Object.entries(BLOCKS))('%s may have 10,000 blocks and no more', async (_, [codec, pack]) => {
  const stored = pack(LIMITS.recordBatchBlocks);
  expect((await unpackRecords(codec, stored)).subarray(0, 3).toString()).toBe('AAA');
  expect(await refused(codec, pack(LIMITS.recordBatchBlocks + 1))).toBe(true);
});

test('sizes that a frame declares are not believed', async () => {
  const block = zstdBlock(0, 3, Buffer.from('abc'), true);
  expect(await refused(CODECS.zstd, zstdFrame(0xffffffff, [block]))).toBe(true);
  // Snappy that declares 4 GiB, or one byte more or less than there is.
  for (const declared of [[255, 255, 255, 255, 15], [4], [2]])
    expect(await refused(CODECS.snappy, Buffer.from([...declared, 8, 97, 98, 99]))).toBe(true);
  expect(String(await unpackRecords(CODECS.snappy, Buffer.from([3, 8, 97, 98, 99])))).toBe('abc');
});

test('gzip may have several members and zeros behind them, but nothing else, on every Node', async () => {
  const [one, two] = [PACK.gzip(Buffer.from('one')), PACK.gzip(Buffer.from('two'))];
  expect(String(await unpackRecords(CODECS.gzip, Buffer.concat([one, two, Buffer.alloc(3)])))).toBe('onetwo');
  expect(await refused(CODECS.gzip, Buffer.concat([one, Buffer.from('rest')]))).toBe(true);
  expect(await refused(CODECS.gzip, Buffer.concat([one, two.subarray(0, 2)]))).toBe(true);
});

test('a zstd window of 1 GiB costs nothing, and a larger one is refused', async () => {
  const frame = (window: number): Buffer => zstdFrame(3, [zstdBlock(0, 3, Buffer.from('abc'), true)], window);
  const before = process.memoryUsage().rss;
  expect(String(await unpackRecords(CODECS.zstd, frame(20 << 3)))).toBe('abc');
  expect(await refused(CODECS.zstd, frame(21 << 3))).toBe(true);
  expect(process.memoryUsage().rss - before).toBeLessThan(64 * 1024 * 1024);
});

test('a zstd frame whose table of weights has one symbol, on which another decoder never ends, is refused', async () => {
  expect(await refused(CODECS.zstd, Buffer.from('28b52ffd20ff650000a2000205f003ffff01ff0100', 'hex'))).toBe(true);
});

test('the decoder of zstd works after it refused something', async () => {
  expect(await refused(CODECS.zstd, Buffer.from('garbage'))).toBe(true);
  expect(SECTION.equals(await unpackRecords(CODECS.zstd, PACK.zstd(SECTION)))).toBe(true);
});

test('matches that reach out of their block, of the output or of the input are refused', async () => {
  const block = (...bytes: number[]): Buffer => lz4Frame([{ bytes: Buffer.from(bytes), plain: false }]);
  // One literal, then a match at distance 2, 0, or cut; a match at the end; a length without an end.
  for (const bytes of [
    [0x10, 97, 2, 0, 0],
    [0x10, 97, 0, 0, 0],
    [0x10, 97, 1],
    [0x10, 97, 1, 0],
    [0xf0, 255],
    [0x20, 97],
  ])
    expect(await refused(CODECS.lz4, block(...bytes))).toBe(true);
  expect(String(await unpackRecords(CODECS.lz4, block(0x10, 97, 1, 0, 0x10, 98)))).toBe('aaaaab');
  for (const bytes of [
    [5, 0, 97, 1, 0],
    [5, 0, 97, 1, 2],
    [5, 0, 97, 1],
    [5, 0, 97, 1, 1, 0],
    [9, 0, 97, 1, 1],
  ])
    expect(await refused(CODECS.snappy, Buffer.from(bytes))).toBe(true);
  expect(String(await unpackRecords(CODECS.snappy, Buffer.from([5, 0, 97, 1, 1])))).toBe('aaaaa');
});

test('blocks of LZ4 refer to the blocks before them only if the frame says so', async () => {
  const blocks = [
    { bytes: Buffer.from([0x30, 97, 98, 99]), plain: false },
    { bytes: Buffer.from([0x00, 3, 0, 0x10, 100]), plain: false },
  ];
  expect(String(await unpackRecords(CODECS.lz4, lz4Frame(blocks)))).toBe('abcabcad');
  expect(await refused(CODECS.lz4, lz4Frame(blocks, 0x60))).toBe(true);
});

test('the optional fields of an LZ4 frame are passed over', async () => {
  const [size, sum, end] = [Buffer.alloc(8, 1), Buffer.alloc(4, 2), Buffer.alloc(4)];
  // Checksums of blocks and of the content, and the content's size.
  const head = Buffer.concat([Buffer.from([0x04, 0x22, 0x4d, 0x18, 0x7c, 0x70]), size, Buffer.from([0])]);
  const block = Buffer.concat([Buffer.from([3, 0, 0, 0x80]), Buffer.from('abc'), sum]);
  expect(String(await unpackRecords(CODECS.lz4, Buffer.concat([head, block, block, end, sum])))).toBe('abcabc');
  expect(await refused(CODECS.lz4, Buffer.concat([head, block, block, end]))).toBe(true);
});

test.each([5, 6, 7])('compression %i is not known', async (codec) => {
  expect(await refused(codec, SECTION)).toBe(true);
});

test('bytes that change are unpacked or refused, and nothing else', async () => {
  let seed = 1;
  const random = (below: number): number => {
    seed = (seed * 48271) % 0x7fffffff;
    return seed % below;
  };
  for (const [, codec, stored] of packed()) {
    const small = stored.subarray(0, 40 + random(400));
    for (let i = 0; i < 400; i++) {
      const changed = Buffer.from(i % 2 === 0 ? stored : small);
      for (let changes = 1 + random(4); changes > 0; changes--) changed[random(i % 3 === 0 ? 40 : changed.length)] = random(256);
      if (await refused(codec, changed)) continue;
      expect((await unpackRecords(codec, changed)).length).toBeLessThanOrEqual(LIMITS.recordBatchBytes);
    }
  }
}, 30_000);
