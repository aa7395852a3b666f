import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { importPrivateKey, randomBytes } from '#crypto';
import { readKeyFile, writeKeyFile } from '../adapters/key-files.ts';
import { toHex } from '../core/bytes.ts';
import type { Signer } from '../core/ports/signer.ts';

/** The keys of an embedded system: each may do one thing. */
export interface EmbeddedKeys {
  readonly origin: string;
  readonly root: Signer;
  readonly collector: Signer;
  readonly chainer: Signer;
  /** One per shard. */
  readonly logs: readonly Signer[];
  /** True when this start made them. */
  readonly made: boolean;
}

/** Reads the keys below `folder`, or makes them at the first start. The origin is the given one, or made of the root key. Throws KEY_UNREADABLE. */
export async function openEmbeddedKeys(folder: string, origin: string, shards: number): Promise<EmbeddedKeys> {
  const made = !existsSync(join(folder, 'root.key'));
  if (made) await makeKeys(folder, origin, shards);
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
    made,
  };
}

/** The root key is written last: where it is, the others are. */
async function makeKeys(folder: string, given: string, shards: number): Promise<void> {
  const rootSeed = randomBytes(32);
  const origin = given === '' ? `local/${toHex(importPrivateKey(rootSeed).publicKey.subarray(0, 4))}` : given;
  const logSeed = randomBytes(32);
  await writeKeyFile(join(folder, 'collector.key'), keyOf(`${origin}/collector`, randomBytes(32)));
  await writeKeyFile(join(folder, 'chainer.key'), keyOf(`${origin}/chainer`, randomBytes(32)));
  for (let shard = 0; shard < shards; shard++) await writeKeyFile(join(folder, `log-${shard}.key`), keyOf(`${origin}/${shard}`, logSeed));
  await writeKeyFile(join(folder, 'root.key'), keyOf(`${origin}/root`, rootSeed));
}

function keyOf(name: string, seed: Uint8Array): { name: string; seed: Uint8Array } {
  return { name, seed };
}
