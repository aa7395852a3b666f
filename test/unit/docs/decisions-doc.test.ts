import { readdirSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { document } from './table.ts';

const folder = 'docs/decisions';
const files = readdirSync(new URL(`../../../${folder}`, import.meta.url))
  .filter((file) => file !== 'README.md')
  .toSorted();
const index = document(`${folder}/README.md`);

/** Number and title in the first line of a decision. */
function heading(file: string): readonly [number, string] {
  const [, number, title] = /^# (\d+)\. (\S.*)\n/.exec(document(`${folder}/${file}`)) ?? [];
  return [Number(number), title ?? ''];
}

test('the index has every decision by its number and title, in order, and nothing else', () => {
  const rows = index.split('\n').filter((line) => line.startsWith('| ') && !/^\| (number|---) /.test(line));
  expect(rows).toEqual(
    files.map((file) => {
      const [number, title] = heading(file);
      return `| [${number}](${file}) | ${title} |`;
    }),
  );
});

test('each decision has a number of its own, the one in the name of its file', () => {
  expect(files.length).toBeGreaterThan(30);
  for (const file of files)
    expect([file, /^\d{4}-[a-z0-9-]+\.md$/.test(file), heading(file)[0]]).toEqual([file, true, Number(file.slice(0, 4))]);
  const numbers = files.map((file) => heading(file)[0]);
  expect(numbers.filter((number, i) => numbers.indexOf(number) !== i)).toEqual([]);
});

test('the number that the index calls unused is not the number of a decision', () => {
  const unused = /Number (\d+) was never used/.exec(index)?.[1];
  expect([unused, files.map((file) => heading(file)[0]).includes(Number(unused))]).toEqual(['26', false]);
});
