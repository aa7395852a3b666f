import { describe, expect, test } from '@jest/globals';
import { counted, printable, printableLines, terminalJson, wrapped } from '../../../../core/base/terminal-text.ts';

/** A title set by an escape, a C1 control, a bidirectional override, a tag, a line separator, half of a pair. */
const HOSTILE = 'a\u001b]0;x\u0007\u009b\u202e\u{e0041}\u2028\ud800b';

describe('text from an archive', () => {
  test('is printed with each character that could steer a terminal escaped, and everything else unchanged', () => {
    expect(printable(HOSTILE)).toBe('a\\u{1b}]0;x\\u{7}\\u{9b}\\u{202e}\\u{e0041}\\u{2028}\\u{d800}b');
    expect(printable('bücher/注文 ✓ "x" \\')).toBe('bücher/注文 ✓ "x" \\');
    expect(printableLines('a\r\nb')).toBe('a\\u{d}\nb');
  });

  test('in JSON has the same escaped, and the same value', () => {
    const value = { [HOSTILE]: [HOSTILE, 1], bücher: '✓' };
    for (const indent of [undefined, 2]) {
      const text = terminalJson(value, indent);
      expect(text).not.toMatch(/[^\P{Cc}\n]|\p{Cf}|\p{Zl}|\p{Cs}/u);
      expect(JSON.parse(text)).toEqual(value);
    }
    expect(terminalJson(value)).not.toContain('\n');
    expect(terminalJson('bücher ✓')).toBe('"bücher ✓"');
  });
});

test('a number has its noun in the singular where it is one', () => {
  expect([counted(1, 'leaf', 'leaves'), counted(2, 'leaf', 'leaves'), counted(0, 'event'), counted(1, 'event')]).toEqual([
    '1 leaf',
    '2 leaves',
    '0 events',
    '1 event',
  ]);
});

test('lines have at most 80 columns, but for a word that is longer', () => {
  const lines = wrapped(`${'word '.repeat(30)}${'x'.repeat(90)} end`, 4);
  expect(lines.filter((line) => line.length > 80)).toEqual([`    ${'x'.repeat(90)}`]);
  expect(lines.slice(1).every((line) => line.startsWith('    '))).toBe(true);
});
