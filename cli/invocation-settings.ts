import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { OpenSettings } from '../embedded/fixed-settings.ts';
import { CLUSTER_SETTINGS } from '../settings/cluster-settings.ts';
import { ALL_NAMES, SETTINGS } from '../settings/embedded-settings.ts';
import { type LoadedSettings, loadTable } from '../settings/load-settings.ts';
import { flagOf, type SettingTable } from '../settings/setting.ts';
import { type Invocation, stringOption } from './command.ts';

/** The settings of the embedded system that hold for a command line: its flags, the environment, and the file it names or the data folder has. */
export function loadInvocationSettings(invocation: Invocation): LoadedSettings<typeof SETTINGS> {
  return loadFor(SETTINGS, invocation);
}

/** The same, for opening the data folder. */
export function openSettings(invocation: Invocation): OpenSettings {
  const { values, sources } = loadInvocationSettings(invocation);
  const given = new Set(Object.entries(sources).flatMap(([name, source]) => (source === 'default' ? [] : [name])));
  return { ...values, given };
}

/** As {@link loadInvocationSettings}, of the services. */
export function loadClusterSettings(invocation: Invocation): LoadedSettings<typeof CLUSTER_SETTINGS> {
  return loadFor(CLUSTER_SETTINGS, invocation);
}

function loadFor<T extends SettingTable>(table: T, invocation: Invocation): LoadedSettings<T> {
  const { env } = invocation.terminal;
  const flags = Object.fromEntries(Object.keys(table).map((name) => [flagOf(name), stringOption(invocation, flagOf(name))]));
  const named = stringOption(invocation, 'config');
  if (named !== undefined) return loadTable(table, { flags, env, file: named, known: ALL_NAMES });
  const folder = flags['data'] ?? env[SETTINGS.data.env] ?? SETTINGS.data.fallback;
  const beside = join(folder, 'config.json');
  return loadTable(table, { flags, env, file: existsSync(beside) ? beside : undefined, known: ALL_NAMES });
}
