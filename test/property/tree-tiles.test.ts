import { createHash } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { concat, equal, toHex, utf8 } from '../../core/base/bytes.ts';
import { proveConsistency, proveInclusion, tileHashReader } from '../../core/tree/build/proof.ts';
import { EMPTY_TAIL, growTree, readTail, type TreeTail, tailFrontier } from '../../core/tree/build/tile.ts';
import { EMPTY_FRONTIER, extendFrontier, frontierRoot } from '../../core/tree/frontier.ts';
import { GrowingTiles } from '../../core/tree/growing-tiles.ts';
import { hashLeaves } from '../../core/tree/hash.ts';
import { checkConsistency, checkInclusion } from '../../core/tree/proof.ts';
import {
  decodeBundle,
  encodeBundle,
  entriesPath,
  parseTilePath,
  partialTilesOf,
  TILE_WIDTH,
  tilePath,
  tilesOf,
} from '../../core/tree/tile.ts';
import { referenceRoot, sampleLeaves } from './tree-reference.ts';

const MANY = 70_000;
const leaves = sampleLeaves(MANY);
const hashes = hashLeaves(leaves);
const names = (size: number, since?: number): string[] => tilesOf(size, since).map(({ level, n, width }) => tilePath(level, n, width));

type Store = Map<string, Uint8Array>;

/** Writes a growth and fails where an object is there already with other bytes, as the archive does. */
function grow(store: Store, tail: TreeTail, size: number): TreeTail {
  const { objects, tail: next } = growTree(tail, leaves.slice(tail.size, size), hashes.slice(tail.size, size));
  for (const { path, bytes } of objects) {
    const there = store.get(path);
    if (there !== undefined && !equal(there, bytes)) throw new Error(`${path} changed`);
    store.set(path, bytes);
  }
  return next;
}

function grown(...sizes: number[]): { store: Store; tail: TreeTail } {
  const store: Store = new Map();
  return { store, tail: sizes.reduce((tail, size) => grow(store, tail, size), EMPTY_TAIL) };
}

const root = (size: number): Uint8Array => frontierRoot(extendFrontier(EMPTY_FRONTIER, hashes.slice(0, size)));

const readFrom = (store: Store) => async (path: string) => store.get(path);

async function mustRead(store: Store, path: string): Promise<Uint8Array> {
  const bytes = store.get(path);
  if (bytes === undefined) throw new Error(`no ${path}`);
  return bytes;
}

/** What C2SP tlog-tiles demands of a store that published `size`, computed the slow way: level by level from the leaves. */
function expectedObjects(size: number): Store {
  const store: Store = new Map();
  for (let first = 0; first < size; first += 256) {
    const some = leaves.slice(first, Math.min(size, first + 256));
    const bytes = concat(...some.flatMap((leaf) => [Uint8Array.of(leaf.length >> 8, leaf.length & 255), leaf]));
    store.set(`tile/entries/${String(first / 256).padStart(3, '0')}${some.length < 256 ? `.p/${some.length}` : ''}`, bytes);
  }
  let row = leaves.slice(0, size).map((leaf) => sha256(Uint8Array.of(0), leaf));
  for (let level = 0; row.length > 0; level++) {
    const above: Uint8Array[] = [];
    for (let first = 0; first < row.length; first += 256) {
      const some = row.slice(first, first + 256);
      store.set(`tile/${level}/${String(first / 256).padStart(3, '0')}${some.length < 256 ? `.p/${some.length}` : ''}`, concat(...some));
      if (some.length === 256) above.push(complete(some));
    }
    row = above;
  }
  return store;
}

function complete(row: readonly Uint8Array[]): Uint8Array {
  if (row.length === 1) return row[0] as Uint8Array;
  return sha256(Uint8Array.of(1), complete(row.slice(0, row.length / 2)), complete(row.slice(row.length / 2)));
}

function sha256(...parts: Uint8Array[]): Uint8Array {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return Uint8Array.from(hash.digest());
}

const shown = (store: Store): Record<string, string> =>
  Object.fromEntries([...store].map(([path, bytes]) => [path, toHex(sha256(bytes))] as const).toSorted(([a], [b]) => (a < b ? -1 : 1)));

