import { join } from 'node:path';
import { openFolderObjectStore } from '../adapters/folder-object-store.ts';
import { openFolderSchemaRegistry } from '../adapters/folder-schema-registry.ts';
import { openLmdbDedupIndex } from '../adapters/lmdb-dedup-index.ts';
import { openLmdbLog } from '../adapters/lmdb-log.ts';
import { checkEnvironments } from '../adapters/lmdb-probe.ts';
import { openLmdbStateStore } from '../adapters/lmdb-state-store.ts';
import { systemClock } from '../adapters/system-clock.ts';
import type { DedupIndex } from '../core/ports/dedup-index.ts';
import type { Log } from '../core/ports/log.ts';
import type { ObjectStore } from '../core/ports/object-store.ts';
import type { SchemaRegistry } from '../core/ports/schema-registry.ts';
import type { StateStore } from '../core/ports/state-store.ts';
import { makeFolder } from '../platform/made-folder.ts';

/** The stores of an embedded system's pipeline, opened on one data folder. */
export interface Stores {
  readonly log: Log;
  readonly dedup: DedupIndex;
  readonly state: StateStore;
  readonly objects: ObjectStore;
  readonly registry: SchemaRegistry;
}

/** Opens the stores of a data folder, each in a folder below it; if one cannot be opened, closes the others. Throws IO_FAILED for one that is damaged. */
export async function openStores(data: string): Promise<Stores> {
  const path = (name: string): string => {
    makeFolder(join(data, name));
    return join(data, name);
  };
  checkEnvironments(['log', 'dedup', 'state'].map(path));
  const opened: Closable[] = [];
  const keep = <T extends Closable>(store: T): T => {
    opened.push(store);
    return store;
  };
  try {
    return {
      log: keep(await openLmdbLog(path('log'), { clock: systemClock })),
      dedup: keep(await openLmdbDedupIndex(path('dedup'))),
      state: keep(await openLmdbStateStore(path('state'))),
      objects: keep(await openFolderObjectStore(path('archive'))),
      registry: keep(await openFolderSchemaRegistry(path('registry'))),
    };
  } catch (error) {
    await closeAll(opened).catch(() => undefined);
    throw error;
  }
}

/** Closes every store, also after one of them failed; then throws the first failure. */
export async function closeStores({ log, dedup, state, objects, registry }: Stores): Promise<void> {
  await closeAll([log, dedup, state, objects, registry]);
}

interface Closable {
  close(): Promise<void>;
}

async function closeAll(stores: readonly Closable[]): Promise<void> {
  const failures: unknown[] = [];
  for (const store of stores) await store.close().catch((error: unknown) => failures.push(error));
  if (failures.length > 0) throw failures[0];
}
