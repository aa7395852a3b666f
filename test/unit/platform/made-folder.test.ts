import { mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { makeFolder } from '../../../platform/made-folder.ts';
import { temporaryFolder } from '../../support/command.ts';

const root = temporaryFolder('made-folder');
afterAll(() => root.release());

test('makes what is missing, for this user only, and takes what is there', () => {
  const path = join(root.path, 'a', 'b', 'c');
  makeFolder(path);
  makeFolder(path);
  for (const each of [path, join(root.path, 'a')]) expect(statSync(each).mode & 0o777).toBe(0o700);
  symlinkSync(path, join(root.path, 'link'));
  makeFolder(join(root.path, 'link'));
  makeFolder(`${path}/`);
  makeFolder('.');
  makeFolder('/');
});

test.each([
  ['a folder of the system that takes none', '/proc/x'],
  ['a place below one', '/proc/x/y/z'],
  ['a place below a file', '/dev/null/x'],
  ['a file', join(root.path, 'file')],
  ['a link that leads nowhere', join(root.path, 'nowhere')],
])('ends with a code at %s', (_, path) => {
  mkdirSync(root.path, { recursive: true });
  writeFileSync(join(root.path, 'file'), '');
  if (path.endsWith('nowhere')) symlinkSync('/nowhere/at/all', path);
  expect(() => makeFolder(path)).toThrow(expect.objectContaining({ code: 'IO_FAILED', message: expect.stringContaining(path) }));
});
