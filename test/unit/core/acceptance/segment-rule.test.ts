import { createHash } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { growSegment, openSegment, segmentEnds, segmentSyncMarker } from '../../../../core/acceptance/segment-rule.ts';
import { ARCHIVE_JSON, logKeysOf, parseArchiveKey, policyKey, schemaKey, segmentName } from '../../../../core/archive/archive-keys.ts';
import { toHex } from '../../../../core/base/bytes.ts';
import { LIMITS } from '../../../../core/base/limits.ts';
import { codeOf } from '../keys/support.ts';

const HOUR_MS = 3600_000;

describe('where a segment ends', () => {
  const one = { leaves: 1, eventBytes: 0, acceptedAt: 1000 };
  const grown = (...steps: readonly Partial<typeof one>[]) =>
    steps.reduce((segment, step) => growSegment(segment, { ...one, ...step }), openSegment(7));

  test('is decided by all that was added to it since its first leaf', () => {
    expect(grown()).toEqual({ first: 7, leaves: 0, eventBytes: 0, firstSealAt: undefined });
    const steps = [
      { leaves: 3, eventBytes: 5, acceptedAt: 1000 },
      { leaves: 2, eventBytes: 4, acceptedAt: 2000 },
    ];
    expect(grown(...steps)).toEqual({ first: 7, leaves: 5, eventBytes: 9, firstSealAt: 1000 });
  });

  test('at the first seal at or after 65,536 leaves', () => {
    expect(LIMITS.segmentLeaves).toBe(65_536);
    expect(segmentEnds(grown({ leaves: 65_535 }), 1000, HOUR_MS)).toBe(false);
    expect(segmentEnds(grown({ leaves: 65_535 }, { leaves: 1 }), 1000, HOUR_MS)).toBe(true);
    expect(segmentEnds(grown({ leaves: 70_000 }), 1000, HOUR_MS)).toBe(true);
  });

  test('at the first seal at or after 64 MiB of event bytes', () => {
    const limit = 64 * 1024 * 1024;
    expect(segmentEnds(grown({ eventBytes: limit - 1 }), 1000, HOUR_MS)).toBe(false);
    expect(segmentEnds(grown({ eventBytes: limit - 1 }, { eventBytes: 1 }), 1000, HOUR_MS)).toBe(true);
  });

  test('when its first and last seal lie segmentMaxAge apart: milliseconds there, microseconds here', () => {
    const [start, end] = [5_000_000, 5_000_000 + HOUR_MS * 1000];
    expect(segmentEnds(grown({ acceptedAt: start }, { acceptedAt: end - 1 }), end - 1, HOUR_MS)).toBe(false);
    expect(segmentEnds(grown({ acceptedAt: start }, { acceptedAt: end }), end, HOUR_MS)).toBe(true);
    expect(segmentEnds(grown({ acceptedAt: start }), start, 1)).toBe(false);
  });

  test('cutting a sequence of blocks anywhere and going on gives the same ends', () => {
    const blocks = fc.array(
      fc.record({ leaves: fc.integer({ min: 1, max: 40_000 }), eventBytes: fc.nat(30 << 20), acceptedAt: fc.nat(9) }),
      { maxLength: 30 },
    );
    fc.assert(
      fc.property(blocks, fc.nat(30), (steps, cut) => {
        const ends = (from: number, open = openSegment(0)): number[] => {
          const found: number[] = [];
          let segment = open;
          for (const [i, step] of steps.entries()) {
            if (i < from) continue;
            segment = growSegment(segment, step);
            if (!segmentEnds(segment, step.acceptedAt, 1000)) continue;
            found.push(i);
            segment = openSegment(0);
          }
          return found;
        };
        const all = ends(0);
        const resume = all.findLast((end) => end < cut);
        expect(ends(resume === undefined ? 0 : resume + 1)).toEqual(all.filter((end) => resume === undefined || end > resume));
      }),
    );
  });
});

test('the sync marker is H("lineproof segment" ‖ u64 first ‖ u64 end ‖ root ‖ origin)[:16]', () => {
  const root = new Uint8Array(32).fill(3);
  const numbers = Buffer.alloc(16);
  numbers.writeBigUInt64BE(2n ** 40n, 0);
  numbers.writeBigUInt64BE(2n ** 40n + 5n, 8);
  const expected = createHash('sha256')
    .update('lineproof segment')
    .update(numbers)
    .update(root)
    .update('origin.example/0')
    .digest('hex')
    .slice(0, 32);
  expect(toHex(segmentSyncMarker('origin.example/0', 2 ** 40, 2 ** 40 + 5, root))).toBe(expected);
});

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
    [keys.checkpointAt(2 ** 40), { kind: 'checkpointAt', shard: 3, size: 2 ** 40 }],
    [keys.snapshot(9), { kind: 'snapshot', shard: 3, size: 9 }],
    [keys.events(0, 9, hex), { kind: 'events', shard: 3, first: 0, end: 9, schema: '0123456789abcdef' }],
    [keys.evidence(1, 9), { kind: 'evidence', shard: 3, first: 1, end: 9 }],
    [keys.manifest(1, Number.MAX_SAFE_INTEGER), { kind: 'manifest', shard: 3, first: 1, end: Number.MAX_SAFE_INTEGER }],
    [keys.retired(1, 9), { kind: 'retired', shard: 3, first: 1, end: 9 }],
    [`${keys.folder}/tile/0/000`, { kind: 'tile', shard: 3, path: 'tile/0/000' }],
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
    'logs/3/checkpoints/',
    'logs/3/checkpoints/9007199254740992',
    'logs/9007199254740993/signed',
    'logs/3/snapshots/1',
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
