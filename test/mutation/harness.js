// The part of jest's interface that the tests use, in one process and without jest: tests are collected once and can be run again and again.
import { createRequire } from 'node:module';
import { format } from 'node:util';

const globals = createRequire(createRequire(import.meta.url).resolve('@jest/globals'));
/** jest's own `expect`. */
export const expect = globals('@jest/expect').jestExpect;

const HOOKS = ['beforeAll', 'beforeEach', 'afterEach', 'afterAll'];
let scope;
let tests;

function newScope(parent, name) {
  return { parent, name, beforeAll: [], beforeEach: [], afterEach: [], afterAll: [], skipped: parent?.skipped === true };
}

/** Loads a test file and gives its tests in their order. */
export async function collect(url) {
  const [collected, root] = [[], newScope(undefined, '')];
  [tests, scope] = [collected, root];
  await import(url);
  return collected;
}

/** A title with a row's values in it, as jest's `%s`, `%j`, … put them. */
function titled(title, row, index) {
  return format(title.replaceAll('%#', String(index)).replaceAll('%p', '%o'), ...row);
}

function define(name, body, skipped = false, fails = false) {
  const full = [];
  for (let each = scope; each !== undefined; each = each.parent) full.unshift(each.name);
  tests.push({ name: [...full, name].join(' ').trim(), body, scope, skipped: skipped || scope.skipped, fails });
}

/** Calls `add` with a title and a body for each row of a table. */
function eachOf(add) {
  return (table) => (title, body, timeout) => {
    for (const [index, entry] of [...table].entries()) {
      const row = Array.isArray(entry) ? entry : [entry];
      add(titled(title, row, index), () => body(...row), timeout);
    }
  };
}

export function test(name, body) {
  define(name, body);
}
test.each = eachOf(test);
test.skip = (name, body) => define(name, body, true);
test.skip.each = eachOf(test.skip);
test.todo = (name) => define(name, () => undefined, true);
test.failing = (name, body) => define(name, body, false, true);

export function describe(name, body, skipped = false) {
  const outer = scope;
  scope = newScope(outer, String(name.name ?? name));
  scope.skipped ||= skipped;
  try {
    body();
  } finally {
    scope = outer;
  }
}
describe.each = eachOf((name, body) => describe(name, body));
describe.skip = (name, body) => describe(name, body, true);

const hook = (kind) => (body) => void scope[kind].push(body);
export const [beforeAll, beforeEach, afterEach, afterAll] = HOOKS.map(hook);

/** Timeouts are the watchdog's. */
export const jest = { setTimeout: () => jest };

/** From the file's own scope to the test's. */
function scopesOf(inner) {
  return inner === undefined ? [] : [...scopesOf(inner.parent), inner];
}

/** Runs what a describe prepares for all of its tests, once in a process. What fails there fails each of its tests. */
export async function prepare(one) {
  for (const each of scopesOf(one.scope)) {
    each.prepared ??= (async () => {
      for (const body of each.beforeAll) await body();
    })();
    await each.prepared;
  }
}

/** Runs one prepared test; throws what it throws. */
export async function run(one) {
  expect.setState({ assertionCalls: 0, expectedAssertionsNumber: null, isExpectingAssertions: false, suppressedErrors: [] });
  const scopes = scopesOf(one.scope);
  const errors = [];
  const attempt = async (each) => {
    try {
      await each();
    } catch (error) {
      errors.push(error);
    }
  };
  for (const each of scopes) for (const before of each.beforeEach) if (errors.length === 0) await attempt(before);
  if (errors.length === 0) await attempt(one.body);
  for (const { error } of expect.extractExpectedAssertionsErrors()) errors.push(error);
  for (const each of scopes.toReversed()) for (const after of each.afterEach) await attempt(after);
  if (one.fails && errors.length > 0) return;
  if (one.fails) throw new Error('a test that is to fail passed');
  if (errors.length > 0) throw errors[0];
}

/** Runs what the scopes of these tests do after all of their tests. */
export async function finish(collected) {
  const scopes = new Set(collected.flatMap((each) => scopesOf(each.scope)));
  for (const { afterAll: bodies } of [...scopes].toReversed()) for (const body of bodies) await body();
}
