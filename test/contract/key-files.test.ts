import { chmodSync, mkdirSync, readFileSync, renameSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { isOpen, readKeyFile, writeKeyFile } from '../../adapters/key-files.ts';
import { keySigner } from '../../core/keys/key.ts';
import { temporaryFolder } from '../support/command.ts';
import { signerContract } from './signer-contract.ts';

const SEED = Uint8Array.from({ length: 32 }, (_, i) => i + 1);
const NAME = 'example.org/key';
const { path: folder, release } = temporaryFolder('keys');
afterAll(release);

let files = 0;
/** A new key file, and what it holds. */
async function keyFile(): Promise<{ path: string; text: string }> {
  const path = join(folder, `${files++}.key`);
  await writeKeyFile(path, { name: NAME, seed: SEED });
  return { path, text: readFileSync(path, 'utf8') };
}

async function refusal(path: string): Promise<{ code?: unknown; message: string }> {
  return readKeyFile(path).then(
    () => ({ message: 'it was taken' }),
    (error: { code: unknown; message: string }) => error,
  );
}

signerContract('key file', async () => readKeyFile((await keyFile()).path));
signerContract('in memory', async () => keySigner(NAME, SEED));

describe('key files', () => {
  test('a private key is written for its owner only, beside its verifier key', async () => {
    const { path } = await keyFile();
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readFileSync(path.replace('.key', '.pub'), 'utf8')).toBe(`${(await readKeyFile(path)).verifierKey}\n`);
  });

  test('no key file is ever replaced', async () => {
    const { path, text } = await keyFile();
    await expect(writeKeyFile(path, { name: NAME, seed: SEED.map((byte) => byte + 1) })).rejects.toMatchObject({ code: 'IO_FAILED' });
    expect(readFileSync(path, 'utf8')).toBe(text);
  });

  test.each([0o640, 0o604, 0o620, 0o602, 0o610, 0o777])(
    'a key file of mode %o is refused, and the message says how to close it',
    async (mode) => {
      const { path } = await keyFile();
      chmodSync(path, mode);
      expect(await refusal(path)).toMatchObject({ code: 'KEY_UNREADABLE', message: expect.stringContaining(`chmod 600 ${path}`) });
      chmodSync(path, 0o400);
      expect((await readKeyFile(path)).name).toBe(NAME);
    },
  );

  test.each([
    // As Kubernetes mounts a secret: root's, for the group of the process too if there is an fsGroup.
    [0o400, 0, 1000, false],
    [0o440, 0, 1000, false],
    [0o640, 0, 1000, false],
    [0o440, 0, 0, false],
    // Open: to a group without need, to a group that can write, to everybody.
    [0o640, 0, 0, true],
    [0o440, 1000, 1000, true],
    [0o640, 1000, 1000, true],
    [0o440, 1001, 1000, true],
    [0o460, 0, 1000, true],
    [0o450, 0, 1000, true],
    [0o444, 0, 1000, true],
    [0o644, 0, 1000, true],
    [0o402, 0, 1000, true],
  ])('a key file of mode %o that user %d owns, for user %d: open is %s', (mode, uid, processUid, open) => {
    expect(isOpen({ mode: 0o100_000 | mode, uid }, processUid)).toBe(open);
  });

  test('a key is read through the links of a mounted secret, also after the secret was replaced', async () => {
    const mount = join(folder, 'mount');
    mkdirSync(mount);
    symlinkSync('..data/a.key', join(mount, 'a.key'));
    for (const [version, name] of [['..2026_01_01', 'example.org/one'] as const, ['..2026_01_02', 'example.org/two'] as const]) {
      mkdirSync(join(mount, version));
      await writeKeyFile(join(mount, version, 'a.key'), { name, seed: SEED });
      chmodSync(join(mount, version, 'a.key'), 0o400);
      symlinkSync(version, join(mount, '..next'));
      renameSync(join(mount, '..next'), join(mount, '..data'));
      expect((await readKeyFile(join(mount, 'a.key'))).name).toBe(name);
    }
    // What is really open is open behind a link too.
    chmodSync(join(mount, '..2026_01_02', 'a.key'), 0o444);
    expect(await refusal(join(mount, 'a.key'))).toMatchObject({ code: 'KEY_UNREADABLE' });
  });

  test('a file without a key is KEY_UNREADABLE, and the message never repeats its content', async () => {
    const { path, text } = await keyFile();
    const parts = text.trim().split('+');
    const secret = parts.at(-1) as string;
    const spoilt = [
      '',
      'hello',
      text.slice(0, 40),
      text.replace('PRIVATE', 'PUBLIC'),
      text.replace(NAME, 'example.org/other'),
      `${secret}\n`,
    ];
    for (const bad of spoilt) {
      writeFileSync(path, bad);
      const { code, message } = await refusal(path);
      expect([bad, code, message.includes(path)]).toEqual([bad, 'KEY_UNREADABLE', true]);
      expect(message).not.toContain(secret.slice(0, 12));
    }
  });

  test('a missing key file, or a folder in its place, is KEY_UNREADABLE, naming its path', async () => {
    const missing = join(folder, 'missing.key');
    expect(await refusal(missing)).toMatchObject({ code: 'KEY_UNREADABLE', message: expect.stringContaining(missing) });
    const directory = join(folder, 'directory.key');
    mkdirSync(directory, { mode: 0o700 });
    expect(await refusal(directory)).toMatchObject({ code: 'KEY_UNREADABLE', message: expect.stringContaining(directory) });
  });
});
