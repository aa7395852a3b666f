import { expect, test } from '@jest/globals';
import { largest } from '../../../../core/base/largest.ts';

test('the largest of any number of numbers, and less than each size where there are none', () => {
  expect(largest([3, 7, 5])).toBe(7);
  expect(largest([])).toBe(-1);
  // Notes that anybody who writes an archive may put there: as arguments of one call they would end the audit.
  expect(largest(new Map(Array.from({ length: 300_000 }, (_, i) => [i, i])).keys())).toBe(299_999);
});
