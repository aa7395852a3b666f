import { expect, test } from '@jest/globals';
import { VERDICTS } from '../../../auditor/verdict-words.ts';
import { document, namedRows } from './table.ts';

const rows = namedRows(document('docs/verdict.md'));

test('docs/verdict.md has the words of a verdict in the order in which they apply, each with its exit code (npm run docs writes it)', () => {
  expect([...rows]).toEqual(
    Object.entries(VERDICTS).map(([word, { exitCode, meaning, advice }]) => [word, [`\`${word}\``, String(exitCode), meaning, advice]]),
  );
});

test('no two words have one exit code, and none has that of an error', () => {
  const codes = Object.values(VERDICTS).map(({ exitCode }) => exitCode as number);
  expect(new Set(codes).size).toBe(codes.length);
  expect(codes.filter((code) => code === 2 || code >= 64)).toEqual([]);
});
