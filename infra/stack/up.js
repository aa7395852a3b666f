import { appendFileSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { fetchAll } from './artefacts.js';
import { makeCertificates } from './certificates.js';
import { withFileLock } from './file-lock.js';
import { deleteOwnEntries, makeOwnEntries, makeStackFolder } from './folders.js';
import { reservePorts } from './ports.js';
import { inspectMachine, missingFor, neededArtefacts, portNames, stackServers } from './runtimes.js';
import { checkServer } from './server.js';
import { logFile, runningServers, startServer, stopServers, waitUntilReady } from './server-processes.js';
import { newStack, readStack, writeStack } from './stack.js';
import { StackError } from './stack-error.js';

/** @typedef {import('./stack.js').Shape} Shape */
/** @typedef {import('./stack.js').Stack} Stack */
/** @typedef {import('./server.js').Server} Server */

const READY_MS = 90_000;
/** A broker asks the controllers before it ends. If all brokers end at the same time, the last finds no controller and would wait for minutes. */
const GRACE_MS = 5_000;

/** @type {Shape} */
const SMALLEST = { brokers: 1, secure: false, toxiproxy: false };

/**
 * The context of a command.
 * @typedef {object} Scene
 * @property {string} name
 * @property {string} folder
 * @property {(text: string) => void} say
 * @property {AbortSignal} signal aborts when the user interrupts
 */

/**
 * Brings a stack up: all of it, or those of its servers that do not run. If it fails or is interrupted, it stops every server
 * that it started.
 * @param {Scene} scene
 * @param {Partial<Shape>} asked options that the user gave
 */
export async function bringUp(scene, asked) {
  return locked(scene, () => bringUpLocked(scene, asked));
}

/**
 * Ends a stack's servers; false if none ran.
 * @param {Scene} scene
 */
export async function takeDown(scene) {
  // Servers whose folder was deleted are still in /proc, but there is no file left to lock.
  return existsSync(scene.folder) ? locked(scene, () => takeDownLocked(scene)) : takeDownLocked(scene);
}

/**
 * Ends a stack, deletes its data and brings it up again, of the same shape unless the user gave options.
 * @param {Scene} scene
 * @param {Partial<Shape>} asked
 */
export async function reset(scene, asked) {
  return locked(scene, async () => {
    const shape = { ...shapeBefore(scene.folder), ...asked };
    await takeDownLocked(scene);
    deleteOwnEntries(scene.folder);
    return bringUpLocked(scene, shape);
  });
}

/** @param {string} folder @returns {Partial<Shape>} */
function shapeBefore(folder) {
  try {
    return readStack(folder)?.shape ?? {};
  } catch {
    return {}; // a reset must also work if stack.json cannot be read
  }
}

/**
 * @template T
 * @param {Scene} scene
 * @param {() => Promise<T>} task
 */
async function locked({ folder, say }, task) {
  return withFileLock(join(makeStackFolder(folder), 'lock'), () => say('waiting for another command on this stack'), task);
}

/**
 * @param {Scene} scene
 * @param {Partial<Shape>} asked
 */
async function bringUpLocked(scene, asked) {
  const folder = makeStackFolder(scene.folder);
  const before = readStack(folder);
  if (before !== undefined) refuseOtherShape(before, asked);
  const shape = before?.shape ?? { ...SMALLEST, ...asked };
  const machine = await inspectMachine();
  const lacks = await missingFor(shape, machine);
  if (lacks.length > 0) throw new StackError(`cannot start the stack: this machine lacks\n  - ${lacks.join('\n  - ')}`);
  await fetchAll(neededArtefacts(shape, machine), scene.say);
  const stack = await settlePorts(before ?? newStack(scene.name, folder, shape));
  makeOwnEntries(folder);
  if (shape.secure) await makeCertificates(folder);
  const running = runningServers(folder);
  const servers = stackServers(stack, machine);
  await startAll(
    stack,
    servers.filter(({ name }) => !running.has(name)),
    scene,
  );
  return stack;
}

/**
 * @param {Stack} stack
 * @param {Partial<Shape>} asked
 */
function refuseOtherShape({ shape, folder }, asked) {
  const differs = Object.entries(asked).some(([key, value]) => shape[/** @type {keyof Shape} */ (key)] !== value);
  if (!differs) return;
  const has = `${shape.brokers} broker(s)${shape.secure ? ', secure' : ''}${shape.toxiproxy ? ', toxiproxy' : ''}`;
  throw new StackError(`cannot change the stack in ${folder}: it was made with ${has}; "reset" with the new options deletes its data`);
}

/**
 * The stack with its ports written to stack.json. A stack with running servers always keeps them.
 * @param {Stack} stack
 */
async function settlePorts(stack) {
  const runs = runningServers(stack.folder).size > 0;
  if (runs) return stack;
  let settled = stack;
  await reservePorts(stack.folder, portNames(stack.shape), stack.ports, (ports) => {
    settled = { ...stack, ports };
    writeStack(settled);
  });
  return settled;
}

/**
 * @param {Stack} stack
 * @param {readonly Server[]} servers those that do not run
 * @param {Scene} scene
 */
async function startAll({ folder }, servers, { say, signal }) {
  if (servers.length === 0) return say('everything runs already');
  try {
    const results = await Promise.allSettled(servers.map((server) => startOne(folder, server, say, signal)));
    const failed = results.find((result) => result.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  } catch (error) {
    await stopServers(folder, GRACE_MS, new Set(servers.map(({ name }) => name)));
    throw error;
  }
}

/**
 * @param {string} folder
 * @param {Server} server
 * @param {(text: string) => void} say
 * @param {AbortSignal} signal
 */
async function startOne(folder, server, say, signal) {
  const launch = await server.prepare();
  if (signal.aborted) throw new StackError('cannot go on: interrupted');
  appendFileSync(logFile(folder, server.name), `--- started by lineproof stack, ${new Date().toISOString()}\n`, { mode: 0o600 });
  await startServer(folder, server.name, launch);
  const ready = () => checkServer(server).then(() => server.joined?.());
  await waitUntilReady(folder, server.name, ready, READY_MS, signal);
  await server.settle?.();
  say(`${server.name} is ready at ${server.address}`);
}

/** @param {Scene} scene */
async function takeDownLocked({ folder, say }) {
  if (runningServers(folder).size === 0) return false;
  const killed = await stopServers(folder, GRACE_MS);
  if (killed.length > 0) say(`ended with SIGKILL, because they did not end in ${GRACE_MS / 1000} s: ${killed.join(', ')}`);
  return true;
}

/**
 * The state of each server of a stack in /proc, and whether it answers a real request.
 * @param {Stack} stack
 */
export async function stackStatus(stack) {
  const running = runningServers(stack.folder);
  return Promise.all(
    stackServers(stack, await inspectMachine()).map(async (server) => {
      const { name, title, address } = server;
      const pids = running.get(name) ?? [];
      const answers =
        pids.length > 0 &&
        (await checkServer(server)
          .then(() => true)
          .catch(() => false));
      return { name, title, address, running: pids.length > 0, answers, pids, log: logFile(stack.folder, name) };
    }),
  );
}
