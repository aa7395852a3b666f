import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { withFileLock } from './file-lock.js';
import { cacheFolder, RECIPES } from './folders.js';

const STILL_MS = 30_000;

/**
 * One thing that is fetched or built once per machine.
 * @typedef {object} Artefact
 * @property {string} name
 * @property {string} version
 * @property {string} about a description of the work, for the user who waits
 * @property {readonly string[]} recipe files of this folder that decide the result; other bytes in them make another entry of the cache
 * @property {() => Promise<readonly string[]>} missing programs that the machine lacks to make it, each with how to get it
 * @property {(folder: string) => Promise<void>} make fills an empty folder, and throws if a checksum differs
 */

/**
 * The folder where an artefact is or will be.
 * @param {Artefact} artefact
 */
export function cachedPath({ name, version, recipe }) {
  const hash = createHash('sha256').update(`${process.platform} ${process.arch}\n`);
  for (const file of recipe) hash.update(readFileSync(join(RECIPES, file)));
  return join(cacheFolder(), `${name}-${version}-${hash.digest('hex').slice(0, 12)}`);
}

/**
 * Returns the folder of an artefact, and makes it if it is missing. If several processes call this at once, one makes it. An entry
 * appears by a rename, so an entry that exists is complete.
 * @param {Artefact} artefact
 * @param {(text: string) => void} say
 */
export async function fetchArtefact(artefact, say) {
  const path = cachedPath(artefact);
  if (existsSync(path)) return path;
  const lock = join(cacheFolder(), 'locks', artefact.name);
  const onWait = () => say(`waiting for another process that fetches ${artefact.name}`);
  return withFileLock(lock, onWait, async () => {
    if (existsSync(path)) return path;
    const startMs = performance.now();
    say(artefact.about);
    removeAbandoned(artefact.name);
    const patience = setInterval(() => say(`still busy with ${artefact.name}`), STILL_MS);
    const temporary = mkdtempSync(join(cacheFolder(), `.${artefact.name}-`));
    try {
      mkdirSync(join(temporary, 'made'));
      await artefact.make(join(temporary, 'made'));
      renameSync(join(temporary, 'made'), path);
    } finally {
      clearInterval(patience);
      rmSync(temporary, { recursive: true, force: true });
    }
    say(`${artefact.name} ${artefact.version} is in the cache, ${((performance.now() - startMs) / 1000).toFixed(0)} s`);
    return path;
  });
}

/**
 * Deletes entries that a killed process left half made; called with the artefact's lock held.
 * @param {string} name
 */
function removeAbandoned(name) {
  for (const entry of readdirSync(cacheFolder()))
    if (entry.startsWith(`.${name}-`)) rmSync(join(cacheFolder(), entry), { recursive: true, force: true });
}
