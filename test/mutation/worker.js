// Runs in a world, started by the pool: collects test files when they are first needed, and says of one mutant after the other whether a test fails.
import { setImmediate as turn } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { collect, finish, prepare, run } from './harness.js';
import { activate, record, takeHits } from './switch.js';

/** A test that runs longer than this without a mutant hangs. */
const COVER_MS = 600_000;
const FROM_START = process.env.MUTANT !== undefined;

const files = new Map();
let loose;

// What a test left running may fail when nobody waits for it any more.
for (const kind of ['unhandledRejection', 'uncaughtException']) process.on(kind, (error) => (loose ??= error ?? new Error(kind)));

async function testsOf(file) {
  if (!files.has(file)) {
    if (!FROM_START) activate(-1);
    files.set(file, await collect(pathToFileURL(`${import.meta.dirname}/${file}`).href));
  }
  return files.get(file);
}

function textOf(error) {
  return String(error?.stack ?? error).slice(0, 2000);
}

/** The error of a test, or undefined where it passes; one that takes longer than `limitMs` is `endless`. */
async function outcome(each, limitMs) {
  let timer;
  const late = new Promise((resolve) => {
    timer = setTimeout(resolve, limitMs, 'endless');
  });
  const done = run(each).then(
    () => undefined,
    (error) => textOf(error),
  );
  const result = await Promise.race([done, late]);
  clearTimeout(timer);
  // Lets what the test rejected without waiting for it show.
  await turn();
  if (result === undefined && loose !== undefined) return textOf(loose);
  return result;
}

/** One test with the mutant `id`, or with the one that counted from the start. */
async function attempt(id, { file, index, limitMs }, n) {
  let each;
  process.send({ loading: n });
  try {
    each = (await testsOf(file))[index];
    if (each === undefined) return 'there is no such test any more';
    if (!FROM_START) activate(-1);
    await prepare(each);
  } catch (error) {
    return textOf(error);
  }
  process.send({ running: n });
  if (!FROM_START) activate(id);
  const result = await outcome(each, limitMs);
  if (!FROM_START) activate(-1);
  return result;
}

/** Runs tests until one fails. `clean` says whether another mutant can follow in this process. */
async function judge({ id, tests }) {
  for (const [n, each] of tests.entries()) {
    const error = await attempt(id, each, n);
    if (error === undefined) continue;
    if (error === 'endless') return { verdict: 'endless', by: each, clean: false };
    const noticed = { verdict: 'noticed', by: each, error, clean: loose === undefined };
    if (!noticed.clean || FROM_START) return noticed;
    // Without the mutant the test passes in the same process, or the failure says nothing: a test before, or the mutant, left something behind.
    if ((await attempt(-1, each, n)) !== undefined) return { ...noticed, verdict: 'unsure', clean: false };
    return noticed;
  }
  return { verdict: 'survived', clean: loose === undefined };
}

/** Runs all tests of a file without a mutant, the last one first unless `inOrder`; says of each which mutants it asks for, beside those that the file's preparations ask for. */
async function cover({ count, path, inOrder }) {
  record(count);
  const start = performance.now();
  const tests = await testsOf(path);
  const atLoad = takeHits();
  let loadMs = performance.now() - start;
  const [covered, prepared] = [[], new Set(atLoad)];
  for (const [index, each] of inOrder ? tests.entries() : [...tests.entries()].toReversed()) {
    if (each.skipped) continue;
    const before = performance.now();
    await prepare(each);
    for (const id of takeHits()) prepared.add(id);
    const begun = performance.now();
    loadMs += begun - before;
    const error = await outcome(each, COVER_MS);
    covered.push({ index, name: each.name, ms: performance.now() - begun, error, hits: takeHits() });
  }
  process.send({ file: path, loadMs, atLoad, prepared: [...prepared], covered, skipped: tests.length - covered.length });
  return { verdict: 'covered', clean: true };
}

async function end() {
  for (const tests of files.values()) await finish(tests).catch(() => undefined);
  process.exit(0);
}

async function answer(message) {
  if (message.end) await end();
  process.send(await (message.count === undefined ? judge(message) : cover(message)));
}

process.on('message', (message) => void answer(message));
process.on('disconnect', () => process.exit(1));
process.send({ ready: true });
