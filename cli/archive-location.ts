import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { openFolderObjectStore } from '../adapters/folder-object-store.ts';
import { openObjectStoreAt } from '../cluster/open-object-store.ts';
import { LineproofError } from '../core/base/errors.ts';
import type { ObjectStore } from '../core/ports/object-store.ts';
import { CLUSTER_SETTINGS } from '../settings/cluster-settings.ts';
import type { SettingTable } from '../settings/setting.ts';
import type { Invocation } from './command.ts';
import { loadSettings } from './invocation-settings.ts';

const { s3Endpoint, s3Region, s3PathStyle, s3Ca } = CLUSTER_SETTINGS;
/** How the server of an `s3://` archive is reached: options of the commands that read archives. */
export const READING_SETTINGS = { s3Endpoint, s3Region, s3PathStyle, s3Ca } as const satisfies SettingTable;

/**
 * Opens an archive to read: a folder, or `s3://BUCKET[/PREFIX]`. Throws IO_FAILED where there is none.
 * A copy in a folder needs only Node: clients of servers are loaded for `s3://` only.
 */
export async function openArchive(location: string, verb: string, invocation: Invocation): Promise<ObjectStore> {
  const objects = await openObjectStoreAt(location, () => loadSettings(READING_SETTINGS, invocation).values);
  if (objects === undefined) {
    checkFolder(location, verb);
    return openFolderObjectStore(location);
  }
  await checkStore(objects, location, verb);
  return objects;
}

const PARTS = ['logs', 'policies', 'archive.json'];

/** Throws IO_FAILED if the bucket holds no part of an archive: then missing objects are not findings. */
async function checkStore(objects: ObjectStore, location: string, verb: string): Promise<void> {
  for (const part of PARTS) for await (const _ of objects.list(part)) return;
  await objects.close();
  throw new LineproofError(
    'IO_FAILED',
    `cannot ${verb} ${location}: it is not an archive, or an empty one: nothing named ${PARTS.join(', ')} is there`,
  );
}

/** Throws IO_FAILED if `folder` cannot be an archive: then faults in it are not findings. */
function checkFolder(folder: string, verb: string): void {
  const cannot = (fact: string): LineproofError => new LineproofError('IO_FAILED', `cannot ${verb} ${folder}: ${fact}`);
  if (!existsSync(folder)) throw cannot('there is no such folder');
  if (!statSync(folder).isDirectory()) throw cannot('it is not a folder');
  if (PARTS.some((name) => existsSync(join(folder, name)))) return;
  const below = join(folder, 'archive');
  throw cannot(
    PARTS.some((name) => existsSync(join(below, name)))
      ? `it is not an archive; ${below} looks like one`
      : `it is not an archive, or an empty one: nothing named ${PARTS.join(', ')} is there`,
  );
}
