import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type DataFolder, dataFolderHolder, openDataFolder } from '../adapters/data-folder.ts';
import { openFolderSchemaRegistry } from '../adapters/folder-schema-registry.ts';
import { openLmdbLog, readLmdbLog } from '../adapters/lmdb-log.ts';
import { checkEnvironments } from '../adapters/lmdb-probe.ts';
import { systemClock } from '../adapters/system-clock.ts';
import { LineproofError } from '../core/base/errors.ts';
import { originOf } from '../core/chain/governance-origin.ts';
import { Sources } from '../core/chain/governance-source.ts';
import type { Log } from '../core/ports/log.ts';
import type { Logger } from '../core/ports/logger.ts';

/** The policies of an embedded system, for a command: beside the process that works on the data folder, or without one. */
export interface ControlLog {
  readonly log: Log;
  /** Whether another process works on the folder, and so reads what is appended by itself; not looked at where nothing is to be appended. */
  readonly isRunning: boolean;
  /** The policies that the control topic holds, read now. Throws POLICY_INVALID if there is none of the pinned root. */
  sources(): Promise<Sources>;
  close(): Promise<void>;
}

export interface ControlLogOptions {
  /** The data folder. */
  readonly data: string;
  /** Verifier key of a root that the first policy must name; undefined: the first policy that verifies is trusted. */
  readonly rootKey: string | undefined;
  readonly logger: Logger;
  /** Whether something is to be appended. */
  readonly appends: boolean;
}

/**
 * Opens the log of a data folder to read its policies, or to append one. Throws NOT_FOUND if there is no log, IO_FAILED if it is damaged, and to append
 * DATA_IN_USE if a process may work on the folder that cannot be seen from here: it may run on another machine, where no transaction of LMDB excludes ours.
 */
export async function openControlLog({ data, rootKey, logger, appends }: ControlLogOptions): Promise<ControlLog> {
  const folder = join(data, 'log');
  if (!existsSync(join(folder, 'data.mdb'))) throw noLog(data);
  const lock = appends ? await lockUnlessRuns(data) : undefined;
  try {
    checkEnvironments([folder]);
    const log = await (appends ? openLmdbLog : readLmdbLog)(folder, { clock: systemClock });
    const registry = await openFolderSchemaRegistry(join(data, 'registry'));
    return {
      log,
      isRunning: appends && lock === undefined,
      sources: async () => {
        const origin = await originOf(log, rootKey, `restore log and keys of ${data} from one backup`);
        const sources = new Sources({ origin, rootKey, log, registry, clock: systemClock, logger });
        await sources.refreshPolicies();
        return sources;
      },
      close: async () => {
        await registry.close();
        await log.close();
        await lock?.close();
      },
    };
  } catch (error) {
    await lock?.close();
    throw error;
  }
}

/** The folder, if nobody works on it; undefined beside a process that is seen to live, which is one of this machine. Throws DATA_IN_USE. */
async function lockUnlessRuns(data: string): Promise<DataFolder | undefined> {
  const holder = await dataFolderHolder(data);
  if (holder === undefined) return openDataFolder(data);
  if (!holder.lives) throw holder.error;
  return undefined;
}

function noLog(data: string): LineproofError {
  return new LineproofError(
    'NOT_FOUND',
    `cannot read the policy of ${data}: it is not the data folder of an embedded system that was started; name it with --data, or begin one with lineproof start`,
  );
}
