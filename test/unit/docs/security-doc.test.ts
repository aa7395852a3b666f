import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import type { Attack } from '../../attacks/attack.ts';
import { CORPUS } from '../../attacks/corpus.ts';

const text = readFileSync('SECURITY.md', 'utf8');
const NAMES = new Set(CORPUS.map(({ name }) => name));

/** Rows of all tables below a heading: their first cell as plain words, and their other cells. */
function rows(heading: string): Map<string, string[]> {
  const [, part = ''] = text.split(`${heading}\n`);
  const lines = (part.split(/^##/m)[0] ?? '').split('\n').filter((line) => /^\| (?!---|role|together)/.test(line));
  const cells = lines.map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
  return new Map(cells.map(([who = '', ...rest]) => [/^\*\*(.+?)\*\*/.exec(who)?.[1] ?? who, rest]));
}

const claims = new Map([...rows('## Who holds what, and what they can do'), ...rows('### Colluding')]);
const shown = rows('### Attacks that show it');

test('the attacks of the corpus have different names', () => {
  expect(NAMES.size).toBe(CORPUS.length);
  expect(CORPUS.length).toBeGreaterThanOrEqual(120);
});

test('each cell of the tables of threats cites an attack, but for what is not built yet', () => {
  const built = [...claims].filter(([, cells]) => !cells.some((cell) => cell.startsWith('*Not implemented yet.*')));
  expect(built.map(([who]) => who)).toEqual([...shown.keys()]);
  for (const [who, cells] of built) {
    const cited = shown.get(who) ?? [];
    expect([who, cited.map((cell) => cell !== '–')]).toEqual([who, cells.map((cell) => cell !== '–')]);
  }
});

test('each attack that is cited exists, and each file', () => {
  const cited = [...shown.values()].flat().flatMap((cell) => [...cell.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name));
  expect(cited.length).toBeGreaterThan(60);
  expect(cited.filter((name) => !NAMES.has(name) && !existsSync(name))).toEqual([]);
});

test('an attack that nothing shows is only cited for what somebody can do', () => {
  const isUnseen = ({ seen, stopped, refused }: Attack): boolean => seen === null && stopped === undefined && refused === undefined;
  const unseen = new Set(CORPUS.filter(isUnseen).map(({ name }) => name));
  const cannot = [...shown.values()].map(([, cell]) => cell).join(' ');
  expect([...cannot.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name).filter((name) => unseen.has(name))).toEqual([]);
});
