import { join } from 'node:path';
import { readKeyFile } from '../adapters/key-files.ts';
import { LineproofError } from '../core/base/errors.ts';
import { parseVerifierKey } from '../core/keys/key.ts';
import type { Signer } from '../core/ports/signer.ts';
import { makeFolder } from '../platform/made-folder.ts';
import type { ClusterSettings } from '../settings/cluster-settings.ts';
import { isThere, readSmallFile } from '../settings/small-file.ts';
import { typedKeyText } from '../settings/typed-key.ts';

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

/**
 * The root key that the first policy must name; undefined if neither the setting nor the keys folder has one. `beside` is false if nobody named
 * the keys folder, and so whoever prepared the working folder may have put a key there. Throws CONFIG_INVALID.
 */
export function pinnedRoot(settings: Pick<ClusterSettings, 'data' | 'keys' | 'rootKey'>, beside = true): string | undefined {
  const own = join(keysFolder(settings), 'root.pub');
  const isNamed = settings.rootKey !== '';
  if (!isNamed && !(beside && isThere(own))) return undefined;
  try {
    return parseVerifierKey(isNamed ? typedKeyText(settings.rootKey) : readSmallFile(own).trim()).text;
  } catch (error) {
    throw new LineproofError(
      'CONFIG_INVALID',
      'cannot use the root key: it is neither a verifier key (name+id+base64) nor a file that holds one (@FILE if its path has a +)',
      {},
      error,
    );
  }
}

/** Makes a folder that only this user can read. */
export function privateFolder(path: string): string {
  makeFolder(path);
  return path;
}
