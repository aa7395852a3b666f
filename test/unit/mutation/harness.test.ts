import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, expect, test } from '@jest/globals';
import { collect, finish, prepare, run } from '../../mutation/harness.js';
import { ROOT, temporaryFolder } from '../../support/command.ts';

const folder = temporaryFolder('harness');
afterAll(() => folder.release());

const HARNESS = pathToFileURL(join(ROOT, 'test/mutation/harness.js')).href;
const TEXT = `
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '${HARNESS}';
export const log = [];
beforeAll(() => log.push('all'));
beforeEach(() => log.push('each'));
afterEach(() => log.push('after'));
afterAll(() => log.push('end'));
test('first', async () => void log.push('first'));
test.each([[1, { a: 2 }], [3, 'x']])('row %i %j', (a, b) => void log.push([a, b]));
test.each(['p', 'q'])('%s alone', (a) => void log.push(a));
describe.each([[4]])('inner %s', (n) => {
  beforeAll(() => log.push('inner all'));
  beforeEach(() => log.push('inner each'));
  afterEach(() => log.push('inner after'));
  test('deep', () => expect(n).toEqual(4));
  test('red', () => expect(n).toBe(5));
  test('asserts nothing', () => expect.hasAssertions());
});
test.skip('later', () => log.push('skipped'));
describe.skip('never', () => test('at all', () => log.push('skipped')));
test.failing('not yet', () => expect(1).toBe(2));
`;

test('the harness collects and runs tests as jest does', async () => {
  const path = join(folder.path, 'some.mjs');
  writeFileSync(path, TEXT);
  const tests = await collect(pathToFileURL(path).href);
  expect(tests.map(({ name, skipped }: { name: string; skipped: boolean }) => (skipped ? `(${name})` : name))).toEqual([
    'first',
    'row 1 {"a":2}',
    'row 3 "x"',
    'p alone',
    'q alone',
    'inner 4 deep',
    'inner 4 red',
    'inner 4 asserts nothing',
    '(later)',
    '(never at all)',
    'not yet',
  ]);
  const { log } = (await import(pathToFileURL(path).href)) as { readonly log: unknown[] };
  const outcome = async (index: number) => {
    log.length = 0;
    await prepare(tests[index]);
    const red = await run(tests[index]).then(
      () => false,
      () => true,
    );
    return [...log, red];
  };
  expect(await outcome(0)).toEqual(['all', 'each', 'first', 'after', false]);
  expect(await outcome(1)).toEqual(['each', [1, { a: 2 }], 'after', false]);
  expect(await outcome(3)).toEqual(['each', 'p', 'after', false]);
  expect(await outcome(5)).toEqual(['inner all', 'each', 'inner each', 'inner after', 'after', false]);
  expect((await outcome(6)).at(-1)).toBe(true);
  expect((await outcome(7)).at(-1)).toBe(true);
  expect((await outcome(10)).at(-1)).toBe(false);
  log.length = 0;
  await finish(tests);
  expect(log).toEqual(['end']);
});
