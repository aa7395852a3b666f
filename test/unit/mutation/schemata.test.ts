import { runInNewContext } from 'node:vm';
import { expect, test } from '@jest/globals';
import { transformSync } from '@swc/core';
import { mutantsOf } from '../../mutation/mutants.js';
import { withSwitches } from '../../mutation/schemata.js';

const TEXT = `
const limits = { most: 3, least: 1 };
class Box {
  #size = 0;
  readonly seen: number[] = [];
  put(size: number): this {
    if (size < limits.least || size > limits.most) throw new Error('size');
    for (const each of [...[size], ...this.seen.slice(9)]) this.seen.push(each);
    this.#size = size;
    return this;
  }
  state() {
    return { ...limits, most: this.#size + 1, seen: this.seen.toReversed() };
  }
}
export const run = () => new Box().put(1).put(3).state();
`;
const mutants = mutantsOf('part/file.ts', TEXT, ['checks', 'values', 'functions']).map((mutant, id) => ({ ...mutant, id }));

/** What the source's `run` gives, or throws, while the mutant `active` counts. */
function evaluate(text: string, active: number): string {
  const { code } = transformSync(text, { jsc: { target: 'es2023', parser: { syntax: 'typescript' } }, module: { type: 'es6' } });
  const script = `${code.replace('export const run', 'const run')}\nJSON.stringify(run());`;
  try {
    return String(runInNewContext(script, { $m: (id: number) => id === active }));
  } catch (error) {
    return String(error);
  }
}

/** The text in which this one mutant is put in by hand. */
function alone({ from, to, text, kind }: (typeof mutants)[number]): string {
  const then = kind === 'statement' && text === '' ? '{}' : text;
  const rest = TEXT.slice(to);
  return TEXT.slice(0, from) + then + (kind === 'property' || kind === 'element' ? rest.replace(/^,/, '') : rest);
}

test('without a mutant the source does what it did', () => {
  expect(mutants).toHaveLength(21);
  expect(evaluate(withSwitches(TEXT, mutants), -1)).toBe(evaluate(TEXT, -1));
  expect(evaluate(TEXT, -1)).toBe('{"most":4,"least":1,"seen":[3,1]}');
});

test.each(mutants.map((mutant) => [mutant.node, mutant.change, mutant] as const))(
  '%s -> %s behind its switch is the change',
  (_, __, mutant) => {
    expect(evaluate(withSwitches(TEXT, mutants), mutant.id)).toBe(evaluate(alone(mutant), -1));
  },
);
