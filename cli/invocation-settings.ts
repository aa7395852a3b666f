import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Invocation, stringOption } from './command.ts';
import { flagOf, type LoadedSettings, loadSettings, SETTINGS } from './settings.ts';

/** The settings that hold for a command line: its flags, the environment, and the file it names or the data folder has. */
export function loadInvocationSettings(invocation: Invocation): LoadedSettings {
  const { env } = invocation.terminal;
  const flags = Object.fromEntries(Object.keys(SETTINGS).map((name) => [flagOf(name), stringOption(invocation, flagOf(name))]));
  const named = stringOption(invocation, 'config');
  if (named !== undefined) return loadSettings(flags, env, named);
  const folder = flags['data'] ?? env[SETTINGS.data.env] ?? SETTINGS.data.fallback;
  const beside = join(folder, 'config.json');
  return loadSettings(flags, env, existsSync(beside) ? beside : undefined);
}
