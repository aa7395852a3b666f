import { CLUSTER_SETTINGS } from './cluster-settings.ts';
import { integer, type LoadedSettings, loadTable, oneOf, setting, text, type ValuesOf } from './setting.ts';

const DAY_MS = 24 * 3600 * 1000;

/** Every setting of the embedded system, each with its unit, default and reason. docs/settings.md lists the same; a test compares. */
export const SETTINGS = {
  data: setting('data', '.lineproof', 'folder', text, 'where keys, log, spool and archive live; one process at a time'),
  origin: setting('origin', '', 'name', text, 'name of this log; empty: local/<8 hex of the root key>, never changed later'),
  shards: setting('shards', '1', 'shards', integer(1, 256), 'parallel lanes of the log, fixed by the first start'),
  actors: setting(
    'actors',
    'hashed',
    '',
    oneOf('hashed', 'plain'),
    'whether names of persons (git authors) are recorded as keyed hashes or in clear',
  ),
  logLevel: setting('logLevel', 'warn', '', oneOf('debug', 'info', 'warn', 'error'), 'least severity that is written to stderr'),
  dedupWindowMs: setting(
    'dedupWindowMs',
    String(30 * DAY_MS),
    'ms',
    integer(1000, 3650 * DAY_MS),
    'how long a repeated event is recognised; written into the first policy',
  ),
  segmentMaxAgeMs: setting(
    'segmentMaxAgeMs',
    '10000',
    'ms',
    integer(1000, 365 * DAY_MS),
    'age at which a segment of the archive closes; written into the first policy',
  ),
  lingerMs: setting('lingerMs', '20', 'ms', integer(0, 60_000), 'how long a batch waits for more events'),
  heartbeatMs: setting('heartbeatMs', '300000', 'ms', integer(1000, DAY_MS), 'how often a collector states that nothing more was recorded'),
  spoolMaxBytes: setting(
    'spoolMaxBytes',
    String(1024 * 1024 * 1024),
    'bytes',
    integer(1024 * 1024, 2 ** 50),
    'size at which the spool is full',
  ),
  spoolWhenFull: setting('spoolWhenFull', 'block', '', oneOf('block', 'refuse', 'drop-auxiliary'), 'what a full spool does to new events'),
} as const;

/** The effective values. */
export type Settings = ValuesOf<typeof SETTINGS>;

/** Effective settings of the embedded system; see {@link loadTable}. */
export function loadSettings(
  flags: Readonly<Record<string, string | undefined>>,
  env: NodeJS.ProcessEnv,
  file: string | undefined,
): LoadedSettings<typeof SETTINGS> {
  return loadTable(SETTINGS, flags, env, file, Object.keys(CLUSTER_SETTINGS));
}
