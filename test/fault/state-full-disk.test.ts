import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { runProgram, temporaryFolder } from '../support/command.ts';

const CHILD = ['--conditions=lineproof-source', '--import', './test/support/typescript.js', 'test/fault/state-child.ts'];
const folder = temporaryFolder('state-full-disk');
afterAll(() => folder.release());

test('LMDB writes to stderr once for each time that the disk of its state is full, not once for each commit that is refused', async () => {
  const disk = join(folder.path, 'disk');
  mkdirSync(disk);
  const onSmallDisk = `mount -t tmpfs -o size=8m tmpfs '${disk}' && exec "$0" "$@"`;
  const mounts = ['--mount', ...(process.getuid?.() === 0 ? [] : ['--map-root-user'])];
  const { code, stdout, stderr } = await runProgram('unshare', [...mounts, 'sh', '-c', onSmallDisk, process.execPath, ...CHILD, disk]);
  expect({ code, stdout: stdout.split('\n') }).toEqual({
    code: 0,
    stdout: [
      'before taken',
      'first-1 DISK_FULL',
      'first-2 DISK_FULL',
      'first-3 DISK_FULL',
      'first-after taken',
      'second-1 DISK_FULL',
      'second-2 DISK_FULL',
      'second-3 DISK_FULL',
      'second-after taken',
      'kept before first-after second-after',
      '',
    ],
  });
  expect(stderr.match(/Write error/g)).toHaveLength(2);
}, 60_000);
