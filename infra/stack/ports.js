import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { withFileLock } from './file-lock.js';
import { cacheFolder } from './folders.js';
import { StackError } from './stack-error.js';

/** Below the range from which Linux takes ports for outgoing connections, so that the port of a stopped server stays free. */
const FIRST = 20_000;
const LAST = 32_000;
const HOST = '127.0.0.1';

/**
 * Chooses a port for each of `names`: one on which no process listens and which no other stack of this user has reserved. Calls `keep` with
 * the ports while no other stack can choose. Takes the ports of `wanted` if all of them are still free.
 * @param {string} folder
 * @param {readonly string[]} names
 * @param {Readonly<Record<string, number>>} wanted
 * @param {(ports: Readonly<Record<string, number>>) => void} keep
 */
export async function reservePorts(folder, names, wanted, keep) {
  await withFileLock(
    join(cacheFolder(), 'locks', 'ports'),
    () => undefined,
    async () => {
      const kept = readKept(folder);
      const taken = new Set(kept.flatMap(([, each]) => each));
      const complete = names.every((name) => wanted[name] !== undefined && !taken.has(wanted[name]));
      const ports = complete && (await areFree(Object.values(wanted))) ? wanted : await chooseFree(names, taken);
      keep(ports);
      writeFileSync(keptFile(), `${JSON.stringify(Object.fromEntries([...kept, [folder, Object.values(ports)]]), null, 2)}\n`);
    },
  );
}

function keptFile() {
  return join(cacheFolder(), 'ports.json');
}

/**
 * Ports of the other stacks that still exist. If the file cannot be read, only the reservations of stopped stacks are lost.
 * @param {string} folder
 * @returns {[string, number[]][]}
 */
function readKept(folder) {
  try {
    /** @type {[string, number[]][]} */
    const all = Object.entries(JSON.parse(readFileSync(keptFile(), 'utf8')));
    return all.filter(([other]) => other !== folder && existsSync(join(other, 'stack.json')));
  } catch {
    return [];
  }
}

/**
 * @param {readonly string[]} names
 * @param {ReadonlySet<number>} taken
 */
async function chooseFree(names, taken) {
  /** @type {Record<string, number>} */
  const chosen = {};
  let port = FIRST + Math.floor(Math.random() * (LAST - FIRST));
  for (let tried = FIRST; tried < LAST && Object.keys(chosen).length < names.length; tried++) {
    port = port + 1 >= LAST ? FIRST : port + 1;
    if (!taken.has(port) && (await isFree(port))) chosen[names[Object.keys(chosen).length] ?? ''] = port;
  }
  if (Object.keys(chosen).length < names.length)
    throw new StackError(`cannot find ${names.length} free ports between ${FIRST} and ${LAST}`);
  return chosen;
}

/** @param {readonly number[]} ports */
async function areFree(ports) {
  for (const port of ports) if (!(await isFree(port))) return false;
  return true;
}

/** @param {number} port @returns {Promise<boolean>} */
function isFree(port) {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: HOST, exclusive: true }, () => server.close(() => resolve(true)));
  });
}
