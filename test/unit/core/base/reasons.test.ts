import { expect, test } from '@jest/globals';
import { isJudgedBefore, REASON_TRAITS, REASONS, type ReasonName, reasonName, reasonTraits } from '../../../../core/base/reasons.ts';

const names = Object.keys(REASON_TRAITS) as ReasonName[];

/** What a number may reject: docs/formats.md §3 gives each kind its range. */
function rejectedBy(number: number): readonly string[] {
  if (number === 0) return ['nothing'];
  if (number === 17) return ['records'];
  return number <= 31 ? ['message', 'batch'] : ['event'];
}

test.each(names)('%s: its number is in the range of what it rejects, and leads back to it', (name) => {
  const { number, rejects } = REASON_TRAITS[name];
  expect(rejectedBy(number)).toContain(rejects);
  expect([REASONS[name], reasonName(number), reasonTraits(number)]).toEqual([number, name, REASON_TRAITS[name]]);
});

test('the table is in the order of the numbers', () => {
  const numbers = names.map((name) => REASON_TRAITS[name].number);
  expect(numbers).toEqual([...new Set(numbers)].toSorted((a, b) => a - b));
});

test('no two reasons are judged at once: first whether the records can be read, and then in the order of the numbers', () => {
  const order = names.toSorted((a, b) => REASON_TRAITS[a].judged - REASON_TRAITS[b].judged);
  expect(new Set(names.map((name) => REASON_TRAITS[name].judged)).size).toBe(names.length);
  expect(order).toEqual(['NONE', 'RECORDS_UNREADABLE', ...names.filter((name) => !['NONE', 'RECORDS_UNREADABLE'].includes(name))]);
  expect([isJudgedBefore('RECORDS_UNREADABLE', 'MESSAGE_TOO_LARGE'), isJudgedBefore('LANE_FORK', 'RECORDS_UNREADABLE')]).toEqual([
    true,
    false,
  ]);
  expect([isJudgedBefore('COUNT_WRONG', 'KEY_UNKNOWN'), isJudgedBefore('KEY_UNKNOWN', 'COUNT_WRONG')]).toEqual([true, false]);
  expect(isJudgedBefore('COUNT_WRONG', 'COUNT_WRONG')).toBe(false);
});

test('only a batch shows its reason: no header is known of a message, and a header says nothing of one event', () => {
  for (const name of names)
    expect([name, REASON_TRAITS[name].shows === 'nowhere']).toEqual([name, REASON_TRAITS[name].rejects !== 'batch']);
});

test('a number that this version does not know has neither name nor traits', () => {
  for (const number of [-1, 19, 31, 40, 63, 64]) expect([reasonName(number), reasonTraits(number)]).toEqual([undefined, undefined]);
});
