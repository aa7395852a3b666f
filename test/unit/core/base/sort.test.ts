import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { compareCodePoints } from '../../../../core/base/bytes.ts';
import { sortTexts } from '../../../../core/base/sort.ts';

class CountedTurns {
  given = 0;

  async next(): Promise<void> {
    this.given += 1;
  }
}

/** Texts that share their beginnings, in no order. */
function shuffled(count: number, suffix = ''): string[] {
  return Array.from({ length: count }, (_, i) => `${'stream/'.repeat(20)}${(i * 7_919) % count}${suffix}`);
}

test.each([0, 1, 1_023, 1_024, 1_025, 2_048, 3_000, 10_007])('%d texts are in the order of their bytes', async (count) => {
  const texts = shuffled(count);
  expect(await sortTexts(new Set(texts), new CountedTurns())).toEqual(texts.toSorted(compareCodePoints));
});

test('characters beyond the first plane come after all others, as their bytes do', async () => {
  const texts = ['\u{10000}', '\uffff', 'a', '\ue000', '\u{1f600}', 'é'];
  expect(await sortTexts(texts, new CountedTurns())).toEqual(['a', 'é', '\ue000', '\uffff', '\u{10000}', '\u{1f600}']);
  await fc.assert(
    fc.asyncProperty(fc.array(fc.string({ unit: 'grapheme' })), async (any) => {
      expect(await sortTexts(any, new CountedTurns())).toEqual(any.toSorted(compareCodePoints));
    }),
  );
});

test('other work gets a turn at least every thousand texts or so', async () => {
  const turns = new CountedTurns();
  await sortTexts(shuffled(64 * 1_024), turns);
  // They are taken, sorted in 64 runs, and merged in 6 rounds.
  expect(turns.given).toBe(64 + 64 + 6 * 64);
});
