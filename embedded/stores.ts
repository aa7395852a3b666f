import { mkdirSync } from 'node:fs';
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

/** The stores of an embedded system's pipeline, opened on one data folder. */
export interface Stores {
  readonly log: Log;
  readonly dedup: DedupIndex;
  readonly state: StateStore;
  readonly objects: ObjectStore;
  readonly registry: SchemaRegistry;
}

/** Opens the stores of a data folder, each in a folder below it. Throws IO_FAILED for one that is damaged. */
export async function openStores(data: string): Promise<Stores> {
  const path = (name: string): string => {
    mkdirSync(join(data, name), { recursive: true, mode: 0o700 });
    return join(data, name);
  };
  checkEnvironments(['log', 'dedup', 'state'].map(path));
  return {
    log: await openLmdbLog(path('log'), { clock: systemClock }),
    dedup: await openLmdbDedupIndex(path('dedup')),
    state: await openLmdbStateStore(path('state')),
    objects: await openFolderObjectStore(path('archive')),
    registry: await openFolderSchemaRegistry(path('registry')),
  };
}
