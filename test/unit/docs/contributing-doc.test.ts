import { existsSync, readdirSync, statSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { document } from './table.ts';

const text = document('CONTRIBUTING.md');
const table = text.slice(text.indexOf('| to add | touch |'), text.indexOf('## Tests'));
const rows = table.split('\n').filter((line) => line.startsWith('| ') && !/^\| (to add|---) /.test(line));

test('the table of ten changes and more names only files and folders that are there', () => {
  expect(rows.length).toBeGreaterThanOrEqual(10);
  for (const row of rows) {
    const paths = [...row.matchAll(/`([\w.-]+\/[\w./-]*)`/g)].map(([, path]) => path as string);
    expect([row, paths.length > 0]).toEqual([row, true]);
    for (const path of paths) expect([path, existsSync(new URL(`../../../${path}`, import.meta.url))]).toEqual([path, true]);
  }
});

test('every folder of tests that the document names is there', () => {
  for (const [, path] of text.matchAll(/`(test\/\w+)`/g))
    expect([path, statSync(new URL(`../../../${path}`, import.meta.url)).isDirectory()]).toEqual([path, true]);
});

test('the table of tests has each folder of tests once', () => {
  const tests = text.slice(text.indexOf('## Tests'));
  const named = tests
    .split('\n')
    .flatMap((line) => [...(/^\|([^|]*)\|/.exec(line)?.[1] ?? '').matchAll(/`test\/([\w-]+)`/g)].map(([, name]) => name as string));
  // Runs that are made by hand, which the text below the table tells.
  const byHand = ['mutation', 'repositories'];
  const folders = readdirSync(new URL('../../', import.meta.url), { withFileTypes: true }).filter((entry) => entry.isDirectory());
  expect(named.toSorted()).toEqual(
    folders
      .map(({ name }) => name)
      .filter((name) => !byHand.includes(name))
      .toSorted(),
  );
});

test('the list of changes tells nothing twice', () => {
  const openings = document('CHANGELOG.md')
    .split('\n')
    .filter((line) => line.startsWith('- '))
    .map((line) => line.slice(0, 60));
  expect(openings.filter((opening, i) => openings.indexOf(opening) !== i)).toEqual([]);
});
