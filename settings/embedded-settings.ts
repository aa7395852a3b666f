import { CLUSTER_SETTINGS } from './cluster-settings.ts';
import { loadTable } from './load-settings.ts';
import { integer, oneOf, path, setting, text, type ValuesOf } from './setting.ts';

const DAY_MS = 24 * 3600 * 1000;

/** Every setting of the embedded system. docs/settings.md is made from this table. */
export const SETTINGS = {
  data: setting('data', '.lineproof', {
    type: path,
    unit: 'folder',
    reason: 'holds keys, log, spool, state and archive; one process at a time works on it',
  }),
  origin: setting('origin', '', {
    type: text,
    unit: 'name',
    reason: 'name of the system of logs, which can never change; if empty, it is local/ and 8 hex digits of the root key',
  }),
  shards: setting('shards', '1', {
    type: integer(1, 256),
    unit: 'shards',
    reason: 'parallel parts of the log; the first start fixes the number',
  }),
  actors: setting('actors', 'hashed', {
    type: oneOf('hashed', 'plain'),
    unit: '',
    reason: 'records names of persons, such as git authors, as keyed hashes or in clear',
  }),
  logLevel: setting('logLevel', 'warn', {
    type: oneOf('debug', 'info', 'warn', 'error'),
    unit: '',
    reason: 'lowest severity of the lines that are written to stderr',
  }),
  dedupWindowMs: setting('dedupWindowMs', String(30 * DAY_MS), {
    type: integer(1000, 3650 * DAY_MS),
    unit: 'ms',
    reason: 'how long a repeated event is recognised; the first start writes it into the policy',
  }),
  segmentMaxAgeMs: setting('segmentMaxAgeMs', '10000', {
    type: integer(1000, 365 * DAY_MS),
    unit: 'ms',
    reason: 'age at which a segment of the archive closes; the first start writes it into the policy',
  }),
  lingerMs: setting('lingerMs', '20', { type: integer(0, 60_000), unit: 'ms', reason: 'how long a batch waits for more events' }),
  heartbeatMs: setting('heartbeatMs', '300000', {
    type: integer(1000, DAY_MS),
    unit: 'ms',
    reason: 'how often a collector states that nothing more was recorded',
  }),
  spoolMaxBytes: setting('spoolMaxBytes', String(1024 * 1024 * 1024), {
    type: integer(1024 * 1024, 2 ** 50),
    unit: 'bytes',
    reason: 'size at which the spool is full',
  }),
  spoolWhenFull: setting('spoolWhenFull', 'block', {
    type: oneOf('block', 'refuse', 'drop-auxiliary'),
    unit: '',
    reason: 'what a full spool does to new events',
  }),
} as const;

/** The effective values. */
export type Settings = ValuesOf<typeof SETTINGS>;

/** The embedded system's defaults. */
export function defaultSettings(): Settings {
  return loadTable(SETTINGS, { flags: {}, env: {}, file: undefined }).values;
}

/** Names of the settings of every table, which may all be in one file. */
export const ALL_NAMES: readonly string[] = [...new Set([...Object.keys(SETTINGS), ...Object.keys(CLUSTER_SETTINGS)])];
