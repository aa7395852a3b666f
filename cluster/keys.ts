import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readKeyFile } from '../adapters/key-files.ts';
import { LineproofError } from '../core/base/errors.ts';
import { parseVerifierKey } from '../core/keys/key.ts';
import type { Signer } from '../core/ports/signer.ts';
import type { ClusterSettings } from '../settings/cluster-settings.ts';

/** The folder of this process's keys. */
export function keysFolder({ data, keys }: Pick<ClusterSettings, 'data' | 'keys'>): string {
  return keys === '' ? join(data, 'keys') : keys;
}

/** A key file of this process, such as `chainer`. Throws KEY_UNREADABLE. */
export function readKey(settings: ClusterSettings, name: string): Promise<Signer> {
  return readKeyFile(join(keysFolder(settings), `${name}.key`));
}

/** The log keys of all shards: the group decides later on which of them this process works. Throws KEY_UNREADABLE. */
export async function readLogKeys(settings: ClusterSettings, shards: number): Promise<readonly Signer[]> {
  const signers: Signer[] = [];
  for (let shard = 0; shard < shards; shard++) signers.push(await readKey(settings, `log-${shard}`));
  return signers;
}

/** The root key that the first policy must name; undefined if neither the setting nor the keys folder has one. Throws CONFIG_INVALID. */
export function pinnedRoot(settings: ClusterSettings): string | undefined {
  const beside = join(keysFolder(settings), 'root.pub');
  const given = settings.rootKey === '' ? (existsSync(beside) ? beside : undefined) : settings.rootKey;
  if (given === undefined) return undefined;
  const text = existsSync(given) ? readFileSync(given, 'utf8').trim() : given;
  try {
    parseVerifierKey(text);
    return text;
  } catch (error) {
    throw new LineproofError(
      'CONFIG_INVALID',
      'cannot use the root key: it is neither a verifier key (name+id+base64) nor a file that holds one',
      {},
      error,
    );
  }
}

/** Makes a folder that only this user can read. */
export function privateFolder(path: string): string {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  return path;
}
