// The top-level folders that hold TypeScript, read from the disk, so that a new folder need not be listed anywhere.
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../', import.meta.url));
/** Folders that are not part of the product: they use it or serve its development, and the product imports none of them. */
const BESIDE = ['bench', 'docs', 'infra', 'scripts', 'test'];
/** Folders that a build or an installation fills. */
const MADE = ['dist', 'node_modules'];

function folders() {
  return readdirSync(ROOT, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.') && !MADE.includes(entry.name))
    .map(({ name }) => name);
}

/** Folders of the product, in order of their names. */
export const PRODUCT = folders()
  .filter((name) => !BESIDE.includes(name))
  .toSorted();

/** Folders whose imports follow the table of docs/architecture.md. */
export const CHECKED = [...PRODUCT, 'bench', 'infra', 'test'];

/** Paths of all files with this ending below a folder, relative to the root of the repository. */
export function filesBelow(folder, ending = '.ts') {
  return readdirSync(`${ROOT}${folder}`, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(ending))
    .map((entry) => `${entry.parentPath.slice(ROOT.length)}/${entry.name}`.replaceAll('\\', '/'))
    .toSorted();
}
