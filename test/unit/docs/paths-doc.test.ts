import { existsSync, readdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { expect, test } from '@jest/globals';
import { document } from './table.ts';

const root = new URL('../../../', import.meta.url);
const entries = readdirSync(root, { withFileTypes: true });
const folders = entries.filter((entry) => entry.isDirectory() && !/^\.|^(node_modules|dist)$/.test(entry.name)).map(({ name }) => name);
const documents = [
  ...entries.map(({ name }) => name),
  ...folders.flatMap((folder) =>
    readdirSync(new URL(folder, root), { recursive: true, encoding: 'utf8' }).map((path) => `${folder}/${path}`),
  ),
].filter((path) => path.endsWith('.md'));

test('every file of the repository that a document names by its path is there', () => {
  expect(documents.length).toBeGreaterThan(60);
  const named = documents.flatMap((path) =>
    [...document(path).matchAll(/`([a-z][\w-]*\/[\w./-]+\.(?:ts|js|cjs|md|json|avsc|yaml))`/g)].map(
      ([, name]) => [path, name as string] as const,
    ),
  );
  expect(named.length).toBeGreaterThan(100);
  const isThere = (path: string): boolean => existsSync(new URL(path, root));
  // A path begins at the root, at the document's folder, or, within a floor of core, at core.
  const missing = named.filter(([path, name]) => ![name, `${dirname(path)}/${name}`, `${dirname(dirname(path))}/${name}`].some(isThere));
  expect(missing).toEqual([]);
});
