// Judges a mutant by jest, in a copy of the sources, where no quick test noticed it: for tests that start processes of the sources.
import { spawn } from 'node:child_process';
import { cpSync, existsSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PRODUCT, ROOT } from '../../scripts/folders.js';

const LIMIT_MS = 300_000;
/** The copy has one mutant at a time. */
let turn = Promise.resolve();

function copySources(copy) {
  if (existsSync(copy)) return;
  for (const part of [...PRODUCT, 'test', 'package.json', 'jest.config.js'])
    cpSync(join(ROOT, part), join(copy, part), { recursive: true });
  for (const name of readdirSync(ROOT))
    if (!existsSync(join(copy, name)) && !name.startsWith('.git') && name !== 'dist') symlinkSync(join(ROOT, name), join(copy, name));
}

function runJest(copy, tests) {
  const child = spawn(
    join(ROOT, 'node_modules/.bin/node'),
    ['--experimental-vm-modules', 'node_modules/jest/bin/jest.js', '-i', '--bail', '--silent', ...tests],
    {
      cwd: copy,
      stdio: 'ignore',
      timeout: LIMIT_MS,
      killSignal: 'SIGKILL',
    },
  );
  return new Promise((resolve) =>
    child.on('close', (status, signal) => resolve(signal === null ? (status === 0 ? 'survived' : 'noticed') : 'endless')),
  );
}

/** What these tests say of the mutant. A mutant without a change shows that they are green without one. */
export function judgeByJest(world, { file, from, to, text, kind }, tests) {
  const copy = join(world, 'plain');
  turn = turn.then(async () => {
    copySources(copy);
    const source = readFileSync(join(ROOT, file), 'utf8');
    const changed = kind === 'statement' && text === '' ? '{}' : text;
    writeFileSync(join(copy, file), source.slice(0, from) + changed + source.slice(to));
    const verdict = await runJest(copy, tests);
    writeFileSync(join(copy, file), source);
    return { verdict, clean: true };
  });
  return turn;
}