describe('tile paths', () => {
  // C2SP tlog-tiles: "For example, the tile number 1234067 is encoded as x001/x234/067".
  test.each([
    [0, 0, 256, 'tile/0/000'],
    [0, 1_234_067, 256, 'tile/0/x001/x234/067'],
    [1, 0, 1, 'tile/1/000.p/1'],
    [2, 999, 255, 'tile/2/999.p/255'],
    [0, 1000, 7, 'tile/0/x001/000.p/7'],
    [0, 2 ** 45 - 1, 256, 'tile/0/x035/x184/x372/x088/831'],
  ])('of level %d, number %d, width %d is spelled right', (level, n, width, path) => {
    expect(tilePath(level, n, width)).toBe(path);
    expect(parseTilePath(path)).toEqual({ level, n, width });
  });

  test('of bundles say entries', () => {
    expect(entriesPath(1_234_067, 256)).toBe('tile/entries/x001/x234/067');
    expect(parseTilePath('tile/entries/273.p/112')).toEqual({ level: 'entries', n: 273, width: 112 });
  });

  test.each([
    '',
    'tile/0',
    'tile/0/0',
    'tile/0/0000',
    'tile/00/000',
    'tile/7/000',
    'tile/0/x000/001',
    'tile/0/001/000',
    'tile/0/x001/x000',
    'tile/0/000.p/0',
    'tile/0/000.p/01',
    'tile/0/000.p/256',
    'tile/0/000.p/999',
    'tile/0/000.p/',
    'tile/data/000',
    '/tile/0/000',
    'tile/0/000\n',
    'tile/0/000/',
    'tile/0/x999/x999/x999/x999/x999/999',
    'tile/0/٠٠٠',
  ])('spelled %j are refused', (path) => {
    expect(() => parseTilePath(path)).toThrow(expect.objectContaining({ code: 'FORMAT_INVALID' }));
  });
});

describe('the tiles of a size', () => {
  test.each([
    [0, []],
    [1, ['tile/0/000.p/1']],
    [255, ['tile/0/000.p/255']],
    [256, ['tile/0/000', 'tile/1/000.p/1']],
    [257, ['tile/0/000', 'tile/0/001.p/1', 'tile/1/000.p/1']],
    [512, ['tile/0/000', 'tile/0/001', 'tile/1/000.p/2']],
  ])('%d are %j', (size, expected) => {
    expect(names(size)).toEqual(expected);
  });

  // C2SP tlog-tiles works this example out.
  test('70000 are 273 full ones and a partial of 112, one full and a partial of 17, a partial of 1', () => {
    const tiles = tilesOf(70_000);
    expect(tiles.filter(({ level, width }) => level === 0 && width === 256)).toHaveLength(273);
    expect(partialTilesOf(70_000)).toEqual([
      { level: 0, n: 273, width: 112 },
      { level: 1, n: 1, width: 17 },
      { level: 2, n: 0, width: 1 },
    ]);
    expect(tiles).toHaveLength(273 + 1 + 1 + 1 + 1);
  });

  test('of one full tile at each level are counted right', () => {
    expect(names(65_536).slice(-2)).toEqual(['tile/1/000', 'tile/2/000.p/1']);
    expect(names(65_536)).toHaveLength(256 + 1 + 1);
    expect(names(65_537).slice(-3)).toEqual(['tile/0/256.p/1', 'tile/1/000', 'tile/2/000.p/1']);
  });

  test('beyond 2^32 leaves are counted without losing bits', () => {
    expect(names(2 ** 40 + 1, 2 ** 40)).toEqual(['tile/0/x004/x294/x967/296.p/1']);
    expect(partialTilesOf(2 ** 40 + 1)).toEqual([
      { level: 0, n: 2 ** 32, width: 1 },
      { level: 5, n: 0, width: 1 },
    ]);
    expect(partialTilesOf(2 ** 53 - 1)).toEqual([
      { level: 0, n: 2 ** 45 - 1, width: 255 },
      { level: 1, n: 2 ** 37 - 1, width: 255 },
      { level: 2, n: 2 ** 29 - 1, width: 255 },
      { level: 3, n: 2 ** 21 - 1, width: 255 },
      { level: 4, n: 2 ** 13 - 1, width: 255 },
      { level: 5, n: 31, width: 255 },
      { level: 6, n: 0, width: 31 },
    ]);
    expect(names(2 ** 40, 2 ** 40 - 1)).toEqual([
      'tile/0/x004/x294/x967/295',
      'tile/1/x016/x777/215',
      'tile/2/x065/535',
      'tile/3/255',
      'tile/4/000',
      'tile/5/000.p/1',
    ]);
  });

  test('since another size are those that this size has and the other had not', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 140_000 }), fc.integer({ min: 0, max: 140_000 }), (a, b) => {
        const [since, size] = a < b ? [a, b] : [b, a];
        const before = new Set(names(since));
        expect(names(size, since)).toEqual(names(size).filter((path) => !before.has(path)));
      }),
      { numRuns: 40 },
    );
  });
});

