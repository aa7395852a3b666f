// Runs every static check, even after one failed, and names those that failed.
import { spawnSync } from 'node:child_process';
import { CHECKED } from './folders.js';

const CHECKS = [
  ['types', 'tsc', '-p', 'tsconfig.json'],
  ['types of infra', 'tsc', '-p', 'infra/tsconfig.json'],
  ['format and lint', 'biome', 'check', '.'],
  ['type-aware lint', 'oxlint'],
  ['imports', 'depcruise', '--config', '.dependency-cruiser.cjs', ...CHECKED],
  ['unused', 'knip'],
  ['measures', 'node', 'scripts/measure.js'],
];

const only = process.argv[2];
const failed = [];
for (const [name, command, ...args] of CHECKS) {
  if (only !== undefined && name !== only) continue;
  const { status, stdout, stderr } = spawnSync(`node_modules/.bin/${command}`, args, { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 });
  if (status === 0) continue;
  failed.push(name);
  process.stdout.write(`--- ${name}\n${stdout}${stderr}\n`);
}
process.stdout.write(failed.length === 0 ? 'check: all passed\n' : `check: ${failed.join(', ')} failed\n`);
process.exitCode = failed.length === 0 ? 0 : 1;
