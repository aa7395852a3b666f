// Runs every test of the project and ends in one line that counts them. With CI=true a skipped test is a failure.
// Files in which a test failed are run once more, alone. A file that fails again has failed. A file that passes then is named before the last line, because a
// test that sometimes fails is a fault; the third such file fails the run.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';

const JEST = ['--experimental-vm-modules', '--no-warnings=ExperimentalWarning', 'node_modules/jest/bin/jest.js'];
/** Files that may fail once: more of them are not an accident, and are not run again. */
const MOST_AGAIN = 4;
/** Files that may pass only when run again. */
const MOST_FLAKY = 2;
const folder = mkdtempSync(join(tmpdir(), 'lineproof-test-'));

/** Runs jest and returns its results by file; undefined if it wrote none, or failed although no test did. */
function run(name, args) {
  const report = join(folder, `${name}.json`);
  // A failed test may have left resources open. They must not keep the runner from ending.
  const { status } = spawnSync(process.execPath, [...JEST, '--forceExit', '--json', `--outputFile=${report}`, ...args], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
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
function again(results) {
  const failed = results.filter(({ status }) => status === 'failed');
  if (failed.length === 0 || failed.length > MOST_AGAIN) return results;
  const paths = failed.map(({ name }) => relative('.', name));
  process.stdout.write(`test: once more, alone: ${paths.join(' ')}\n`);
  const second = run('second', ['--runTestsByPath', ...paths]);
  if (second === undefined) return results;
  for (const { name, status } of second) if (status === 'passed') flaky.push(relative('.', name));
  return results.map((result) => second.find(({ name }) => name === result.name) ?? result);
}

/** Files that passed only when run again. */
const flaky = [];
const first = run('first', process.argv.slice(2));
const results = first === undefined ? [] : again(first);
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
