import { expect, test } from '@jest/globals';
import { judge, LIMITS, measuresOf } from '../../../scripts/measure.js';

const NOTHING_DOCUMENTED = { ...LIMITS, documented: 0 };

/** Violations of one small file. */
function violations(text: string, known: [string, string, number][] = [], limits: typeof LIMITS = NOTHING_DOCUMENTED): string[] {
  return judge(measuresOf('part/some-file.ts', text), known, limits).violations;
}

function row(text: string, name: string): unknown {
  return judge(measuresOf('part/some-file.ts', text), [], NOTHING_DOCUMENTED).rows.find(([title]) => title === name)?.[1];
}

const lines = (count: number, line = '  void 0;') => `${line}\n`.repeat(count);
const fields = (count: number, before = '') => Array.from({ length: count }, (_, i) => `  ${before}f${i} = 0;\n`).join('');

test('a file may have 350 lines, and not one more', () => {
  expect(violations(lines(350, '// é'))).toEqual([]);
  expect(violations(lines(351, '// é'))).toEqual(['part/some-file.ts:1: some-file.ts: lines of a file 351, limit 350']);
  expect(judge(measuresOf('core/schema-texts.ts', lines(351, '//')), [], NOTHING_DOCUMENTED).violations).toEqual([]);
});

test.each([
  ['function f() {\n', '}\n', 'f'],
  ['const f = () => {\n', '};\n', 'a function'],
  ['class A {\n  get f() {\n', '  }\n}\n', 'f'],
  ['class A {\n  async *#f() {\n', '  }\n}\n', '#f'],
  ['class A {\n  constructor() {\n', '  }\n}\n', 'constructor'],
  ['const a = {\n  f() {\n', '  },\n};\n', 'f'],
])('%j … may have 55 lines, its first and its last included', (head, tail, name) => {
  const one = 'const g = () => 1;\n'.repeat(20);
  const above = `// ü\n${one}${head}`.split('\n').length - 1;
  expect(violations(`// ü\n${one}${head}${lines(53)}${tail}`)).toEqual([]);
  expect(violations(`// ü\n${one}${head}${lines(54)}${tail}`)).toEqual([
    `part/some-file.ts:${above}: ${name}: lines of a function 56, limit 55`,
  ]);
});

test('every function counts for the median and the 90th percentile, callbacks and nested ones too', () => {
  const text = `function f() {\n  return [1].map(() => 2);\n}\nabstract class A {\n  m() {\n${lines(3)}  }\n  abstract n(): void;\n}\ndeclare function g(): void;\n`;
  expect(row(text, 'functions')).toBe(3);
  expect(row(text, 'lines of a function, median')).toBe(3);
  const five = `function f() {\n${lines(3)}}\n`;
  expect(violations(five)).toEqual(['lines of a function, median is 5, limit 4']);
  const long = `function f() {\n${lines(15)}}\n`;
  expect(violations(`${'const g = () => 1;\n'.repeat(8)}${long}`)).toEqual(['lines of a function, p90 is 17, limit 16']);
});

test('a class may have 8 fields that can be assigned again; readonly and static ones do not count', () => {
  const rest = '  readonly a = new Map();\n  static b = 1;\n  readonly #c = 1;\n  m() {}\n';
  expect(violations(`class A {\n${fields(8)}${rest}}\n`)).toEqual([]);
  expect(violations(`\nexport class A {\n${fields(8)}${rest}  #d;\n}\n`)).toEqual([
    'part/some-file.ts:2: A: mutable fields of a class 9, limit 8',
  ]);
  expect(violations(`class A {\n${fields(9, 'private ')}}\n`)).toHaveLength(1);
  expect(violations(`const a = class B {\n${fields(9, '#')}};\n`)).toHaveLength(1);
});

test('what another file can call may have 4 parameters', () => {
  const [four, five] = ['a: A, b: B, { c }: C, d = 1', 'a: A, b: B, { c }: C, d = 1, ...e: E[]'];
  const each = (parameters: string) =>
    `export function f(${parameters}) {}\nexport const g = (${parameters}) => 1;\nexport class A {\n  m(${parameters}) {}\n  constructor(${parameters}) {}\n}\n`;
  expect(violations(each(four))).toEqual([]);
  expect(violations(each(five))).toEqual([
    'part/some-file.ts:1: f: parameters of a function 5, limit 4',
    'part/some-file.ts:2: g: parameters of a function 5, limit 4',
    'part/some-file.ts:4: A.m: parameters of a function 5, limit 4',
    'part/some-file.ts:5: A.constructor: parameters of a function 5, limit 4',
  ]);
  expect(violations(`function f(${five}) {}\nexport class A {\n  #m(${five}) {}\n}\n`)).toEqual([]);
});

test('an export counts as documented where a docstring ends right before it', () => {
  const share = (text: string) => row(text, 'exports with a docstring');
  expect(share('/** A. */\nexport const a = 1;\n')).toBe('100.0 %');
  expect(share('/** A. */\n\nexport interface A {}\n/* B. */\nexport type B = A;\n')).toBe('50.0 %');
  expect(share('/** A. */\nconst a = 1;\nexport function b() {}\n')).toBe('0.0 %');
  expect(share('/** F. */\nexport function f(a: 1): void;\nexport function f(a: 2): void {}\n')).toBe('100.0 %');
  expect(violations('export const a = 1;\n', [], { ...LIMITS, documented: 0.5 })).toEqual([
    'exports with a docstring is 0.0 %, limit ≥ 50.0 %',
  ]);
});

test('a known violation passes up to its value, and fails once it is not needed', () => {
  const text = lines(360, '//');
  expect(violations(text, [['fileLines', 'some-file.ts', 360]])).toEqual([]);
  expect(violations(text, [['fileLines', 'some-file.ts', 359]])).toEqual([
    'part/some-file.ts:1: some-file.ts: lines of a file 360, limit 359',
  ]);
  expect(violations('//\n', [['fileLines', 'some-file.ts', 360]])).toEqual([
    'KNOWN has an entry that is no longer needed: fileLines of some-file.ts',
  ]);
});
