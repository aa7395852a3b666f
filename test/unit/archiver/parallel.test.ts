import { expect, test } from '@jest/globals';
import { inParallel } from '../../../archiver/parallel.ts';

test('does all of the work, never more than eight at a time', async () => {
  const done: number[] = [];
  let running = 0;
  let most = 0;
  await inParallel(
    Array.from({ length: 50 }, (_, i) => i),
    async (i) => {
      most = Math.max(most, ++running);
      await new Promise((resolve) => void setImmediate(resolve));
      running--;
      done.push(i);
    },
  );
  expect(done.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, i) => i));
  expect(most).toBe(8);
});

test('after a failure starts nothing more, waits for what is under way and throws the first', async () => {
  const started: number[] = [];
  const ended: number[] = [];
  const work = inParallel(
    Array.from({ length: 50 }, (_, i) => i),
    async (i) => {
      started.push(i);
      if (i === 3) throw new Error('the third');
      await new Promise((resolve) => void setImmediate(resolve));
      ended.push(i);
    },
  );
  await expect(work).rejects.toThrow('the third');
  expect(started).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  expect(ended).toEqual(started.filter((i) => i !== 3));
});
