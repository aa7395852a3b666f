import { sha256 } from '#crypto';
import { concat, utf8 } from '../../core/base/bytes.ts';
import { encodeLink } from '../../core/formats/leaf.ts';
import { leafHash } from '../../core/tree/hash.ts';
import { decodeBundle, encodeBundle } from '../../core/tree/tile.ts';
import { flip } from '../support/alterations.ts';
import { required } from '../support/rich-archive.ts';
import { SEVENS } from '../support/violation.ts';
import type { Alter, Attack, Results } from './attack.ts';
import { changed, nameOf, namesOf, planted } from './forging.ts';

const BUNDLE = /^logs\/0\/tile\/entries\//;
const TILE = /^logs\/0\/tile\/0\//;
const LOG: Results = { failed: 'LOG' };
const UNREADABLE: Results = { failed: 'LOG', unchecked: 'STREAMS SIGNATURES ORDER COMPLETE UNIQUE POLICY' };

const SWAPPED: Results = { failed: 'ARCHIVE LOG STREAMS ORDER UNIQUE' };
const INVENTED_LINK: Results = { failed: 'ARCHIVE LOG STREAMS SIGNATURES ORDER UNIQUE' };

/** Changes the leaves of all bundles. */
function leaves(change: (leaves: Uint8Array[]) => Uint8Array[]): Alter {
  return (map) => {
    for (const name of namesOf(map, BUNDLE)) map.set(name, encodeBundle(change(decodeBundle(required(map.get(name))))));
  };
}

/** The same, and the tiles of their hashes: no key can make the signed root fit. */
function whole(change: (leaves: Uint8Array[]) => Uint8Array[]): Alter {
  return async (map, stage) => {
    await leaves(change)(map, stage);
    for (const name of namesOf(map, TILE)) {
      const width = required(map.get(name)).length / 32;
      map.set(
        name,
        concat(
          ...decodeBundle(required(map.get(nameOf(map, BUNDLE))))
            .slice(0, width)
            .map(leafHash),
        ),
      );
    }
  };
}

const swap = (all: Uint8Array[]): Uint8Array[] => [required(all[1]), required(all[0]), ...all.slice(2)];
const exchange = (all: Uint8Array[]): Uint8Array[] => all.map((leaf, i) => (i === 1 ? flip(leaf, 99) : leaf));
const INVENTED = encodeLink({
  kind: 'link',
  stream: 'a',
  index: 0,
  previous: new Uint8Array(32),
  event: SEVENS,
  schema: SEVENS,
  acceptedAt: 1,
  inputOffset: 0,
  position: 0,
  marks: 0,
});

const oldest = (pattern: RegExp, change: (bytes: Uint8Array) => Uint8Array): Alter => {
  return (map) => {
    const [name] = namesOf(map, pattern);
    map.set(required(name), change(required(map.get(required(name)))));
  };
};

const ROWS: readonly (readonly [name: string, alter: Alter, seen: string | null, results: Results])[] = [
  ['tile-turned-bit', changed(TILE, (bytes) => flip(bytes, 8)), 'LOG TILE_WRONG', LOG],
  ['tile-with-a-hash-more', changed(TILE, (bytes) => concat(bytes, SEVENS)), 'LOG TILE_WRONG', LOG],
  ['tile-with-a-hash-less', changed(TILE, (bytes) => bytes.slice(0, -32)), 'LOG TILE_WRONG', LOG],
  ['tile-of-nothing', changed(TILE, () => new Uint8Array(0)), 'LOG TILE_WRONG', LOG],
  ['old-tile-changed', oldest(TILE, (bytes) => flip(bytes, 8)), 'LOG TILE_WRONG', LOG],
  ['old-leaves-changed', oldest(BUNDLE, (bytes) => flip(bytes, 300)), 'LOG TILE_WRONG', LOG],
  ['leaves-turned-bit', leaves(exchange), 'LOG BUNDLE_WRONG', { failed: 'LOG STREAMS' }],
  ['leaves-swapped', leaves(swap), 'LOG BUNDLE_WRONG', SWAPPED],
  ['leaf-invented', leaves((all) => [INVENTED, ...all.slice(1)]), 'LOG BUNDLE_WRONG', INVENTED_LINK],
  ['leaf-dropped', leaves((all) => all.slice(1)), 'LOG BUNDLE_INVALID', UNREADABLE],
  ['leaf-added', leaves((all) => [...all, INVENTED]), 'LOG BUNDLE_INVALID', UNREADABLE],
  ['leaves-and-tiles-swapped', whole(swap), 'LOG ROOT_WRONG', SWAPPED],
  ['leaves-and-tiles-turned-bit', whole(exchange), 'LOG ROOT_WRONG', { failed: 'ARCHIVE LOG STREAMS' }],
  ['leaf-and-tile-invented', whole((all) => [INVENTED, ...all.slice(1)]), 'LOG ROOT_WRONG', INVENTED_LINK],
  ['tile-of-the-root-in-a-higher-level', planted('logs/0/tile/1/000.p/1', sha256(SEVENS)), null, {}],
];

const NOT_A_LEAF: Attack = {
  name: 'leaf-that-is-not-avro',
  keys: ['archive'],
  alter: leaves((all) => all.map((leaf, i) => (i === 0 ? utf8('x') : leaf))),
  seen: 'LOG BUNDLE_WRONG',
  failed: 'ARCHIVE LOG STREAMS COMPLETE UNIQUE',
  // The other verifier stops at such a leaf, and the product skips it.
  differs: ['STREAMS OK FAILED', 'UNIQUE OK FAILED'],
};

export const TREE_ATTACKS: readonly Attack[] = [
  ...ROWS.map(([name, alter, seen, results]): Attack => ({ name, keys: ['archive'], alter, seen, ...results })),
  NOT_A_LEAF,
];
