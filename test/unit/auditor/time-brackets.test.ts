import { expect, test } from '@jest/globals';
import { type StampedSize, timeCounts, timeTotals } from '../../../auditor/time-brackets.ts';

const at = (size: number, seconds: number, accuracy = 0): StampedSize => ({
  size,
  from: (seconds - accuracy) * 1e6,
  to: (seconds + accuracy) * 1e6,
});

test('without time stamps nothing is covered', () => {
  expect(timeCounts([], 7)).toEqual({ stamps: 0, coveredLeaves: 0, uncoveredLeaves: 7, unboundedLeaves: 0, widestSeconds: 0 });
});

test('leaves before the first time stamp have no lower edge, and those after the last no upper one', () => {
  expect(timeCounts([at(3, 100)], 7)).toEqual({ stamps: 1, coveredLeaves: 3, uncoveredLeaves: 4, unboundedLeaves: 3, widestSeconds: 0 });
});

test('a bracket reaches from the last time stamp without the leaf to the first with it, accuracies included', () => {
  expect(timeCounts([at(3, 100), at(5, 160), at(9, 180)], 9).widestSeconds).toBe(60);
  expect(timeCounts([at(3, 100, 1), at(5, 160, 2), at(9, 180)], 9).widestSeconds).toBe(63);
  expect(timeCounts([at(3, 100), at(5, 100.2)], 9).widestSeconds).toBe(1);
});

test('a time stamp of another authority makes a bracket narrower, whatever its size', () => {
  // A later note that was stamped earlier covers the leaves, too.
  expect(timeCounts([at(3, 100), at(5, 160), at(9, 130)], 9).widestSeconds).toBe(30);
  expect(timeCounts([at(2, 150), at(3, 100), at(5, 160)], 5).widestSeconds).toBe(10);
  expect(timeCounts([at(3, 100), at(5, 160), at(5, 120)], 5)).toMatchObject({ stamps: 3, widestSeconds: 20 });
});

test('years of time stamps, one for each minute, are counted', () => {
  const stamps = Array.from({ length: 500_000 }, (_, minute) => at(minute + 1, 60 * minute));
  expect(timeCounts(stamps, 500_000)).toMatchObject({ stamps: 500_000, coveredLeaves: 500_000, widestSeconds: 60 });
});

test('shards add up, and the widest bracket is that of all', () => {
  expect(timeTotals([timeCounts([at(3, 100), at(5, 160)], 6), timeCounts([at(2, 100)], 2)])).toEqual({
    stamps: 3,
    coveredLeaves: 7,
    uncoveredLeaves: 1,
    unboundedLeaves: 5,
    widestSeconds: 60,
  });
});

test('time stamps of a year are counted in one go', () => {
  // A time stamp each minute of a year: comparing each with each would be 10^11 steps, and a call takes no half million arguments.
  const many = Array.from({ length: 525_600 }, (_, i) => at(i + 1, i * 60));
  expect(timeCounts(many, many.length)).toMatchObject({ stamps: many.length, unboundedLeaves: 1, widestSeconds: 60 });
  expect(timeTotals(Array.from({ length: 300_000 }, () => timeCounts([], 1))).widestSeconds).toBe(0);
});
