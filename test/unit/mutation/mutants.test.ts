import { expect, test } from '@jest/globals';
import { mutantsAt, mutantsOf, normalised } from '../../mutation/mutants.js';

/** Mutants of a small source as `function: node -> change`. */
function made(text: string, ...rules: string[]): string[] {
  return mutantsOf('part/file.ts', text, rules).map(({ name, node, change }) => `${name}: ${node} -> ${change}`);
}

test('a condition fails, loses each of its parts and moves its bounds', () => {
  expect(made('function f(a: number) {\n  if (a < 1 && g(a)) return 2;\n}\n', 'checks')).toEqual([
    'f: a < 1 && g(a) -> false',
    'f: a < 1 && g(a) -> a < 1',
    'f: a < 1 && g(a) -> g(a)',
    'f: a < 1 -> a <= 1',
  ]);
});

test('each part of a longer condition goes by itself, wherever the condition is', () => {
  expect(made('const f = (a: A) =>\n  a.b || // é\n  a.c ||\n  a.d;\n', 'checks')).toEqual([
    'f: a.b || // é a.c || a.d -> a.b || // é a.c',
    'f: a.b || // é a.c -> a.b',
    'f: a.b || // é a.c -> a.c',
  ]);
});

test.each([
  ['<', '<='],
  ['<=', '<'],
  ['>', '>='],
  ['>=', '>'],
  ['===', '!=='],
  ['!==', '==='],
])('%s becomes %s', (from, to) => {
  expect(made(`function f() {\n  return a ${from} b;\n}\n`, 'checks')).toEqual([`f: a ${from} b -> a ${to} b`]);
});

test('a call that checks goes as a whole; another stays by this rule', () => {
  const text = "class A {\n  async #m() {\n    await this.#check(1);\n    must(a, 'B');\n    findings.add(2);\n    log.info(3);\n  }\n}\n";
  expect(made(text, 'checks')).toEqual([
    '#m: await this.#check(1); -> (nothing)',
    "#m: must(a, 'B'); -> (nothing)",
    '#m: findings.add(2); -> (nothing)',
  ]);
  expect(made(text, 'values')).toContain('#m: log.info(3); -> (nothing)');
});

test('a value becomes one of its parts, and what is kept is not kept', () => {
  const text = `function f(a?: number) {
  let c = a ?? 1;
  c = Math.max(c + 1, c - 2);
  c++;
  for (const each of [1, ...x]) g({ each });
  return { ...x, c, d: e ? c : 2, ...y.slice(1) };
}
`;
  expect(made(text, 'values')).toEqual([
    'f: a ?? 1 -> a',
    'f: a ?? 1 -> 1',
    'f: c = Math.max(c + 1, c - 2); -> (nothing)',
    'f: Math.max(c + 1, c - 2) -> c + 1',
    'f: Math.max(c + 1, c - 2) -> c - 2',
    'f: c + 1 -> c',
    'f: c + 1 -> 1',
    'f: c - 2 -> c',
    'f: c++; -> (nothing)',
    'f: for (const each of [1, ...x]) g({ each }); -> (nothing)',
    'f: ...x -> (nothing)',
    'f: g({ each }); -> (nothing)',
    'f: c -> (nothing)',
    'f: d: e ? c : 2 -> (nothing)',
    'f: e ? c : 2 -> c',
    'f: e ? c : 2 -> 2',
    'f: y.slice(1) -> y',
  ]);
});

test('every named function that does something does nothing', () => {
  const text = `export function f(): void {
  g();
}
class A {
  constructor() {
    g();
  }
  get #x() {
    return 1;
  }
  y() {}
}
const z = () => g();
declare function h(): void;
`;
  expect(made(text, 'functions')).toEqual(['f: f -> does nothing', 'constructor: constructor -> does nothing', '#x: #x -> does nothing']);
});

test('a condition always holds', () => {
  expect(made('function f() {\n  if (g(1)) throw new Error();\n}\n', 'values')).toEqual(['f: g(1) -> true']);
});

test('types are left alone, and what they are put on is not', () => {
  expect(
    made('type A = B extends C ? 1 : 2;\nexport interface D {\n  e: 1;\n}\nconst f = (a as G) === (b as H)!;\n', 'checks', 'values'),
  ).toEqual(['module: (a as G) === (b as H)! -> (a as G) !== (b as H)!']);
});

test('a mutant knows its line and its place in the text, whatever bytes come before it', () => {
  const text = "#!/usr/bin/env node\nconst a = 'é😀';\nexport function f() {\n  return b === c;\n}\n";
  const [mutant] = mutantsOf('part/file.ts', text, ['checks']);
  expect(mutant).toMatchObject({ file: 'part/file.ts', line: 4, kind: 'expression', text: 'b !== c' });
  expect(text.slice(mutant?.from, mutant?.to)).toBe('b === c');
});

test('a change by its anchor is found by function and source, however the source is broken into lines', () => {
  const text = 'class A {\n  m() {\n    return g(\n      a,\n      b,\n    );\n  }\n  n() {\n    return g(a, b);\n  }\n}\n';
  const found = mutantsAt('part/file.ts', text, ['m', 'g(a, b)', 'b']);
  expect(found).toMatchObject([{ name: 'm', line: 3, kind: 'expression', text: 'b' }]);
  expect(mutantsAt('part/file.ts', text, ['m', 'return g(a, b);', ''])).toMatchObject([{ kind: 'statement', line: 3 }]);
  expect(mutantsAt('part/file.ts', text, ['m', 'g(b, a)', 'b'])).toEqual([]);
});

test('sources that differ only by their format are the same', () => {
  expect(normalised('f(\n  a, // first\n  b,\n);')).toBe(normalised('f(a, b)'));
  expect(normalised('f(a, b)')).not.toBe(normalised('f(b, a)'));
});
