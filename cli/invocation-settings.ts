import { join } from 'node:path';
import type { OpenSettings } from '../embedded/fixed-settings.ts';
import { CLUSTER_SETTINGS } from '../settings/cluster-settings.ts';
import { ALL_NAMES, SETTINGS } from '../settings/embedded-settings.ts';
import { type LoadedSettings, loadTable } from '../settings/load-settings.ts';
import { flagOf, type SettingTable } from '../settings/setting.ts';
import { isThere } from '../settings/small-file.ts';
import { type Invocation, stringOption } from './command.ts';

/** The configuration file of a data folder. */
const FILE_NAME = 'config.json';
/** A file in a folder that names another folder would be read from one place and mean another. */
const BARRED = { data: 'names a data folder, and the file lies in one; take it out, or name the file with --config' };

/**
 * The settings of the embedded system: flags, the environment, and the file that --config names or that the data folder holds. The data folder is this
 * system's own, even if nobody named it. No setting of this system runs a command.
 */
export function loadInvocationSettings(invocation: Invocation): LoadedSettings<typeof SETTINGS> {
  return loadOwnSettings(SETTINGS, invocation);
}

/** The settings of a table, for a command that works on the data folder of an embedded system. */
export function loadOwnSettings<T extends SettingTable>(table: T, invocation: Invocation): LoadedSettings<T> {
  return loadTable(table, textsOf(table, invocation, true));
}

/** The same, for opening the data folder. */
export function openSettings(invocation: Invocation): OpenSettings {
  const { values, sources } = loadInvocationSettings(invocation);
  const given = new Set(Object.entries(sources).flatMap(([name, source]) => (source === 'default' ? [] : [name])));
  return { ...values, given };
}

/** The settings of the services, as {@link loadSettings} finds them. */
export function loadClusterSettings(invocation: Invocation): LoadedSettings<typeof CLUSTER_SETTINGS> {
  return loadSettings(CLUSTER_SETTINGS, invocation);
}

/**
 * The settings of a table: flags, the environment, and the file that --config names or that a named data folder holds. The default data folder lies in
 * the working folder, which may come from anybody: its file is not used, and a message says so.
 */
export function loadSettings<T extends SettingTable>(table: T, invocation: Invocation): LoadedSettings<T> {
  return loadTable(table, textsOf(table, invocation, false));
}

/** Whether the command line or the environment names the folder of the keys, so that a root key in it is the operator's. */
export function namesKeys({ sources }: LoadedSettings<typeof CLUSTER_SETTINGS>): boolean {
  return sources.keys !== 'default' || sources.data !== 'default';
}

/** The effective data folder, and whether somebody named it. */
export function dataFolder(invocation: Invocation): { readonly folder: string; readonly isNamed: boolean } {
  const { name, env, fallback } = SETTINGS.data;
  const variable = invocation.terminal.env[env];
  const named = stringOption(invocation, flagOf(name)) ?? (variable === '' ? undefined : variable);
  return { folder: named ?? fallback, isNamed: named !== undefined };
}

function textsOf(table: SettingTable, invocation: Invocation, isOwn: boolean): Parameters<typeof loadTable>[1] {
  const { env, stderr } = invocation.terminal;
  const flags = Object.fromEntries(Object.keys(table).map((name) => [flagOf(name), stringOption(invocation, flagOf(name))]));
  const shared = { flags, env, known: ALL_NAMES };
  const named = stringOption(invocation, 'config');
  if (named !== undefined) return { ...shared, file: named };
  const { folder, isNamed } = dataFolder(invocation);
  const beside = join(folder, FILE_NAME);
  if (!isThere(beside)) return { ...shared, file: undefined };
  if (isNamed || isOwn) return { ...shared, file: beside, barred: BARRED };
  stderr.write(`lineproof: ${beside} is not used: name it with --config, or its folder with --data or ${SETTINGS.data.env}\n`);
  return { ...shared, file: undefined };
}
