import { expect, test } from '@jest/globals';
import { ERROR_TRAITS } from '../../../core/base/errors.ts';
import { document, namedRows } from './table.ts';

const rows = namedRows(document('docs/errors.md'));

test('docs/errors.md explains every error code and no other', () => {
  expect([...rows.keys()].toSorted()).toEqual(Object.keys(ERROR_TRAITS).toSorted());
});

test.each(Object.entries(ERROR_TRAITS))(
  '%s: fault and retry are as documented, with a meaning and an advice',
  (code, { fault, retryable }) => {
    const [, statedFault, statedRetry, meaning, advice] = rows.get(code) ?? [];
    expect([statedFault, statedRetry]).toEqual([fault, retryable ? 'yes' : 'no']);
    expect(meaning).toMatch(/\.$/);
    expect(advice).toMatch(/\.$/);
  },
);
