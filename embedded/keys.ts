import { existsSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { importPrivateKey, randomBytes } from '#crypto';
import { readKeyFile, writeKeyFile } from '../adapters/key-files.ts';
import { toHex } from '../core/base/bytes.ts';
import type { Signer } from '../core/ports/signer.ts';
import { makeFolder } from '../platform/made-folder.ts';

/** The keys of an embedded system: each may do one thing. */
export interface EmbeddedKeys {
  readonly origin: string;
  readonly root: Signer;
  readonly collector: Signer;
  readonly chainer: Signer;
  /** One per shard. */
  readonly logs: readonly Signer[];
}

/**
 * Makes the keys below `folder` if there are none, for the process that owns the data folder; true if it made them.
 * They are made in a folder beside it that then takes its name, so that all of them exist or none.
 */
export async function makeEmbeddedKeys(folder: string, origin: string, shards: number): Promise<boolean> {
  if (existsSync(folder) && readdirSync(folder).length > 0) return false;
  const draft = `${folder}.new`;
  rmSync(draft, { recursive: true, force: true });
  makeFolder(draft);
  await makeKeys(draft, origin, shards);
  // COMMIT POINT. An empty folder of that name is replaced.
  renameSync(draft, folder);
  return true;
}

/** Reads the keys below `folder`. The origin is that of the root key. Throws KEY_UNREADABLE. */
export async function readEmbeddedKeys(folder: string, shards: number): Promise<EmbeddedKeys> {
  const read = (name: string): Promise<Signer> => readKeyFile(join(folder, `${name}.key`));
  const root = await read('root');
  const logs: Signer[] = [];
  for (let shard = 0; shard < shards; shard++) logs.push(await read(`log-${shard}`));
  return {
    origin: root.name.slice(0, -'/root'.length),
    root,
    collector: await read('collector'),
    chainer: await read('chainer'),
    logs,
  };
}

/** The origin is the given one, or is derived from the root key. */
async function makeKeys(folder: string, given: string, shards: number): Promise<void> {
  const rootSeed = randomBytes(32);
  const origin = given === '' ? `local/${toHex(importPrivateKey(rootSeed).publicKey.subarray(0, 4))}` : given;
  await writeKeyFile(join(folder, 'collector.key'), keyOf(`${origin}/collector`, randomBytes(32)));
  await writeKeyFile(join(folder, 'chainer.key'), keyOf(`${origin}/chainer`, randomBytes(32)));
  // One for each: a tlog-policy file, by which witnesses take logs, must not name a key twice.
  for (let shard = 0; shard < shards; shard++)
    await writeKeyFile(join(folder, `log-${shard}.key`), keyOf(`${origin}/${shard}`, randomBytes(32)));
  await writeKeyFile(join(folder, 'root.key'), keyOf(`${origin}/root`, rootSeed));
}

function keyOf(name: string, seed: Uint8Array): { name: string; seed: Uint8Array } {
  return { name, seed };
}
