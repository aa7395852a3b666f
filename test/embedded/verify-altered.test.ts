import { beforeAll, describe, expect, test } from '@jest/globals';
import { PROPERTIES } from '../../auditor/property.ts';
import type { Verdict } from '../../auditor/verdict.ts';
import { verifyArchive } from '../../auditor/verify.ts';
import { logKeysOf } from '../../core/archive/archive-keys.ts';
import { utf8, utf8Text } from '../../core/base/bytes.ts';
import { parseVerifierKey, type VerifierKey } from '../../core/keys/key.ts';
import { expectNamed, FLIPS, flip, flips, reordered } from '../support/alterations.ts';
import type { ArchiveObjects, ForgedArchive } from '../support/forged-archive.ts';
import { required, richArchive, richWorld } from '../support/rich-archive.ts';

const TIMEOUT_MS = 120_000;
const KEYS = logKeysOf(0);

let archive: ForgedArchive;
let honest: ArchiveObjects;
let pinned: VerifierKey;

beforeAll(async () => {
  const world = await richWorld();
  archive = await richArchive(world);
  honest = archive.objects;
  pinned = parseVerifierKey(world.root.verifierKey);
});

function verify(objects: ArchiveObjects): Promise<Verdict> {
  return verifyArchive(objects, { keys: [pinned] });
}

/** Objects that neither the newest checkpoint nor a manifest requires: older partial tiles, snapshots, the table of contents. */
const OPTIONAL = [
  'archive.json',
  'logs/0/snapshots/367.json',
  'logs/0/snapshots/367.state',
  'logs/0/snapshots/523.json',
  'logs/0/snapshots/523.state',
  'logs/0/tile/0/000.p/121',
  'logs/0/tile/0/000.p/242',
  'logs/0/tile/0/001.p/111',
  'logs/0/tile/0/002.p/11',
  'logs/0/tile/1/000.p/1',
  'logs/0/tile/entries/000.p/121',
  'logs/0/tile/entries/000.p/242',
  'logs/0/tile/entries/001.p/111',
  'logs/0/tile/entries/002.p/11',
];

/** The required objects, by a part of their names: tests get their names before the archive is made. */
const REQUIRED = [
  'logs/0/signed',
  'logs/0/checkpoint',
  'logs/0/checkpoints/367',
  'logs/0/checkpoints/523',
  'logs/0/checkpoints/554',
  ...[367, 523, 554].map((size) => `logs/0/checkpoints/${size}.cose`),
  'logs/0/tile/0/000',
  'logs/0/tile/0/001',
  'logs/0/tile/0/002.p/42',
  'logs/0/tile/1/000.p/2',
  'logs/0/tile/entries/000',
  'logs/0/tile/entries/001',
  'logs/0/tile/entries/002.p/42',
  ...['00000-0{17}367', '367-0{17}523', '523-0{17}554'].flatMap((stretch) =>
    ['[0-9a-f]{16}.events.avro', 'evidence.avro', 'manifest.json'].map((kind) => `logs/0/segments/0+${stretch}.${kind}`),
  ),
  'logs/0/segments/0+00000-0{17}367.refused.avro',
  'policies/VERSION1',
  'policies/VERSION2',
  'schemas/.*',
];

function keyOf(name: string): string {
  const versions = archive.world.policies.versions;
  const pattern = name.replace('VERSION1', required(versions[0]).hex).replace('VERSION2', required(versions[1]).hex);
  const keys = [...honest.map.keys()].filter((key) => new RegExp(`^${pattern}(?:\\.json)?$`).test(key));
  expect(keys).toHaveLength(1);
  return required(keys[0]);
}

test('the lists below name every object of the archive', () => {
  expect([...OPTIONAL, ...REQUIRED.map(keyOf)].toSorted()).toEqual([...honest.map.keys()].toSorted());
});

describe.each(REQUIRED)('%s is required', (name) => {
  test('missing: it fails the property that it belongs to, and no other', async () => {
    const key = keyOf(name);
    const verdict = await verify(honest.changed((map) => map.delete(key)));
    expectNamed(verdict, [key], 'missing');
    const failed = PROPERTIES.filter((property) => verdict.properties[property].result === 'FAILED');
    expect(failed).toEqual(key.startsWith('policies/') ? ['POLICY'] : key.includes('/entries/') ? ['ARCHIVE', 'LOG'] : ['ARCHIVE']);
  });

  test('truncated or lengthened: FAILED', async () => {
    const key = keyOf(name);
    const bytes = required(honest.map.get(key));
    for (const length of [0, Math.floor(bytes.length / 2), bytes.length - 1]) {
      const verdict = await verify(honest.changed((map) => map.set(key, bytes.subarray(0, length))));
      expectNamed(verdict, [key], `cut to ${length}`);
    }
    expectNamed(await verify(honest.changed((map) => map.set(key, utf8(`${utf8Text(new Uint8Array(0))}x`)))), [key], 'one byte');
    const longer = new Uint8Array(bytes.length + 1);
    longer.set(bytes);
    expectNamed(await verify(honest.changed((map) => map.set(key, longer))), [key], 'a byte more');
  });

  test('swapped with each neighbour that differs: FAILED', async () => {
    const key = keyOf(name);
    const keys = [...honest.map.keys()].toSorted();
    const at = keys.indexOf(key);
    for (const other of [keys[at - 1], keys[at + 1]]) {
      const [mine, theirs] = [required(honest.map.get(key)), other === undefined ? undefined : honest.map.get(other)];
      if (other === undefined || theirs === undefined || Buffer.compare(mine, theirs) === 0) continue;
      const swapped = honest.changed((map) => map.set(key, theirs).set(other, mine));
      expectNamed(await verify(swapped), [key, other], `swapped with ${other}`);
    }
  });

  test(
    `a bit flipped at the first, the last and ${FLIPS} seeded places: FAILED`,
    async () => {
      const key = keyOf(name);
      const bytes = required(honest.map.get(key));
      for (const bit of flips(bytes.length, REQUIRED.indexOf(name) + 1)) {
        expectNamed(await verify(honest.changed((map) => map.set(key, flip(bytes, bit)))), [key], `bit ${bit} of ${bytes.length * 8}`);
      }
    },
    TIMEOUT_MS,
  );
});

