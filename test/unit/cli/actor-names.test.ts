import { mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeEach, expect, test } from '@jest/globals';
import { actorKey } from '../../../cli/actor-names.ts';
import { toHex } from '../../../core/base/bytes.ts';
import { temporaryFolder } from '../../support/command.ts';

const folder = temporaryFolder('actor-names');
let data: string;
let count = 0;

beforeEach(() => {
  data = join(folder.path, `${count++}`);
  mkdirSync(join(data, 'keys'), { recursive: true });
});

afterAll(() => folder.release());

test('callers that come at the same time get one key, which is there whole and for nobody else', async () => {
  const keys = await Promise.all(Array.from({ length: 16 }, () => actorKey(data)));
  expect(new Set(keys.map(toHex)).size).toBe(1);
  expect(toHex(await actorKey(data))).toBe(toHex(keys[0] as Uint8Array));
  expect(readdirSync(join(data, 'keys'))).toEqual(['actors.key']);
  expect(statSync(join(data, 'keys', 'actors.key')).mode & 0o777).toBe(0o600);
});

test('a key that is not whole is refused, not replaced', async () => {
  writeFileSync(join(data, 'keys', 'actors.key'), new Uint8Array(3));
  await expect(actorKey(data)).rejects.toMatchObject({ code: 'KEY_UNREADABLE', message: expect.stringContaining('has 3 bytes, not 32') });
});
