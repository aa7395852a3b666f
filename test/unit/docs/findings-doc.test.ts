import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { FINDINGS, type FindingTraits } from '../../../auditor/findings-table.ts';
import { document, namedRows } from './table.ts';

const rows = namedRows(document('docs/findings.md'));
const codes = Object.keys(FINDINGS);
const listed = (values: string | readonly string[]): string => [values].flat().join(', ');

test('docs/findings.md explains every finding in the order of the table, and no other', () => {
  expect([...rows.keys()]).toEqual(codes);
});

test.each(Object.entries<FindingTraits>(FINDINGS))('%s: the document says what the table says', (code, traits) => {
  const { property, severity, meaning, advice } = traits;
  expect(rows.get(code)?.slice(1)).toEqual([listed(property), listed(severity), meaning, advice]);
  for (const sentence of [meaning, advice]) expect(sentence).toMatch(/^[A-Z].*[^.]\.$/);
});

test('the auditor raises every finding of the table', () => {
  const folder = new URL('../../../auditor/', import.meta.url);
  const files = readdirSync(folder, { recursive: true })
    .map(String)
    .filter((name) => name.endsWith('.ts') && name !== 'findings-table.ts');
  const source = files.map((name) => readFileSync(new URL(name, folder), 'utf8')).join('');
  expect(codes.filter((code) => !source.includes(`'${code}'`))).toEqual([]);
});