test.each([
  ['evidence', 'logs/0/segments/0+-0+367.evidence.avro', ['LOG', 'STREAMS', 'SIGNATURES', 'ORDER', 'COMPLETE', 'UNIQUE', 'POLICY']],
  ['a manifest', 'logs/0/segments/0+-0+367.manifest.json', ['LOG', 'STREAMS', 'SIGNATURES', 'ORDER', 'COMPLETE', 'UNIQUE', 'POLICY']],
  ['events', 'logs/0/segments/0+-0+367.[0-9a-f]+.events.avro', ['STREAMS', 'SIGNATURES', 'UNIQUE', 'POLICY']],
  ['a schema', 'schemas/.*', ['STREAMS', 'SIGNATURES', 'UNIQUE', 'POLICY']],
  ['leaves', 'logs/0/tile/entries/001', ['STREAMS', 'SIGNATURES', 'ORDER', 'COMPLETE', 'UNIQUE', 'POLICY']],
  ['a policy', 'policies/VERSION2', ['LOG', 'STREAMS', 'SIGNATURES', 'ORDER', 'COMPLETE', 'UNIQUE']],
])('%s missing: what rests on it is not OK either', async (_, name, unshown) => {
  const { properties } = await verify(honest.changed((map) => map.delete(keyOf(name))));
  expect(PROPERTIES.filter((property) => properties[property].result === 'NOT CHECKED')).toEqual([...unshown, 'WITNESSES', 'TIME']);
});

describe.each(OPTIONAL)('%s may be missing', (key) => {
  test('missing: OK', async () => {
    expect((await verify(honest.changed((map) => map.delete(key)))).ok).toBe(true);
  });

  test('altered: FAILED', async () => {
    const bytes = required(honest.map.get(key));
    for (const bit of flips(bytes.length, OPTIONAL.indexOf(key) + 100).slice(0, 6)) {
      expectNamed(await verify(honest.changed((map) => map.set(key, flip(bytes, bit)))), [key], `bit ${bit}`);
    }
    expectNamed(await verify(honest.changed((map) => map.set(key, bytes.subarray(0, bytes.length - 1)))), [key], 'cut');
  });
});

test('all objects that may be missing are missing: OK', async () => {
  const verdict = await verify(
    honest.changed((map) => {
      for (const key of OPTIONAL) map.delete(key);
    }),
  );
  expect(verdict.ok).toBe(true);
});

describe('JSON that is not in canonical form', () => {
  test.each([
    ['a space', (text: string): string => text.replace(':', ': ')],
    ['a newline at the end', (text: string): string => `${text}\n`],
    ['members in another order', reordered],
  ])('%s: FAILED, in every JSON object', async (what, respell) => {
    const keys = [...honest.map.keys()].filter((key) => key.endsWith('.json') || key.endsWith('.avsc'));
    expect(keys).toHaveLength(9);
    for (const key of keys) {
      const text = utf8Text(required(honest.map.get(key)));
      const other = respell(text);
      expect(other).not.toBe(text);
      expect(JSON.parse(other)).toEqual(JSON.parse(text));
      expectNamed(await verify(honest.changed((map) => map.set(key, utf8(other)))), [key], `${what} in ${key}`);
    }
  });
});

describe('notes of another time', () => {
  test('an older checkpoint under newer segments: FAILED', async () => {
    const old = required(honest.map.get(KEYS.checkpointAt(523)));
    expectNamed(await verify(honest.changed((map) => map.set(KEYS.checkpoint, old))), [KEYS.checkpoint], 'old checkpoint');
    const both = honest.changed((map) => map.set(KEYS.checkpoint, old).set(KEYS.signed, old));
    expectNamed(await verify(both), [KEYS.checkpoint], 'both old');
  });

  test('an older signed note under a newer checkpoint: FAILED', async () => {
    const old = required(honest.map.get(KEYS.checkpointAt(523)));
    expectNamed(await verify(honest.changed((map) => map.set(KEYS.signed, old))), [KEYS.signed], 'old note');
  });

  test('everything after a segment cut off, notes and all: the lanes stay open', async () => {
    const old = required(honest.map.get(KEYS.checkpointAt(523)));
    const cut = honest.changed((map) => {
      map.set(KEYS.checkpoint, old).set(KEYS.signed, old);
      for (const key of map.keys()) if (/0523-|checkpoints\/554|002\.p\/42/.test(key)) map.delete(key);
    });
    const verdict = await verify(cut);
    expect(verdict.properties.COMPLETE.result).toBe('OPEN');
    expect(verdict.findings.map(({ code }) => code)).toContain('LANE_OPEN');
  });
});
