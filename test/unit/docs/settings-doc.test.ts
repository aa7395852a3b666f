import { expect, test } from '@jest/globals';
import { flagOf, SETTINGS } from '../../../cli/settings.ts';
import { document, namedRows } from './table.ts';

const rows = namedRows(document('docs/settings.md'));

test('docs/settings.md lists every setting and no other', () => {
  expect([...rows.keys()].toSorted()).toEqual(Object.keys(SETTINGS).toSorted());
});

test.each(Object.values(SETTINGS))('$name: flag, variable, unit and default are as documented', ({ name, env, unit, fallback }) => {
  const [, flag, variable, statedUnit, statedDefault] = rows.get(name) ?? [];
  expect([flag, variable]).toEqual([`\`--${flagOf(name)}\``, `\`${env}\``]);
  expect([statedUnit, statedDefault]).toEqual([unit === '' ? '–' : unit, fallback === '' ? '–' : `\`${fallback}\``]);
});
