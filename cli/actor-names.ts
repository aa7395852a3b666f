import { existsSync, readFileSync } from 'node:fs';
import { link, rm } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { hmacSha256, randomBytes } from '#crypto';
import { toHex, utf8 } from '../core/base/bytes.ts';
import { LineproofError } from '../core/base/errors.ts';
import { syncFolder, writeSynced } from '../platform/durable-file.ts';
import { errnoOf, ioError } from '../platform/errno.ts';
import type { Settings } from '../settings/embedded-settings.ts';

const KEY_BYTES = 32;
const MAX_NAME_UNITS = 256;

/** The key under which names of persons are hashed, made at the first use. Throws KEY_UNREADABLE if it is not whole: a hash under another key would name another person. */
export async function actorKey(data: string): Promise<Uint8Array> {
  const folder = join(data, 'keys');
  const path = join(folder, 'actors.key');
  if (!existsSync(path)) await makeKey(folder, path);
  const key = readFileSync(path);
  if (key.length === KEY_BYTES) return key;
  throw new LineproofError(
    'KEY_UNREADABLE',
    `cannot use key file ${path}: it has ${key.length} bytes, not ${KEY_BYTES}; restore it from its backup`,
  );
}

/** Makes the key under another name first, so that it is there whole or not at all. If another process was faster, its key stays. */
async function makeKey(folder: string, path: string): Promise<void> {
  const draft = join(folder, `actors.${toHex(randomBytes(8))}.draft`);
  try {
    await writeSynced(draft, randomBytes(KEY_BYTES), 0o600);
    await link(draft, path);
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw ioError(`make key file ${path}`, error);
  } finally {
    await rm(draft, { force: true });
  }
  await syncFolder(folder);
}

/** Name of the user of this process, as the setting `actors` wants it: as a keyed hash, or in clear. */
export async function userName({ data, actors }: Settings): Promise<string> {
  const name = loginName();
  if (actors === 'plain') return name.replaceAll(/\p{Cc}/gu, '_').slice(0, MAX_NAME_UNITS);
  return `hmac:${toHex(hmacSha256(await actorKey(data), utf8(name))).slice(0, 32)}`;
}

/** A user without an entry in the system's table has only a number. */
function loginName(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid ${process.getuid?.() ?? 'unknown'}`;
  }
}
