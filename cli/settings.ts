import { readFileSync } from 'node:fs';
import { LineproofError } from '../core/errors.ts';

/** A value as text from a flag, the environment or a file, turned into what the program uses; a string is a problem's description. */
type Parse<T> = (text: string) => { readonly value: T } | { readonly problem: string };

interface Setting<T> {
  /** Name in the configuration file; the flag is its kebab-case form. */
  readonly name: string;
  readonly env: string;
  /** What it is without being set; text, as a user would write it. */
  readonly fallback: string;
  readonly unit: string;
  readonly reason: string;
  readonly secret: boolean;
  readonly parse: Parse<T>;
}

const text: Parse<string> = (value) => ({ value });

function oneOf<const T extends string>(...choices: readonly T[]): Parse<T> {
  return (value) => {
    const found = choices.find((choice) => choice === value);
    return found === undefined ? { problem: `must be one of ${choices.join(', ')}` } : { value: found };
  };
}

function integer(min: number, max: number): Parse<number> {
  return (value) => {
    const number = Number(value);
    return /^\d{1,16}$/.test(value) && number >= min && number <= max
      ? { value: number }
      : { problem: `must be a whole number from ${min} to ${max}` };
  };
}

function setting<T>(name: string, fallback: string, unit: string, parse: Parse<T>, reason: string): Setting<T> {
  const env = `LINEPROOF_${name.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
  return { name, env: name === 'data' ? 'LINEPROOF_HOME' : env, fallback, unit, parse, reason, secret: false };
}

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

type Name = keyof typeof SETTINGS;
type ValueOf<S> = S extends Setting<infer T> ? T : never;
/** The effective values. */
export type Settings = { readonly [K in Name]: ValueOf<(typeof SETTINGS)[K]> };
/** Where a value came from, for `lineproof config`. */
export type SettingSource = 'flag' | 'environment' | 'file' | 'default';

export interface LoadedSettings {
  readonly values: Settings;
  readonly sources: Readonly<Record<Name, SettingSource>>;
}

/** The flag of a setting: `dedupWindowMs` → `dedup-window-ms`. */
export function flagOf(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/**
 * Effective settings: flag before environment before file before default. Throws one CONFIG_INVALID that lists every problem.
 * `file` is the path of a JSON object of setting names, or undefined.
 */
export function loadSettings(
  flags: Readonly<Record<string, string | undefined>>,
  env: NodeJS.ProcessEnv,
  file: string | undefined,
): LoadedSettings {
  const problems: string[] = [];
  const stored = file === undefined ? {} : readFile(file, problems);
  const values: Record<string, unknown> = {};
  const sources: Record<string, SettingSource> = {};
  for (const spec of Object.values(SETTINGS) as readonly Setting<unknown>[]) {
    const [source, given] = pick(spec, flags, env, stored);
    const parsed = spec.parse(given);
    if ('problem' in parsed)
      problems.push(`${nameIn(source, spec)} is ${spec.secret ? 'not valid' : JSON.stringify(given)}: it ${parsed.problem}`);
    else values[spec.name] = parsed.value;
    sources[spec.name] = source;
  }
  if (problems.length > 0)
    throw new LineproofError('CONFIG_INVALID', `cannot use the configuration:\n${problems.map((problem) => `  - ${problem}`).join('\n')}`);
  return { values: values as unknown as Settings, sources: sources as Record<Name, SettingSource> };
}

function pick(
  spec: Setting<unknown>,
  flags: Readonly<Record<string, string | undefined>>,
  env: NodeJS.ProcessEnv,
  stored: Readonly<Record<string, string>>,
): [SettingSource, string] {
  const flag = flags[flagOf(spec.name)];
  if (flag !== undefined) return ['flag', flag];
  const variable = env[spec.env];
  if (variable !== undefined && variable !== '') return ['environment', variable];
  const line = stored[spec.name];
  return line === undefined ? ['default', spec.fallback] : ['file', line];
}

function nameIn(source: SettingSource, spec: Setting<unknown>): string {
  if (source === 'environment') return spec.env;
  return source === 'file' ? `"${spec.name}" in the configuration file` : `--${flagOf(spec.name)}`;
}

function readFile(path: string, problems: string[]): Record<string, string> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    problems.push(`the configuration file ${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`);
    return {};
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    problems.push(`the configuration file ${path} must hold one JSON object`);
    return {};
  }
  const stored: Record<string, string> = {};
  for (const [name, value] of Object.entries(parsed)) {
    if (!(name in SETTINGS)) problems.push(`"${name}" in the configuration file is no setting`);
    else if (typeof value !== 'string' && typeof value !== 'number')
      problems.push(`"${name}" in the configuration file must be a string or a number`);
    else stored[name] = String(value);
  }
  return stored;
}

/** One line per setting for `lineproof config`: name, value (secrets masked), source, unit and reason. */
export function describeSettings({
  values,
  sources,
}: LoadedSettings): { name: Name; value: string | number; source: SettingSource; unit: string; reason: string }[] {
  return (Object.keys(SETTINGS) as Name[]).map((name) => {
    const { secret, unit, reason } = SETTINGS[name];
    return { name, value: secret ? '********' : values[name], source: sources[name], unit, reason };
  });
}
