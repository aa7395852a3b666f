import { existsSync, statSync } from 'node:fs';
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
