import { spawn } from 'node:child_process';
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { messageOf, StackError } from './stack-error.js';

/** Every server has this variable, with its folder and name, in its environment. So /proc alone shows which servers run, and no process id in a file can be stale. */
const MARK = 'LINEPROOF_STACK_SERVER';
const POLL_MS = 50;

/**
 * How one server is run.
 * @typedef {object} Launch
 * @property {string} command
 * @property {readonly string[]} args
 * @property {Readonly<Record<string, string>>} [env]
 * @property {string} [cwd]
 */

/** @param {string} folder @param {string} name */
export function logFile(folder, name) {
  return join(folder, 'logs', `${name}.log`);
}

/**
 * Starts a server that outlives this process, with only PATH and HOME of this process's environment.
 * @param {string} folder
 * @param {string} name
 * @param {Launch} launch
 * @returns {Promise<void>}
 */
export async function startServer(folder, name, { command, args, env = {}, cwd = folder }) {
  const log = openSync(logFile(folder, name), 'a', 0o600);
  const { PATH = '', HOME = '/' } = process.env;
  const child = spawn(command, [...args], {
    cwd,
    detached: true,
    stdio: ['ignore', log, log],
    env: { PATH, HOME, TMPDIR: join(folder, 'tmp'), LC_ALL: 'C.UTF-8', ...env, [MARK]: `${folder}#${name}` },
  });
  closeSync(log);
  await new Promise((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', (error) => reject(new StackError(`cannot start ${name}: ${error.message}`)));
  });
  child.unref();
}

/**
 * Process ids of a stack's running servers by name, from /proc. A zombie has no environment
 * there and counts as ended.
 * @param {string} folder
 */
export function runningServers(folder) {
  const prefix = `${MARK}=${folder}#`;
  /** @type {Map<string, number[]>} */
  const running = new Map();
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const mark = environmentOf(entry).find((variable) => variable.startsWith(prefix));
    if (mark === undefined) continue;
    const name = mark.slice(prefix.length);
    running.set(name, [...(running.get(name) ?? []), Number(entry)]);
  }
  return running;
}

/** @param {string} pid */
function environmentOf(pid) {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
  } catch {
    return []; // the process ended meanwhile, or is another user's
  }
}

/**
 * Ends a stack's servers, or the named ones: sends TERM to all, and KILL to those that still run after `graceMs`. Returns the names of the killed.
 * @param {string} folder
 * @param {number} graceMs
 * @param {ReadonlySet<string>} [names]
 */
export async function stopServers(folder, graceMs, names) {
  const remaining = () => new Map([...runningServers(folder)].filter(([name]) => names?.has(name) ?? true));
  signalAll(remaining(), 'SIGTERM');
  if (await allEnded(remaining, graceMs)) return [];
  const killed = remaining();
  signalAll(killed, 'SIGKILL');
  if (!(await allEnded(remaining, graceMs)))
    throw new StackError(`cannot stop ${[...remaining().keys()].join(', ')}: still running after SIGKILL`);
  return [...killed.keys()];
}

/** @param {ReadonlyMap<string, readonly number[]>} servers @param {'SIGTERM' | 'SIGKILL'} signal */
function signalAll(servers, signal) {
  for (const pid of [...servers.values()].flat()) {
    try {
      process.kill(pid, signal);
    } catch {
      // It ended by itself before the signal.
    }
  }
}

/** @param {() => ReadonlyMap<string, unknown>} remaining @param {number} withinMs */
async function allEnded(remaining, withinMs) {
  const endMs = performance.now() + withinMs;
  while (remaining().size > 0) {
    if (performance.now() > endMs) return false;
    await delay(POLL_MS);
  }
  return true;
}

/**
 * Waits until `check` succeeds. Throws, with the end of the log, if the server ends first or is not ready within `withinMs`.
 * @param {string} folder
 * @param {string} name
 * @param {() => Promise<void>} check
 * @param {number} withinMs
 * @param {AbortSignal} signal
 */
export async function waitUntilReady(folder, name, check, withinMs, signal) {
  const endMs = performance.now() + withinMs;
  for (;;) {
    const failure = await check().then(
      () => undefined,
      (/** @type {unknown} */ error) => error,
    );
    if (failure === undefined) return;
    if (signal.aborted) throw new StackError('cannot go on: interrupted');
    if (!runningServers(folder).has(name)) throw new StackError(`cannot start ${name}: it ended\n${logTail(folder, name)}`);
    if (performance.now() > endMs) {
      throw new StackError(`cannot start ${name}: not ready in ${withinMs / 1000} s (${messageOf(failure)})\n${logTail(folder, name)}`);
    }
    await delay(POLL_MS);
  }
}

const TAIL_LINES = 15;

/** @param {string} folder @param {string} name */
function logTail(folder, name) {
  const file = logFile(folder, name);
  const lines = readFileSync(file, 'utf8').trim().split('\n').slice(-TAIL_LINES);
  return [`  ${file}:`, ...lines.map((line) => `  ${line}`)].join('\n');
}
