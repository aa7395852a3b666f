import { existsSync, readdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { openFolderObjectStore } from '../adapters/folder-object-store.ts';
import { openObjectStoreAt } from '../cluster/open-object-store.ts';
import { LineproofError } from '../core/base/errors.ts';
import { printable } from '../core/base/terminal-text.ts';
import type { ObjectStore } from '../core/ports/object-store.ts';
import { errnoOf, ioError } from '../platform/errno.ts';
import { CLUSTER_SETTINGS } from '../settings/cluster-settings.ts';
import type { SettingTable } from '../settings/setting.ts';
import { isThere } from '../settings/small-file.ts';
import type { Invocation } from './command.ts';
import { loadSettings } from './invocation-settings.ts';

const { s3Endpoint, s3Region, s3PathStyle, s3Ca } = CLUSTER_SETTINGS;
/** How the server of an `s3://` archive is reached: options of the commands that read archives. */
export const READING_SETTINGS = { s3Endpoint, s3Region, s3PathStyle, s3Ca } as const satisfies SettingTable;

/**
 * Opens an archive to read: a folder, or `s3://BUCKET[/PREFIX]`. Throws NOT_FOUND where there is none.
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
const NO_PART = `it is not an archive, or an empty one: nothing named ${PARTS.join(', ')} is there`;
/** Names of what a folder holds instead that a message lists. */
const NAMED = 5;

/** Throws NOT_FOUND if the bucket holds no part of an archive: then missing objects are not findings. */
async function checkStore(objects: ObjectStore, location: string, verb: string): Promise<void> {
  for (const part of PARTS) for await (const _ of objects.list(part)) return;
  await objects.close();
  throw new LineproofError('NOT_FOUND', `cannot ${verb} ${location}: ${NO_PART}; look for the prefix that the archiver writes under`);
}

/** Throws NOT_FOUND if `folder` cannot be an archive: then faults in it are not findings. */
function checkFolder(folder: string, verb: string): void {
  const cannot = (fact: string): LineproofError => new LineproofError('NOT_FOUND', `cannot ${verb} ${folder}: ${fact}`);
  if (/^[a-z0-9]+:\/\//.test(folder)) throw cannot('an archive in a bucket is named s3://BUCKET[/PREFIX]');
  if (!isThere(folder)) throw cannot(`there is no such folder; ${insteadOf(folder)}`);
  const names = namesIn(folder, verb);
  if (names === undefined) throw cannot('it is not a folder; name the folder of the archive');
  if (PARTS.some((name) => names.includes(name))) return;
  const other = [join(folder, 'archive'), join(folder, '.lineproof', 'archive'), dirname(resolve(folder))].find(looksLikeArchive);
  if (other !== undefined) throw cannot(`it is not an archive; ${other} looks like one`);
  throw cannot(`${NO_PART}; ${foundText(names)}`);
}

/** What to name instead of a folder that is not there: the archive of a data folder beside it, where one looks like it. */
function insteadOf(folder: string): string {
  const other = join(dirname(folder), '.lineproof', 'archive');
  return looksLikeArchive(other) ? `${other} looks like an archive` : 'name the folder of an archive, or s3://BUCKET[/PREFIX]';
}

/** The names in a folder; undefined where it is not one. Throws IO_FAILED. */
function namesIn(folder: string, verb: string): readonly string[] | undefined {
  try {
    return readdirSync(folder).toSorted();
  } catch (error) {
    if (errnoOf(error) === 'ENOTDIR') return undefined;
    throw ioError(`${verb} ${folder}`, error);
  }
}

/** Whether a folder has a part of an archive. */
export function holdsArchive(folder: string): boolean {
  return PARTS.some((name) => existsSync(join(folder, name)));
}

/** Two parts at least: a folder with one file of a usual name is not an archive. */
function looksLikeArchive(folder: string): boolean {
  return PARTS.filter((name) => existsSync(join(folder, name))).length > 1;
}

function foundText(names: readonly string[]): string {
  if (names.length === 0) return 'the folder is empty';
  const more = names.length > NAMED ? ` and ${names.length - NAMED} more` : '';
  return `the folder holds ${names.slice(0, NAMED).map(printable).join(', ')}${more}`;
}
