import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import type { DataDigests } from '../core/formats/data-digests.ts';
import { ioError } from '../platform/errno.ts';

/** Algorithms by which a file in hand is compared with the digests in events. A keyed digest (hmac-…) is not found by its file alone. */
export const FILE_ALGORITHMS = ['sha256', 'sha384', 'sha512', 'sha1'] as const;

/** Digests of a file's content. Throws IO_FAILED. */
export async function digestsOfFile(path: string): Promise<DataDigests> {
  const hashes = FILE_ALGORITHMS.map((name) => [name, createHash(name)] as const);
  try {
    for await (const chunk of createReadStream(path)) for (const [, hash] of hashes) hash.update(chunk as Uint8Array);
  } catch (error) {
    throw ioError(`read ${path}`, error);
  }
  return new Map(hashes.map(([name, hash]) => [name, new Uint8Array(hash.digest())]));
}