describe('the writer of tiles', () => {
  test.each([1, 255, 256, 257, 511, 512, 513, 65_535, 65_536, 65_537, 70_000])('makes of %d leaves what tlog-tiles demands', (size) => {
    const { store, tail } = grown(size);
    expect(shown(store)).toEqual(shown(expectedObjects(size)));
    expect(tail.size).toBe(size);
    expect(toHex(frontierRoot(tailFrontier(tail)))).toBe(toHex(root(size)));
  });

  test('leaves every published size complete, however it grows', () => {
    const size = fc.integer({ min: 1, max: 1400 });
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.oneof(size, fc.constantFrom(255, 256, 257, 511, 512, 513, 768)), { minLength: 1, maxLength: 6 }),
        (sizes) => {
          const rising = sizes.toSorted((a, b) => a - b);
          const { store } = grown(...rising);
          const expected = new Map(rising.flatMap((each) => [...expectedObjects(each)]));
          expect(shown(store)).toEqual(shown(expected));
        },
      ),
      { numRuns: 60 },
    );
  });

  test('grows leaf by leaf through the boundaries', () => {
    const sizes = Array.from({ length: 520 }, (_, i) => i + 1);
    const { store } = grown(...sizes);
    expect(shown(store)).toEqual(shown(new Map(sizes.flatMap((each) => [...expectedObjects(each)]))));
  });

  test('goes on from the partial tiles of a size read back, and gives the same bytes again', async () => {
    for (const [old, size] of [
      [0, 300],
      [1, 256],
      [255, 257],
      [256, 512],
      [300, 65_536],
      [65_535, 65_537],
      [65_536, 65_792],
    ] as const) {
      const { store } = grown(old, size);
      const read: string[] = [];
      const tail = await readTail(old, async (path) => {
        read.push(path);
        return mustRead(store, path);
      });
      expect(read.every((path) => path.includes('.p/'))).toBe(true);
      const once = growTree(tail, leaves.slice(old, size));
      const again = growTree(tail, leaves.slice(old, size));
      expect(shown(new Map(again.objects.map((object) => [object.path, object.bytes])))).toEqual(
        shown(new Map(once.objects.map((object) => [object.path, object.bytes]))),
      );
      for (const { path, bytes } of once.objects) expect(equal(bytes, store.get(path) as Uint8Array)).toBe(true);
      expect(new Set([...once.objects.map(({ path }) => path), ...grown(old).store.keys()])).toEqual(new Set(store.keys()));
    }
  });

  test('writes nothing when nothing is added', () => {
    const { tail } = grown(300);
    expect(growTree(tail, [])).toEqual({ objects: [], tail });
    expect(growTree(EMPTY_TAIL, [])).toEqual({ objects: [], tail: EMPTY_TAIL });
  });

  test('does not change the tail it was given', () => {
    const { tail } = grown(300);
    const before = structuredClone(tail);
    growTree(tail, leaves.slice(300, 800));
    expect(tail).toEqual(before);
  });

  test('refuses a tail that does not fit its size', () => {
    const { tail } = grown(300);
    const [low, high] = tail.tiles;
    if (low === undefined || high === undefined) throw new Error('300 leaves have two partial tiles');
    for (const tiles of [
      [],
      [low],
      [high, low],
      [low, high, high],
      [{ ...low, bytes: low.bytes.subarray(1) }, high],
      [{ ...low, n: 0 }, high],
    ])
      expect(() => growTree({ ...tail, tiles }, [])).toThrow(expect.objectContaining({ code: 'FORMAT_INVALID' }));
    for (const bundle of [new Uint8Array(0), grown(299).tail.bundle, grown(301).tail.bundle, tail.bundle.subarray(1)])
      expect(() => growTree({ ...tail, bundle }, [])).toThrow(expect.objectContaining({ code: 'FORMAT_INVALID' }));
  });
});

describe('tiles made again from leaf hashes', () => {
  test('are the stored ones, byte for byte, in one pass', () => {
    const published = [1, 255, 256, 257, 600, 65_536, 70_000];
    const { store } = grown(...published);
    const growing = new GrowingTiles();
    const made: Store = new Map();
    for (const size of published) {
      const full = growing.append(hashes.slice(growing.size, size));
      for (const { level, n, width, bytes } of [...full, ...growing.partials()]) made.set(tilePath(level, n, width), bytes);
      expect(growing.size).toBe(size);
      expect(toHex(growing.root())).toBe(toHex(root(size)));
    }
    expect(shown(made)).toEqual(shown(new Map([...store].filter(([path]) => !path.startsWith('tile/entries/')))));
  });

  test('have the frontier of their size, up to 600 leaves', () => {
    const growing = new GrowingTiles();
    let frontier = EMPTY_FRONTIER;
    for (let size = 0; size < 600; size++) {
      if (size <= 70) expect(toHex(growing.root())).toBe(toHex(referenceRoot(leaves.slice(0, size))));
      expect(growing.frontier()).toEqual(frontier);
      growing.append(hashes.slice(size, size + 1));
      frontier = extendFrontier(frontier, hashes.slice(size, size + 1));
    }
  });

  test('go on from partial tiles at sizes beyond 2^32', () => {
    const size = 2 ** 40 - 1;
    const partials = partialTilesOf(size).map((name) => ({ ...name, bytes: concat(...hashes.slice(0, name.width)) }));
    const full = new GrowingTiles(size, partials).append(hashes.slice(0, 1));
    expect(full.map(({ level, n, width }) => [level, n, width])).toEqual([
      [0, 2 ** 32 - 1, 256],
      [1, 2 ** 24 - 1, 256],
      [2, 2 ** 16 - 1, 256],
      [3, 2 ** 8 - 1, 256],
      [4, 0, 256],
    ]);
  });
});

