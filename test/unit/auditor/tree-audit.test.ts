import { beforeAll, describe, expect, test } from '@jest/globals';
import { Findings } from '../../../auditor/findings.ts';
import { TreeAudit } from '../../../auditor/tree-audit.ts';
import { fromHex, toHex, utf8 } from '../../../core/base/bytes.ts';
import type { StoredObject } from '../../../core/ports/object-store.ts';
import { EMPTY_TAIL, growTree } from '../../../core/tree/build/tile.ts';
import { decodeBundle, encodeBundle } from '../../../core/tree/tile.ts';

/** Past 65,536 leaves the tree has a full tile of level 1 and a partial one of level 2. */
const SIZE = 65_536 + 300;
const PUBLISHED = [40_000, 65_536, SIZE];
const stored = new Map<string, Uint8Array>();
/** What was signed: at the tree's edge it tells whether the leaf or its tile is altered. */
let root: Uint8Array | undefined;

beforeAll(async () => {
  let tail = EMPTY_TAIL;
  let from = 0;
  for (const size of PUBLISHED) {
    const grown = growTree(
      tail,
      Array.from({ length: size - from }, (_, i) => utf8(`leaf ${from + i}`)),
    );
    for (const { path, bytes } of grown.objects) stored.set(`logs/0/${path}`, bytes);
    ({ tail } = grown);
    from = size;
  }
  root = fromHex((await audit()).root);
});

/** Reads all leaves as the shard's audit does; the findings that fail, and the root of what was read. */
async function audit(change: (objects: Map<string, Uint8Array>) => void = () => undefined): Promise<{ named: string[]; root: string }> {
  const objects = new Map(stored);
  change(objects);
  const listed = new Map([...objects].map(([key, bytes]) => [key, bytes.length] as const));
  const get = async (key: string): Promise<StoredObject | undefined> => {
    const bytes = objects.get(key);
    return bytes === undefined ? undefined : { bytes, etag: '' };
  };
  const findings = new Findings();
  const tree = new TreeAudit({ objects: { get }, listed, shard: 0, findings });
  tree.checkRequired(SIZE);
  for await (const run of tree.leaves(SIZE, root)) await tree.take(run.hashes);
  await tree.finish();
  const named = findings.list.filter(({ severity }) => severity === 'FAILED').map(({ place }) => place.object ?? '');
  return { named: [...new Set(named)], root: toHex(tree.root()) };
}

const REQUIRED = [
  'tile/2/000.p/1',
  'tile/1/000',
  'tile/1/001.p/1',
  'tile/0/000',
  'tile/0/255',
  'tile/0/256',
  'tile/0/257.p/44',
  'tile/entries/255',
  'tile/entries/257.p/44',
];
const OPTIONAL = ['tile/1/000.p/156', 'tile/0/156.p/64', 'tile/entries/156.p/64'];

describe('a tree of more than 65,536 leaves', () => {
  test('is right, has tiles of three levels, and gives one root', async () => {
    const { named } = await audit();
    expect(named).toEqual([]);
    for (const path of [...REQUIRED, ...OPTIONAL]) expect([path, stored.has(`logs/0/${path}`)]).toEqual([path, true]);
  });

  test.each(REQUIRED)('%s missing, cut, swapped or altered is named', async (path) => {
    const key = `logs/0/${path}`;
    const bytes = stored.get(key) as Uint8Array;
    const honest = (await audit()).root;
    const changes: [string, Uint8Array | undefined][] = [
      ['missing', undefined],
      ['cut', bytes.slice(0, -1)],
      ['longer', Uint8Array.from([...bytes, 0])],
      ['swapped', stored.get(path.includes('entries') ? 'logs/0/tile/entries/001' : 'logs/0/tile/0/001')],
    ];
    // The third byte is the first of a bundle's first leaf.
    for (const at of [0, 2, bytes.length >> 1, bytes.length - 1])
      changes.push([`byte ${at}`, bytes.map((byte, i) => (i === at ? byte ^ 1 : byte))]);
    for (const [what, other] of changes) {
      const { named, root: found } = await audit((objects) => (other === undefined ? objects.delete(key) : objects.set(key, other)));
      expect({ what, named }).toEqual({ what, named: expect.arrayContaining([key]) });
      expect([what, found === honest]).toEqual([what, true]);
    }
  });

  test('a tile is altered, and what would tell it from its leaves is missing: both are named', async () => {
    const above = ['logs/0/tile/1/000', 'logs/0/tile/1/000.p/156'];
    const { named } = await audit((objects) => {
      for (const key of above) objects.delete(key);
      objects.set('logs/0/tile/0/000', new Uint8Array(256 * 32));
    });
    expect(named).toEqual(['logs/0/tile/1/000', 'logs/0/tile/0/000']);
  });

  test('an older bundle that holds fewer leaves than its name says is named', async () => {
    const key = 'logs/0/tile/entries/156.p/64';
    const fewer = decodeBundle(stored.get(key) as Uint8Array).slice(0, 63);
    expect((await audit((objects) => objects.set(key, encodeBundle(fewer)))).named).toEqual([key]);
  });

  test.each(OPTIONAL)('%s may be missing, and is named when altered', async (path) => {
    const key = `logs/0/${path}`;
    const bytes = stored.get(key) as Uint8Array;
    expect((await audit((objects) => objects.delete(key))).named).toEqual([]);
    expect(
      (
        await audit((objects) =>
          objects.set(
            key,
            bytes.map((byte, i) => (i === 3 ? byte ^ 1 : byte)),
          ),
        )
      ).named,
    ).toEqual([key]);
  });
});
