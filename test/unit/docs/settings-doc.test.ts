import { expect, test } from '@jest/globals';
import { CLUSTER_SETTINGS } from '../../../settings/cluster-settings.ts';
import { SETTINGS } from '../../../settings/embedded-settings.ts';
import { flagOf } from '../../../settings/setting.ts';
import { settingsTable } from '../../../settings/settings-table.ts';
import { document, namedRows } from './table.ts';

const text = document('docs/settings.md');

/** The section of the document with this title. */
function section(title: string): string {
  return text.split(/^(?=## )/m).find((part) => part.startsWith(`## ${title}\n`)) ?? '';
}

test.each([
  ['Embedded system', SETTINGS],
  ['Cluster', CLUSTER_SETTINGS],
])('docs/settings.md, %s: the table is the one that the settings give (npm run docs writes it)', (title, table) => {
  const rows = section(title)
    .split('\n')
    .filter((line) => line.startsWith('|'));
  expect(rows).toEqual(settingsTable(table).split('\n'));
});

test('a row names flag, variable, unit, default and every choice', () => {
  const row = namedRows(section('Embedded system')).get('spoolWhenFull') ?? [];
  expect(row.slice(0, 5)).toEqual(['`spoolWhenFull`', `\`--${flagOf('spoolWhenFull')}\``, '`LINEPROOF_SPOOL_WHEN_FULL`', '–', '`block`']);
  for (const choice of ['block', 'refuse', 'drop-auxiliary']) expect(row[5]).toContain(`\`${choice}\``);
});

test('the host name is not stated as a default', () => {
  expect(namedRows(section('Cluster')).get('name')?.[4]).toBe('host name');
});
