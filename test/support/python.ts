import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from '@jest/globals';
import { sha256 } from '#crypto';
import { toHex } from '../../core/base/bytes.ts';
import { ROOT, runProgram } from './command.ts';

const CACHE = join(ROOT, 'node_modules/.cache');

/** Whether this machine has a Python that can make environments of its own. */
export const hasPython: boolean = spawnSync('python3', ['-c', 'import venv, ensurepip'], { stdio: 'ignore' }).status === 0;

/** The Python of an environment with the packages of a requirements file, in a folder `name` of the cache. {@link installPython} makes it. */
export function pythonOf(name: string, requirements: string): string {
  return join(folderOf(name, requirements), 'bin', 'python');
}

function folderOf(name: string, requirements: string): string {
  return join(CACHE, name, toHex(sha256(readFileSync(requirements))).slice(0, 16));
}

/** Installs the pinned packages where they are not yet; a failure fails the test. */
export async function installPython(name: string, requirements: string): Promise<void> {
  const folder = folderOf(name, requirements);
  if (!hasPython || existsSync(folder)) return;
  mkdirSync(join(CACHE, name), { recursive: true });
  const fresh = mkdtempSync(join(CACHE, name, 'new-'));
  expect(await runProgram('python3', ['-m', 'venv', fresh])).toMatchObject({ code: 0 });
  const install = ['-m', 'pip', 'install', '-q', '--disable-pip-version-check', '-r', requirements];
  expect(await runProgram(join(fresh, 'bin', 'python'), install)).toMatchObject({ code: 0 });
  try {
    // Whole from the first moment on, whoever else installs it.
    renameSync(fresh, folder);
  } catch {
    rmSync(fresh, { recursive: true });
  }
}
