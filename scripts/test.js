// Runs every test of the project and ends in one line that counts them. With CI=true a skipped test is a failure.
// Files in which a test failed are run once more, alone. A file that fails again has failed. A file that passes then is named before the last line, because a
// test that sometimes fails is a fault; the third such file fails the run.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { stackPrefix } from '../test/support/stack-setup.js';
import endStacks from '../test/support/stack-teardown.js';

const JEST = ['--experimental-vm-modules', '--no-warnings=ExperimentalWarning', 'node_modules/jest/bin/jest.js'];
/** Files that may fail once: more of them are not an accident, and are not run again. */
const MOST_AGAIN = 4;
/** Files that may pass only when run again. */
const MOST_FLAKY = 2;
const folder = mkdtempSync(join(tmpdir(), 'lineproof-test-'));

/** Runs jest and returns its results by file; undefined if it wrote none, or failed although no test did. */
async function run(name, args) {
  const report = join(folder, `${name}.json`);
  // A failed test may have left resources open. They must not keep the runner from ending. Its own group: what tests started can be ended with it.
  child = spawn(process.execPath, [...JEST, '--forceExit', '--json', `--outputFile=${report}`, ...args], {
    stdio: ['ignore', 'ignore', 'inherit'],
    detached: true,
  });
  const [status] = await once(child, 'close');
  try {
    const { testResults } = JSON.parse(readFileSync(report, 'utf8'));
    // A failure outside of all tests, such as in the end of a stack, fails the run.
    if (status !== 0 && testResults.every((result) => result.status !== 'failed')) return undefined;
    return testResults;
  } catch {
    process.stdout.write('test: the runner wrote no report\n');
    return undefined;
  }
}

/** Ends a run that was interrupted, with the processes and servers that its tests started: nothing else would. */
async function interrupt(signal) {
  const { pid } = child;
  // It may have ended by itself.
  if (child.exitCode === null && child.signalCode === null) {
    process.kill(-pid, 'SIGKILL');
    await once(child, 'exit');
  }
  process.env.LINEPROOF_TEST_STACKS = stackPrefix(pid);
  endStacks();
  rmSync(folder, { recursive: true, force: true });
  process.stdout.write(`test: interrupted by ${signal}\n`);
  process.exit(128 + constants.signals[signal]);
}

function outcomes(results, ...wanted) {
  return results.flatMap(({ assertionResults }) => assertionResults).filter(({ status }) => wanted.includes(status));
}

/** Failed tests, and files that could not be run at all. */
function failuresOf(results) {
  return outcomes(results, 'failed').length + results.filter(isBroken).length;
}

function isBroken({ status, assertionResults }) {
  return status === 'failed' && !assertionResults.some((test) => test.status === 'failed');
}

/** The results with those of a second run for files that failed in the first. */
async function again(results) {
  const failed = results.filter(({ status }) => status === 'failed');
  if (failed.length === 0 || failed.length > MOST_AGAIN) return results;
  const paths = failed.map(({ name }) => relative('.', name));
  process.stdout.write(`test: once more, alone: ${paths.join(' ')}\n`);
  const second = await run('second', ['--runTestsByPath', ...paths]);
  if (second === undefined) return results;
  for (const { name, status } of second) if (status === 'passed') flaky.push(relative('.', name));
  return results.map((result) => second.find(({ name }) => name === result.name) ?? result);
}

/** Files that passed only when run again. */
const flaky = [];
/** The run that is under way, or was last. */
let child;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => void interrupt(signal));
const first = await run('first', process.argv.slice(2));
const results = first === undefined ? [] : await again(first);
rmSync(folder, { recursive: true, force: true });

/** Number of skipped tests by their outermost suite, whose name, if it needs servers, says what this machine lacks. */
const skippedBelow = new Map();
const skipped = outcomes(results, 'pending', 'todo');
for (const { ancestorTitles, fullName } of skipped) {
  const group = ancestorTitles[0] ?? fullName;
  skippedBelow.set(group, (skippedBelow.get(group) ?? 0) + 1);
}
for (const [group, count] of skippedBelow) process.stdout.write(`skipped: ${group} (${count} ${count === 1 ? 'test' : 'tests'})\n`);
const passed = outcomes(results, 'passed').length;
const failed = first === undefined ? 1 : failuresOf(results);
if (flaky.length > 0) process.stdout.write(`passed only when run again: ${flaky.join(' ')}\n`);
if (flaky.length > MOST_FLAKY) process.stdout.write(`test: ${flaky.length} files passed only when run again; at most ${MOST_FLAKY} may\n`);
process.stdout.write(`${passed} passed, ${failed} failed, ${skipped.length} skipped\n`);
process.exitCode = passed === 0 || failed > 0 || flaky.length > MOST_FLAKY || (process.env.CI === 'true' && skipped.length > 0) ? 1 : 0;
