import { spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { StackError } from './stack-error.js';

const SHOWN_LINES = 15;

/**
 * The path of a program on the PATH, or undefined.
 * @param {string} name
 */
export function findProgram(name) {
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  return folders.map((folder) => join(folder, name)).find(isExecutable);
}

/** @param {string} path */
function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * Runs a program to its end; returns its code and its whole output. Code −1 means that it could not be started.
 * @param {string} program
 * @param {readonly string[]} args
 * @param {{ readonly cwd?: string, readonly env?: NodeJS.ProcessEnv }} [options]
 * @returns {Promise<{ readonly code: number, readonly stdout: string, readonly output: string }>}
 */
export function outcomeOf(program, args, options = {}) {
  return new Promise((resolve) => {
    const child = spawn(program, [...args], {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let output = '';
    child.stdout.on('data', (chunk) => {
      stdout += chunk;
      output += chunk;
    });
    child.stderr.on('data', (chunk) => {
      output += chunk;
    });
    child.on('error', (error) => resolve({ code: -1, stdout, output: error.message }));
    child.on('close', (code) => resolve({ code: code ?? -1, stdout, output }));
  });
}

/**
 * Runs a program that must succeed, and returns its standard output. The error begins with "cannot" and `aim`.
 * @param {string} aim
 * @param {string} program
 * @param {readonly string[]} args
 * @param {{ readonly cwd?: string, readonly env?: NodeJS.ProcessEnv }} [options]
 */
export async function runOrFail(aim, program, args, options = {}) {
  const { code, stdout, output } = await outcomeOf(program, args, options);
  if (code === 0) return stdout;
  const said = output.trim().split('\n').slice(-SHOWN_LINES).join('\n  ');
  throw new StackError(`cannot ${aim}: ${program} ended with code ${code}\n  ${said}`);
}