describe('proofs from tiles', () => {
  const sizes = [1, 255, 256, 257, 5000, 65_536, 65_537, 70_000];
  const { store } = grown(...sizes);
  test('are right at each published size', async () => {
    for (const size of sizes) {
      const readHash = tileHashReader(size, readFrom(store));
      for (const index of [0, 1, 255, 256, size >> 1, size - 2, size - 1].filter((each) => each >= 0 && each < size))
        expect(checkInclusion(await proveInclusion(size, index, readHash), size, index, hashes[index] as Uint8Array, root(size))).toBe(
          true,
        );
      for (const old of sizes.filter((each) => each <= size))
        expect(checkConsistency(await proveConsistency(old, size, readHash), old, root(old), size, root(size))).toBe(true);
    }
  });

  test('take a full tile where the partial one is gone, and fetch every tile once', async () => {
    const trimmed = new Map([...store].filter(([path]) => !path.startsWith('tile/0/001.p/')));
    const asked: string[] = [];
    const readHash = tileHashReader(300, async (path) => {
      asked.push(path);
      return trimmed.get(path);
    });
    for (const index of [0, 255, 256, 299])
      expect(checkInclusion(await proveInclusion(300, index, readHash), 300, index, hashes[index] as Uint8Array, root(300))).toBe(true);
    expect(asked.toSorted()).toEqual(['tile/0/000', 'tile/0/001', 'tile/0/001.p/44', 'tile/1/000.p/1']);
  });

  test('name the tile that is missing or too short', async () => {
    const none = tileHashReader(300, async () => undefined);
    await expect(proveInclusion(300, 0, none)).rejects.toThrow(expect.objectContaining({ code: 'NOT_FOUND' }));
    const short = tileHashReader(300, async (path) => store.get(path)?.subarray(1));
    await expect(proveInclusion(300, 0, short)).rejects.toThrow(expect.objectContaining({ code: 'FORMAT_INVALID' }));
  });

  test('do not read a subtree that is not complete', async () => {
    const readHash = tileHashReader(300, readFrom(store));
    for (const [level, index] of [
      [0, 300],
      [2, 75],
      [8, 1],
      [9, 0],
    ] as const)
      await expect(readHash(level, index)).rejects.toThrow(expect.objectContaining({ code: 'USAGE' }));
  });
});

describe('bundles', () => {
  test('give back their leaves, empty and longest ones as well', () => {
    const some = [new Uint8Array(0), utf8('a'), new Uint8Array(65_535).fill(7), new Uint8Array(256)];
    expect(decodeBundle(encodeBundle(some))).toEqual(some);
  });

  test('hold 256 leaves and no more', () => {
    const full = leaves.slice(0, TILE_WIDTH);
    expect(decodeBundle(encodeBundle(full))).toHaveLength(256);
    expect(() => encodeBundle(leaves.slice(0, 257))).toThrow(expect.objectContaining({ code: 'LIMIT_EXCEEDED' }));
    expect(() => encodeBundle([])).toThrow(expect.objectContaining({ code: 'LIMIT_EXCEEDED' }));
    expect(() => encodeBundle([new Uint8Array(65_536)])).toThrow(expect.objectContaining({ code: 'LIMIT_EXCEEDED' }));
    expect(() => decodeBundle(concat(encodeBundle(full), encodeBundle([utf8('x')])))).toThrow(
      expect.objectContaining({ code: 'LIMIT_EXCEEDED' }),
    );
    expect(() => hashLeaves([new Uint8Array(65_536)])).toThrow(expect.objectContaining({ code: 'LIMIT_EXCEEDED' }));
  });

  test('that are cut anywhere between two leaves, or empty, are refused', () => {
    const bytes = encodeBundle([utf8('abc'), utf8(''), utf8('de')]);
    const whole = new Set([5, 7, 11]);
    for (let end = 0; end < bytes.length; end++) {
      if (whole.has(end)) continue;
      expect(() => decodeBundle(bytes.subarray(0, end))).toThrow(expect.objectContaining({ code: 'FORMAT_INVALID' }));
    }
  });
});
