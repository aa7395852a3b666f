import { existsSync } from 'node:fs';
import { openFolderObjectStore } from '../adapters/folder-object-store.ts';
import { LineproofError } from '../core/errors.ts';
import type { ObjectStore } from '../core/ports/object-store.ts';
import type { Invocation } from './command.ts';
import { loadClusterSettings } from './invocation-settings.ts';

const S3 = /^s3:\/\/([^/]+)(?:\/(.*))?$/;

/**
 * Opens an archive to read: a folder, or `s3://BUCKET[/PREFIX/]` on the server that the s3 settings name. Throws IO_FAILED where there is no such folder.
 * A copy in a folder needs nothing but Node: what speaks to servers is loaded for s3:// only.
 */
export async function openArchive(location: string, invocation: Invocation): Promise<ObjectStore> {
  const [, bucket, prefix = ''] = S3.exec(location) ?? [];
  if (bucket !== undefined) {
    const [{ openS3ObjectStore }, { s3Settings }] = await Promise.all([import('../adapters/s3-object-store.ts'), import('./cluster.ts')]);
    const { values } = loadClusterSettings(invocation);
    return openS3ObjectStore(s3Settings({ ...values, s3Bucket: bucket, s3Prefix: prefix === '' || prefix.endsWith('/') ? prefix : `${prefix}/` }));
  }
  if (!existsSync(location)) throw new LineproofError('IO_FAILED', `cannot read ${location}: there is no such folder`);
  return openFolderObjectStore(location);
}
