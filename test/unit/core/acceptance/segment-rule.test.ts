import { createHash } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { growSegment, openSegment, segmentEnds, segmentSyncMarker } from '../../../../core/acceptance/segment-rule.ts';
import { toHex } from '../../../../core/base/bytes.ts';
import { LIMITS } from '../../../../core/base/limits.ts';

const HOUR_MS = 3600_000;

describe('where a segment ends', () => {
  const one = { leaves: 1, eventBytes: 0, refusedBytes: 0, evidenceBytes: 0, acceptedAt: 1000 };
  const grown = (...steps: readonly Partial<typeof one>[]) =>
    steps.reduce((segment, step) => growSegment(segment, { ...one, ...step }), openSegment(7));

  test('is decided by all that was added to it since its first leaf', () => {
    expect(grown()).toEqual({ first: 7, leaves: 0, eventBytes: 0, refusedBytes: 0, evidenceBytes: 0, firstSealAt: undefined });
    const steps = [
      { leaves: 3, eventBytes: 5, refusedBytes: 7, evidenceBytes: 10, acceptedAt: 1000 },
      { leaves: 2, eventBytes: 4, refusedBytes: 1, evidenceBytes: 20, acceptedAt: 2000 },
    ];
    expect(grown(...steps)).toEqual({ first: 7, leaves: 5, eventBytes: 9, refusedBytes: 8, evidenceBytes: 30, firstSealAt: 1000 });
  });

  test('at the first seal at or after 65,536 leaves', () => {
    expect(LIMITS.segmentLeaves).toBe(65_536);
    expect(segmentEnds(grown({ leaves: 65_535 }), 1000, HOUR_MS)).toBe(false);
    expect(segmentEnds(grown({ leaves: 65_535 }, { leaves: 1 }), 1000, HOUR_MS)).toBe(true);
    expect(segmentEnds(grown({ leaves: 70_000 }), 1000, HOUR_MS)).toBe(true);
  });

  test.each(['eventBytes', 'refusedBytes', 'evidenceBytes'])('at the first seal at or after 64 MiB of %s', (name) => {
    const limit = 64 * 1024 * 1024;
    expect(segmentEnds(grown({ [name]: limit - 1 }), 1000, HOUR_MS)).toBe(false);
    expect(segmentEnds(grown({ [name]: limit - 1 }, { [name]: 1 }), 1000, HOUR_MS)).toBe(true);
  });

  test('when its first and last seal lie segmentMaxAge apart: milliseconds there, microseconds here', () => {
    const [start, end] = [5_000_000, 5_000_000 + HOUR_MS * 1000];
    expect(segmentEnds(grown({ acceptedAt: start }, { acceptedAt: end - 1 }), end - 1, HOUR_MS)).toBe(false);
    expect(segmentEnds(grown({ acceptedAt: start }, { acceptedAt: end }), end, HOUR_MS)).toBe(true);
    expect(segmentEnds(grown({ acceptedAt: start }), start, 1)).toBe(false);
  });

  test('when a seal is dated before its first one, as the first block of a newer policy may be', () => {
    expect(segmentEnds(grown({ acceptedAt: 2000 }, { acceptedAt: 1999 }), 1999, HOUR_MS)).toBe(true);
    expect(segmentEnds(grown({ acceptedAt: 2000 }, { acceptedAt: 2000 }), 2000, HOUR_MS)).toBe(false);
    expect(segmentEnds(grown({ acceptedAt: 2000 }, { acceptedAt: 9000 }, { acceptedAt: 2001 }), 2001, HOUR_MS)).toBe(false);
  });

  test('cutting a sequence of blocks anywhere and going on gives the same ends', () => {
    const blocks = fc.array(
      fc.record({
        leaves: fc.integer({ min: 1, max: 40_000 }),
        eventBytes: fc.nat(30 << 20),
        refusedBytes: fc.nat(30 << 20),
        evidenceBytes: fc.nat(30 << 20),
        acceptedAt: fc.nat(9),
      }),
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
