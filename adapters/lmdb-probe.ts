import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { LineproofError } from '../core/base/errors.ts';

/** Reads every entry of each environment to its last byte; writes a dot for each that it could read. */
const PROBE = `
const { open } = require(process.argv[1]);
for (const path of process.argv.slice(2)) {
  const root = open({ path, noSubdir: false, readOnly: true, encoding: 'binary', maxDbs: 16, cache: false });
  for (const name of [...root.getKeys()]) {
    if (typeof name !== 'string' || !['records', 'bounds', 'topics', 'entries', 'slots', 'watermarks'].includes(name)) continue;
    for (const { value } of root.openDB(name, { encoding: 'binary', keyEncoding: 'binary' }).getRange({})) value.at(-1);
  }
  for (const { value } of root.getRange({})) value.at(-1);
  process.stdout.write('.');
}
// An orderly exit of Node 24 can wait for ever for a compiler's thread that waits for it: seen once in some hundred starts under load.
process.kill(process.pid, 'SIGKILL');
`;

/**
 * Throws IO_FAILED for the first of `folders` whose LMDB file cannot be read to its end. Reads in a separate process, because lmdb ends
 * the process that opens a truncated or overwritten file.
 */
export function checkEnvironments(folders: readonly string[]): void {
  const there = folders.filter((folder) => existsSync(join(folder, 'data.mdb')));
  if (there.length === 0) return;
  const lmdb = createRequire(import.meta.url).resolve('lmdb');
  const { stdout } = spawnSync(process.execPath, ['-e', PROBE, lmdb, ...there], { encoding: 'utf8' });
  if (stdout.length === there.length) return;
  throw new LineproofError(
    'IO_FAILED',
    `cannot open ${there[stdout.length] ?? there.join(', ')}: its LMDB file is damaged; restore the folder from its backup`,
  );
}
