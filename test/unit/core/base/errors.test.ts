import { expect, test } from '@jest/globals';
import { LineproofError, messageOf } from '../../../../core/base/errors.ts';

test.each([
  ['an error', new Error('broken'), 'broken'],
  [
    'an error of ours',
    new LineproofError('CLOSED', 'cannot record event: the collector is closed'),
    'cannot record event: the collector is closed',
  ],
  ['an error of another realm', { message: 'elsewhere' }, 'elsewhere'],
  ['a text', 'plain', 'plain'],
  ['nothing', undefined, 'undefined'],
  ['an object without a message', { message: 5 }, '[object Object]'],
])('the message of %s', (_, thrown, message) => {
  expect(messageOf(thrown)).toBe(message);
});
