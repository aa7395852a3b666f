// Compiles to an empty dist/, and puts the Avro schemas beside the code that ships.
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, rmSync } from 'node:fs';

rmSync('dist', { recursive: true, force: true });
const { status } = spawnSync('node_modules/.bin/tsc', ['-p', 'tsconfig.build.json'], { stdio: 'inherit' });
if (status !== 0) process.exit(status ?? 1);
cpSync('schemas', 'dist/schemas', { recursive: true, filter: (path) => !/\.(?:ts|md)$/.test(path) });
if (existsSync('dist/cli/main.js')) chmodSync('dist/cli/main.js', 0o755);
await import('./sdk-package.js');
