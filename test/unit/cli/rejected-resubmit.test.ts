import { PassThrough } from 'node:stream';
import { expect, test } from '@jest/globals';
import type { Terminal } from '../../../cli/command.ts';
import { tellRefusal } from '../../../cli/rejected-resubmit.ts';
import { LineproofError } from '../../../core/base/errors.ts';

/** The beginning of a control sequence in one character, and a character that turns the line round. */
const STEERING = '\u{9b}2J\u{202e}';

/** What is written of a refusal whose message quotes a hostile name. */
function told(json: boolean): string {
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  const refusal = new LineproofError('NOT_RESUBMITTABLE', `cannot resubmit: no key "${STEERING}"`, { inputOffset: 7 });
  tellRefusal(refusal, { terminal: { stdout, stderr } as unknown as Terminal, place: '0/3', json });
  return String((json ? stdout : stderr).read());
}

test('names in a refusal do not steer the terminal', () => {
  expect(told(false)).toBe('lineproof: cannot resubmit: no key "\\u{9b}2J\\u{202e}"\n');
});

test('nor do they as JSON, where they keep their meaning', () => {
  expect(told(true)).toMatch(/^[ -~]*\n$/);
  expect(JSON.parse(told(true))).toEqual({ place: '0/3', inputOffset: 7, refused: `cannot resubmit: no key "${STEERING}"` });
});
