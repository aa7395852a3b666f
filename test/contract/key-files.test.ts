import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { readKeyFile, writeKeyFile } from '../../adapters/key-files.ts';
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
