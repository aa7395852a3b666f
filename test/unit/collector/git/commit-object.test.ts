import { expect, test } from '@jest/globals';
import { type CommitObject, CommitParser } from '../../../../collector/git/commit-object.ts';

function parse(bytes: Buffer, partBytes: number): CommitObject {
  const parser = new CommitParser();
  for (let at = 0; at < bytes.length; at += partBytes) parser.take(bytes.subarray(at, at + partBytes));
  return parser.end();
}

test.each([
  [
    'with a message',
    `tree ${'1'.repeat(40)}\nparent ${'2'.repeat(40)}\nauthor A <a> 1 +0000\ncommitter C <c> 2 +0100\n\nsubject\n\nbody\n`,
  ],
  ['without a message', `tree ${'1'.repeat(40)}\nauthor A <a> 1 +0000\ncommitter C <c> 2 +0100\n`],
  [
    'whose header is longer than what is kept',
    `tree ${'1'.repeat(40)}\nauthor A <a> 1 +0000\ngpgsig ${'x'.repeat(1_048_576)}\n\nsubject\n`,
  ],
])('a commit %s is the same, in whatever parts it comes', (_, text) => {
  const bytes = Buffer.from(text);
  const whole = parse(bytes, bytes.length);
  expect(whole.message.size).toBe(text.includes('\n\n') ? text.length - text.indexOf('\n\n') - 2 : 0);
  expect(whole.headerCut).toBe(text.length > 1_048_576);
  const sizes =
    text.length > 1000 ? [65_535, 65_536, text.indexOf('\n\n') + 1, text.length - 1] : [1, 2, 3, 7, text.indexOf('\n\n') + 1 || 50];
  for (const size of sizes) expect([size, parse(bytes, size)]).toEqual([size, whole]);
});
