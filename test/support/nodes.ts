import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './command.ts';

/** Node binaries to try: the one of the machine's PATH outside this package's scripts, and the package's newer one. */
export function nodes(): string[] {
  const outside = (process.env['PATH'] ?? '').split(':').filter((path) => !path.includes('node_modules'));
  const found = outside.map((path) => join(path, 'node')).find((path) => existsSync(path));
  return [...new Set([found ?? process.execPath, join(ROOT, 'node_modules', '.bin', 'node')])];
}
