import { readFileSync } from 'node:fs';

/** The text of a document of the repository, by its path from the root. */
export function document(path: string): string {
  return readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8');
}

/** The cells of every table row whose first cell starts with a name in backticks, keyed by that name; a name met twice throws. */
export function namedRows(markdown: string): Map<string, readonly string[]> {
  const rows = new Map<string, readonly string[]>();
  for (const line of markdown.split('\n')) {
    const name = /^\| `([^`]+)`/.exec(line)?.[1];
    if (name === undefined) continue;
    if (rows.has(name)) throw new Error(`${name} is in the document twice`);
    rows.set(
      name,
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
  }
  return rows;
}
