// Runs every test of the project and ends in one line that counts them. With CI=true a skipped test is a failure.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const folder = mkdtempSync(join(tmpdir(), 'lineproof-test-'));
const report = join(folder, 'report.json');
const jest = ['--experimental-vm-modules', '--no-warnings=ExperimentalWarning', 'node_modules/jest/bin/jest.js'];
const { status } = spawnSync(process.execPath, [...jest, '--json', `--outputFile=${report}`, ...process.argv.slice(2)], {
  stdio: ['ignore', 'ignore', 'inherit'],
});

let counts = { numPassedTests: 0, numFailedTests: 1, numPendingTests: 0, numTodoTests: 0, testResults: [] };
try {
  counts = JSON.parse(readFileSync(report, 'utf8'));
} catch {
  process.stdout.write('test: the runner wrote no report\n');
}
rmSync(folder, { recursive: true, force: true });

const skipped = counts.numPendingTests + counts.numTodoTests;
/** Skipped tests by what they stand under, which for a suite that needs servers says what this machine lacks. */
const skippedBelow = new Map();
for (const { ancestorTitles, fullName, status: outcome } of counts.testResults.flatMap(({ assertionResults }) => assertionResults)) {
  if (outcome !== 'pending' && outcome !== 'todo') continue;
  const group = ancestorTitles[0] ?? fullName;
  skippedBelow.set(group, (skippedBelow.get(group) ?? 0) + 1);
}
for (const [group, count] of skippedBelow) process.stdout.write(`skipped: ${group} (${count} ${count === 1 ? 'test' : 'tests'})\n`);
const brokenSuites = counts.numRuntimeErrorTestSuites ?? 0;
const failed = counts.numFailedTests + brokenSuites;
process.stdout.write(`${counts.numPassedTests} passed, ${failed} failed, ${skipped} skipped\n`);
process.exitCode = status !== 0 || failed > 0 || (process.env.CI === 'true' && skipped > 0) ? 1 : 0;
