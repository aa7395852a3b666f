import { describe, expect, test } from '@jest/globals';
import { CLUSTER_SETTINGS } from '../../../settings/cluster-settings.ts';
import { SETTINGS } from '../../../settings/embedded-settings.ts';
import { flagOf } from '../../../settings/setting.ts';
import { document, namedRows } from './table.ts';

const text = document('docs/settings.md');

describe.each([
  ['Embedded system', SETTINGS],
  ['Cluster', CLUSTER_SETTINGS],
])('docs/settings.md, %s', (title, table) => {
  const rows = namedRows(text.split(/^(?=## )/m).find((part) => part.startsWith(`## ${title}\n`)) ?? '');

  test('lists every setting and no other', () => {
    expect([...rows.keys()].toSorted()).toEqual(Object.keys(table).toSorted());
  });

  test.each(Object.values(table))('$name: flag, variable, unit and default are as documented', ({ name, env, unit, fallback }) => {
    const [, flag, variable, statedUnit, statedDefault] = rows.get(name) ?? [];
    expect([flag, variable]).toEqual([`\`--${flagOf(name)}\``, `\`${env}\``]);
    expect(statedUnit).toBe(unit === '' ? '–' : unit);
    // The name of this host is no default that a document can state.
    expect(statedDefault).toBe(name === 'name' ? 'host name' : fallback === '' ? '–' : `\`${fallback}\``);
  });
});
