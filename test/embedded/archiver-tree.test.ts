import { beforeAll, describe, expect, test } from '@jest/globals';
import { readBack, readStoredTail } from '../../archiver/stored-tree.ts';
import { utf8 } from '../../core/base/bytes.ts';
import { EMPTY_TAIL, growTree, type TreeTail } from '../../core/tree/build/tile.ts';
import { EMPTY_FRONTIER, extendFrontier, frontierRoot } from '../../core/tree/frontier.ts';
import { leafHash } from '../../core/tree/hash.ts';
import { encodeBundle, entriesPath, TILE_WIDTH, tilePath } from '../../core/tree/tile.ts';
import { MemoryObjectStore } from '../support/memory.ts';

const FOLDER = 'logs/0';
/** One full bundle and tile, and a begun one: published at 40, with the first full, at 260 and the end. */
const SIZES = [40, TILE_WIDTH, TILE_WIDTH + 4, TILE_WIDTH + 44] as const;
const [EARLY, , MIDDLE, SIZE] = SIZES;

const leaves = Array.from({ length: SIZE }, (_, i) => utf8(`leaf ${i}`));
/** As many leaves, another one at the end. */
const others = [...leaves.slice(0, -1), utf8('another leaf')];

function rootOf(of: readonly Uint8Array[]): Uint8Array {
  return frontierRoot(extendFrontier(EMPTY_FRONTIER, of.map(leafHash)));
}

/** Stores the tree of these leaves, published at each of the sizes; the tails at those. */
async function storeTree(objects: MemoryObjectStore, of: readonly Uint8Array[]): Promise<TreeTail[]> {
  const tails: TreeTail[] = [];
  let tail = EMPTY_TAIL;
  for (const size of SIZES) {
    const growth = growTree(tail, of.slice(tail.size, size));
    for (const { path, bytes } of growth.objects) await objects.create(`${FOLDER}/${path}`, bytes);
    tail = growth.tail;
    tails.push(tail);
  }
  return tails;
}

let store: MemoryObjectStore;
let tails: TreeTail[];

beforeAll(async () => {
  store = new MemoryObjectStore();
  tails = await storeTree(store, leaves);
});

/** The store with one object of the tree gone or another. */
function spoiled(path: string, change: (bytes: Uint8Array) => Uint8Array | undefined): MemoryObjectStore {
  const copy = new MemoryObjectStore();
  for (const [key, bytes] of store.objects) copy.objects.set(key, bytes);
  const key = `${FOLDER}/${path}`;
  const changed = change(copy.objects.get(key) as Uint8Array);
  if (changed === undefined) copy.objects.delete(key);
  else copy.objects.set(key, changed);
  return copy;
}

const lastByte = (bytes: Uint8Array): Uint8Array => bytes.with(bytes.length - 1, (bytes.at(-1) as number) ^ 1);
const firstLeaf = (bytes: Uint8Array): Uint8Array => bytes.with(2, (bytes[2] as number) ^ 1);
const cut = (bytes: Uint8Array): Uint8Array => bytes.subarray(0, -1);
const gone = (): undefined => undefined;

const refused = (fact: string): object => ({ code: 'ARCHIVE_DIVERGED', message: `cannot go on with ${FOLDER}: ${fact}` });

describe('the tail of a stored tree', () => {
  const tailOf = (objects: MemoryObjectStore, size = SIZE, root = rootOf(leaves.slice(0, size))): Promise<TreeTail> =>
    readStoredTail({ objects, folder: FOLDER }, size, root);

  test('is the one that was stored, whether its last bundle is full or not', async () => {
    for (const [i, size] of SIZES.entries()) expect(await tailOf(store, size)).toEqual(tails[i]);
  });

  test('is refused if its tiles give another root', async () => {
    await expect(tailOf(store, SIZE, rootOf(others))).rejects.toMatchObject(refused(`its tiles do not give the root at ${SIZE}`));
    for (const path of [tilePath(0, 1, SIZE - TILE_WIDTH), tilePath(1, 0, 1)])
      await expect(tailOf(spoiled(path, lastByte))).rejects.toMatchObject(refused(`its tiles do not give the root at ${SIZE}`));
  });

  test('is refused if its last bundle holds other leaves than its tiles', async () => {
    const path = entriesPath(1, SIZE - TILE_WIDTH);
    for (const change of [firstLeaf, lastByte])
      await expect(tailOf(spoiled(path, change))).rejects.toMatchObject(refused(`${path} does not hold the leaves of its tile`));
  });

  test.each([tilePath(0, 1, SIZE - TILE_WIDTH), tilePath(1, 0, 1), entriesPath(1, SIZE - TILE_WIDTH)])(
    'is refused if %s is missing',
    async (path) => {
      await expect(tailOf(spoiled(path, gone))).rejects.toMatchObject(refused(`${path} is missing`));
    },
  );
});

