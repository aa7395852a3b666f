import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { parseJsonText } from '../../../../core/base/json-text.ts';

function refusal(text: string): string {
  try {
    parseJsonText(text);
  } catch (error) {
    expect(error).toMatchObject({ code: 'FORMAT_INVALID' });
    return (error as Error).message;
  }
  return 'taken';
}

const nested = (levels: number): string => `${'['.repeat(levels)}${']'.repeat(levels)}`;

describe('a JSON text', () => {
  test('has the value that JSON.parse gives, whatever the value', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6 }), fc.constantFrom(0, 1, 2), (value, indent) => {
        const text = JSON.stringify(value, undefined, indent);
        fc.pre(!text.includes('__proto__'));
        expect(parseJsonText(text)).toEqual(JSON.parse(text));
      }),
    );
  });

  test('is refused wherever JSON.parse refuses it', () => {
    const piece = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      ':',
      ',',
      '"',
      '\\',
      '1',
      '0',
      '-',
      '.',
      'e',
      'true',
      'nul',
      ' ',
      'a',
      '\t',
      '\u0000',
      '\u00a0',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
        const text = pieces.join('');
        let fits = true;
        try {
          JSON.parse(text);
        } catch {
          fits = false;
        }
        if (!fits) expect(refusal(text)).toMatch(/^cannot read JSON: at character \d+/);
      }),
      { numRuns: 3000 },
    );
  });

  test.each([
    ['9007199254740993', '9007199254740992'],
    ['12345678901234567890', '12345678901234567000'],
    ['0.1000000000000000055511151231257827', '0.1'],
    ['1e400', 'Infinity'],
    ['-1e400', '-Infinity'],
    ['1e-400', '0'],
    ['-0', '0'],
    ['-0.0', '0'],
    ['3.14159265358979323846', '3.141592653589793'],
  ])('is refused for the number %s, which would become %s', (number, becomes) => {
    expect(refusal(`{"a":[${number}]}`)).toContain(`of "a.0": the number ${number} would become ${becomes}; write it as a string`);
  });

  test.each(['0', '0.0', '1.0', '1.50', '100', '1e2', '1E+2', '0.1', '-7', '9007199254740991', '1e21', '123456789e-3', '5e-324'])(
    'keeps the number %s, however it is spelled',
    (number) => expect(parseJsonText(number)).toBe(Number(number)),
  );

  test.each<[string, string, RegExp]>([
    ['a name that occurs twice', '{"a":1,"b":{"c":1,"c":1}}', /character 22 of "b\.c": the name occurs twice/],
    ['the same name, spelled with an escape', '{"a":1,"\\u0061":1}', /of "a": the name occurs twice/],
    ['__proto__', '{"a":{"__proto__":{"x":1}}}', /of "a\.__proto__"/],
    ['half of a surrogate pair', '{"a":"\\ud800"}', /character 6 of "a": a string holds half of a surrogate pair/],
    ['half of a surrogate pair in a name', '{"\\udc00":1}', /half of a surrogate pair/],
    ['an escape that there is not', '{"a":"\\x41"}', /escape/],
    ['a string that is not closed', '{"a":"b', /not closed/],
    ['a control character in a string', '"a\tb"', /control character/],
    ['nothing', '', /ends too early/],
    ['an end that is missing', '{"a":1', /character 7.*ends too early/],
    ['something after its end', '{} {}', /character 4: it goes on after its end/],
    ['a comma too many', '[1,]', /character 4/],
    ['a name without quotes', '{a:1}', /name in quotes/],
    ['NaN', '{"a":NaN}', /a value must begin there/],
    ['a byte order mark', '\ufeff{}', /character 1/],
    ['a comment', '{} // x', /goes on after its end/],
    ['more levels than it may have', nested(66), /deeper than 64/],
    ['a backslash at its end', '{"a":"b\\', /not closed/],
    ['endless levels', '['.repeat(1_000_000), /deeper than 64/],
  ])('is refused for %s', (_, text, why) => {
    expect(refusal(text)).toMatch(why);
  });

  test('is refused soon for a number with a million digits, and names no place that a terminal obeys', () => {
    expect(refusal(`[1${'0'.repeat(1_000_000)}1]`)).toMatch(/the number 1000+ would become/);
    expect(refusal('{"\u009b31m":x}')).toContain('of "\\u009b31m"');
  });

  test('may have a string of any length', () => {
    const long = 'x\\"'.repeat(500_000);
    expect(parseJsonText(JSON.stringify(long)) === long).toBe(true);
  });

  test('may have 64 levels, and names that other objects have from elsewhere', () => {
    expect(JSON.stringify(parseJsonText(nested(64)))).toBe(nested(64));
    expect(parseJsonText('{"constructor":1,"toString":2,"hasOwnProperty":3}')).toEqual({ constructor: 1, toString: 2, hasOwnProperty: 3 });
    expect(parseJsonText(' { "a" : [ true , null , "\\ud83d\\ude00" ] } ')).toEqual({ a: [true, null, '😀'] });
  });
});
