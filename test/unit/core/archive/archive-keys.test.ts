import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ARCHIVE_JSON, logKeysOf, parseArchiveKey, policyKey, schemaKey, segmentName } from '../../../../core/archive/archive-keys.ts';
import { codeOf } from '../keys/support.ts';

describe('places in the archive', () => {
  const hex = '0123456789abcdef'.repeat(4);
  const keys = logKeysOf(3);
  const placed: readonly [string, object][] = [
    [ARCHIVE_JSON, { kind: 'archive' }],
    [schemaKey(hex), { kind: 'schema', hex }],
    [policyKey(hex), { kind: 'policy', hex }],
    [keys.signed, { kind: 'signed', shard: 3 }],
    [keys.checkpoint, { kind: 'checkpoint', shard: 3 }],
    [keys.checkpointAt(0), { kind: 'checkpointAt', shard: 3, size: 0 }],
    [keys.coseAt(7), { kind: 'coseAt', shard: 3, size: 7 }],
    [keys.checkpointAt(2 ** 40), { kind: 'checkpointAt', shard: 3, size: 2 ** 40 }],
    [keys.cosignature(9, 'w+0+x'), { kind: 'cosignature', shard: 3, size: 9, witness: '63f3e24dd795ff95' }],
    [keys.snapshot(9), { kind: 'snapshot', shard: 3, size: 9 }],
    [keys.state(9), { kind: 'state', shard: 3, size: 9 }],
    [keys.events(0, 9, hex), { kind: 'events', shard: 3, first: 0, end: 9, schema: '0123456789abcdef' }],
    [keys.evidence(1, 9), { kind: 'evidence', shard: 3, first: 1, end: 9 }],
    [keys.refused(1, 9), { kind: 'refused', shard: 3, first: 1, end: 9 }],
    [keys.manifest(1, Number.MAX_SAFE_INTEGER), { kind: 'manifest', shard: 3, first: 1, end: Number.MAX_SAFE_INTEGER }],
    [keys.retired(1, 9), { kind: 'retired', shard: 3, first: 1, end: 9 }],
    [`${keys.folder}/tile/0/000`, { kind: 'tile', shard: 3, path: 'tile/0/000' }],
    ['logs/3/timestamps/12.note', { kind: 'stampedNote', shard: 3, size: 12 }],
    ['logs/3/timestamps/12.freetsa.pem', { kind: 'stampCertificates', shard: 3, size: 12, authority: 'freetsa' }],
    ['logs/3/timestamps/12.freetsa.tsr', { kind: 'timestamp', shard: 3, size: 12, authority: 'freetsa' }],
  ];

  test.each(placed)('%s', (key, place) => {
    expect(parseArchiveKey(key)).toEqual(place);
  });

  test('segments are named so that they sort as they follow each other', () => {
    expect(segmentName(0, 65_536)).toBe('00000000000000000000-00000000000000065536');
    fc.assert(
      fc.property(fc.maxSafeNat(), fc.maxSafeNat(), (a, b) => {
        expect(segmentName(a, a + 1) < segmentName(b, b + 1)).toBe(a < b);
      }),
    );
  });

  test.each([
    '',
    '/',
    'archive.jsonl',
    '/archive.json',
    'logs/03/signed',
    'logs/-1/signed',
    'logs/3/signed/',
    'logs/3/checkpoints/01',
    'logs/3/checkpoints/01.cose',
    'logs/3/checkpoints/',
    'logs/3/checkpoints/9007199254740992',
    'logs/9007199254740993/signed',
    'logs/3/snapshots/1',
    'logs/3/snapshots/1.states',
    'logs/3/snapshots/01.state',
    'schemas/ab.avsc',
    `schemas/${hex.toUpperCase()}.avsc`,
    `policies/${hex}.avsc`,
    'logs/3/segments/0-9.manifest.json',
    'logs/3/segments/00000000000000000000-99999999999999999999.manifest.json',
    'logs/3/segments/00000000000000000000-00000000000000000009.other.json',
    'logs/3/segments/00000000000000000000-00000000000000000009.events.avro',
    'logs/3/timestamps/1.A.tsr',
    'logs/3/../3/signed',
    `${schemaKey(hex)}\n`,
  ])('%j is not a place', (key) => {
    expect(codeOf(() => parseArchiveKey(key))).toBe('FORMAT_INVALID');
  });
});