describe('a stored object that cannot be read', () => {
  const tree = (path: string) => ({ objects: spoiled(path, cut), folder: FOLDER });

  test.each([tilePath(0, 1, SIZE - TILE_WIDTH), tilePath(1, 0, 1)])('is refused in a tail: %s', async (path) => {
    await expect(readStoredTail(tree(path), SIZE, rootOf(leaves))).rejects.toMatchObject(
      refused(`a tile of the tree at ${SIZE} cannot be read`),
    );
  });

  test('is refused if it is a bundle, in a tail and when it is read back', async () => {
    const path = entriesPath(1, SIZE - TILE_WIDTH);
    await expect(readStoredTail(tree(path), SIZE, rootOf(leaves))).rejects.toMatchObject(refused(`${path} cannot be read`));
    await expect(readBack(tree(path), EMPTY_TAIL, SIZE, rootOf(leaves))).rejects.toMatchObject(refused(`${path} cannot be read`));
  });
});

describe('a stored tree that is read back', () => {
  const back = (objects: MemoryObjectStore, from: TreeTail = EMPTY_TAIL, root = rootOf(leaves)): Promise<void> =>
    readBack({ objects, folder: FOLDER }, from, SIZE, root);

  test('is what was stored, from whatever size on', async () => {
    for (const from of [EMPTY_TAIL, ...tails]) await expect(back(store, from)).resolves.toBeUndefined();
  });

  test('is refused if its leaves give another root, though its tiles fit them', async () => {
    const whole = new MemoryObjectStore();
    const otherTails = await storeTree(whole, others);
    for (const from of [EMPTY_TAIL, ...otherTails.slice(0, -1)])
      await expect(back(whole, from)).rejects.toMatchObject(refused(`its bundles do not give the root at ${SIZE}`));
  });

  test.each([entriesPath(0, TILE_WIDTH), entriesPath(1, SIZE - TILE_WIDTH)])('is refused if %s holds another leaf', async (path) => {
    await expect(back(spoiled(path, lastByte))).rejects.toMatchObject(refused(`its bundles do not give the root at ${SIZE}`));
  });

  test.each([tilePath(0, 0, TILE_WIDTH), tilePath(0, 1, SIZE - TILE_WIDTH), tilePath(1, 0, 1)])(
    'is refused if %s is not what the leaves give',
    async (path) => {
      for (const change of [lastByte, firstLeaf])
        await expect(back(spoiled(path, change))).rejects.toMatchObject(refused(`${path} is not what the leaves give`));
    },
  );

  test('is refused if a bundle begins with another leaf than the tree before', async () => {
    const path = entriesPath(0, TILE_WIDTH);
    await expect(back(spoiled(path, firstLeaf), tails[SIZES.indexOf(EARLY)])).rejects.toMatchObject(
      refused(`${path} is not what the leaves give`),
    );
  });

  test.each([
    entriesPath(0, TILE_WIDTH),
    entriesPath(1, SIZE - TILE_WIDTH),
    tilePath(0, 0, TILE_WIDTH),
    tilePath(0, 1, SIZE - TILE_WIDTH),
    tilePath(1, 0, 1),
  ])('is refused if %s is missing', async (path) => {
    await expect(back(spoiled(path, gone))).rejects.toMatchObject(refused(`${path} is missing`));
  });

  test('is refused if a bundle holds fewer leaves than its name says', async () => {
    const path = entriesPath(1, SIZE - TILE_WIDTH);
    const short = spoiled(path, () => encodeBundle(leaves.slice(TILE_WIDTH, -1)));
    await expect(back(short)).rejects.toMatchObject(refused(`its bundles do not give the root at ${SIZE}`));
  });

  test('reads nothing that is before the size from which it starts', async () => {
    const late = spoiled(entriesPath(0, TILE_WIDTH), gone);
    await expect(back(late, tails[SIZES.indexOf(MIDDLE)])).resolves.toBeUndefined();
    await expect(back(late, tails[SIZES.indexOf(EARLY)])).rejects.toMatchObject({ code: 'ARCHIVE_DIVERGED' });
  });
});
