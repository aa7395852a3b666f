import { existsSync, mkdirSync, readdirSync, realpathSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { StackError } from './stack-error.js';

/** The project's folder. */
export const PROJECT = resolve(import.meta.dirname, '../..');
/** This folder, with the recipes of the servers that are fetched. */
export const RECIPES = import.meta.dirname;

const NAME = /^[a-z0-9][a-z0-9-]{0,30}$/;
/** Both paths are written into Java properties, a class path, a JDBC URL and redis.conf, each with its own special characters. */
const PLAIN_PATH = /^\/[\w./@+~= -]*$/;

/** The folder of fetched servers; it survives every reset and may be deleted while nothing runs. */
export function cacheFolder() {
  const base = process.env['XDG_CACHE_HOME'];
  return plain(join(base?.startsWith('/') ? base : join(homedir(), '.cache'), 'lineproof-stack'), 'XDG_CACHE_HOME');
}

/**
 * The folder of one stack, with links resolved where it exists.
 * @param {string} name
 * @param {string | undefined} data
 */
export function stackFolder(name, data) {
  if (!NAME.test(name))
    throw new StackError(`cannot use the name ${JSON.stringify(name)}: lower-case letters, digits and hyphens, at most 31`);
  const folder = resolve(data ?? join(PROJECT, '.stack', name));
  return plain(existsSync(folder) ? realpathSync(folder) : folder, '--data');
}

/**
 * @param {string} path
 * @param {string} setBy
 */
function plain(path, setBy) {
  if (PLAIN_PATH.test(path)) return path;
  throw new StackError(`cannot use the folder ${JSON.stringify(path)}: it has characters that server settings cannot hold; set ${setBy}`);
}

/**
 * Makes a stack's folder and returns its path without links; refuses a folder with foreign files, because reset deletes.
 * @param {string} folder
 */
export function makeStackFolder(folder) {
  mkdirSync(folder, { recursive: true });
  const entries = readdirSync(folder).filter((entry) => entry !== 'lock' && entry !== 'stack.json.new');
  if (entries.length > 0 && !entries.includes('stack.json'))
    throw new StackError(`cannot use the folder ${folder}: it is not empty and holds no stack.json`);
  return plain(realpathSync(folder), '--data');
}

/** Files that a stack makes in its folder after its stack.json; reset deletes all of them, and stack.json last. */
const OWN_ENTRIES = ['config', 'data', 'logs', 'tls', 'tmp'];

/** @param {string} folder */
export function makeOwnEntries(folder) {
  for (const entry of OWN_ENTRIES) mkdirSync(join(folder, entry), { recursive: true, mode: 0o700 });
}

/** @param {string} folder */
export function deleteOwnEntries(folder) {
  for (const entry of [...OWN_ENTRIES, 'stack.env', 'stack.json']) rmSync(join(folder, entry), { recursive: true, force: true });
}
