import { expect, test } from '@jest/globals';
import { METRICS } from '../../../core/base/metric-names.ts';
import { document, namedRows } from './table.ts';

const rows = namedRows(document('docs/metrics.md'));

test('docs/metrics.md explains every metric and no other', () => {
  expect([...rows.keys()].toSorted()).toEqual(Object.keys(METRICS).toSorted());
});

test.each(Object.entries(METRICS))('%s: kind and labels are as documented', (name, { kind, labels }) => {
  const [, statedKind, statedLabels, meaning] = rows.get(name) ?? [];
  expect([statedKind, statedLabels]).toEqual([kind, labels.length === 0 ? '–' : labels.map((label) => `\`${label}\``).join(', ')]);
  expect(meaning).toMatch(/\.$/);
});
