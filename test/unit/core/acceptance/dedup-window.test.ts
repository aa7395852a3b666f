import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { dedupWindowStart, headWindowStart } from '../../../../core/acceptance/dedup-window.ts';
import { makeWorld } from '../../../support/producer.ts';

const HOUR_MS = 3_600_000;

test('the window starts dedupWindow and clockSkew before the input, in microseconds', () => {
  expect(dedupWindowStart(10_000_000, { dedupWindowMs: 2_000, clockSkewMs: 1_000 })).toBe(7_000_000);
});

test('the window never starts before the log does', () => {
  expect(dedupWindowStart(2_999_999, { dedupWindowMs: 2_000, clockSkewMs: 1_000 })).toBe(0);
});

test('identities that left the window do not come back, whatever the later policies say', () => {
  const blocks = fc.array(fc.record({ appendedAt: fc.nat(100_000_000), dedupWindowMs: fc.nat(50_000), clockSkewMs: fc.nat(5_000) }));
  fc.assert(
    fc.property(blocks, (given) => {
      let start = 0;
      for (const { appendedAt, ...policy } of given) {
        const next = dedupWindowStart(appendedAt, policy, start);
        expect(next).toBeGreaterThanOrEqual(start);
        expect(next).toBeGreaterThanOrEqual(appendedAt - (policy.dedupWindowMs + policy.clockSkewMs) * 1000);
        start = next;
      }
    }),
  );
});

test('the policy of the head’s block decides, not a newer one that seals no block yet', async () => {
  const world = await makeWorld({ policy: (policy) => ({ ...policy, dedupWindowMs: HOUR_MS, clockSkewMs: 1_000 }) });
  const sealed = world.policy.hex;
  const newer = await world.nextPolicy((policy) => ({ ...policy, dedupWindowMs: 2 * HOUR_MS }));
  const appendedAt = 100 * HOUR_MS * 1000;
  const startUnder = (policy: string | null): number => appendedAt - headWindowStart({ appendedAt, policy }, world.policies);
  expect(startUnder(sealed)).toBe((HOUR_MS + 1_000) * 1000);
  expect(startUnder(newer.hex)).toBe((2 * HOUR_MS + 1_000) * 1000);
  expect(startUnder(null)).toBe((2 * HOUR_MS + 1_000) * 1000);
});
