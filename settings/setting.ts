import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { LineproofError } from '../core/base/errors.ts';

/** A value as text from a flag, the environment or a file, turned into what the program uses; or a problem's description. */
type Parse<T> = (text: string) => { readonly value: T } | { readonly problem: string };

/** One setting of a part. */
export interface Setting<T> {
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

/** Every setting of one way to run, by name. */
export type SettingTable = Readonly<Record<string, Setting<unknown>>>;
/** The effective values of a table. */
export type ValuesOf<T> = { readonly [K in keyof T]: T[K] extends Setting<infer V> ? V : never };
/** Where a value came from, for `lineproof config`. */
export type SettingSource = 'flag' | 'environment' | 'file' | 'default';

export interface LoadedSettings<T> {
  readonly values: ValuesOf<T>;
  readonly sources: Readonly<Record<keyof T, SettingSource>>;
}

export const text: Parse<string> = (value) => ({ value });

export function required(what: string): Parse<string> {
  return (value) => (value === '' ? { problem: `must name ${what}` } : { value });
}

/** Comma-separated, at least one. */
export const list: Parse<readonly string[]> = (value) => {
  const items = value.split(',').map((item) => item.trim());
  return items.every((item) => item !== '') ? { value: items } : { problem: 'must be a list, separated by commas' };
};

export function oneOf<const T extends string>(...choices: readonly T[]): Parse<T> {
  return (value) => {
    const found = choices.find((choice) => choice === value);
    return found === undefined ? { problem: `must be one of ${choices.join(', ')}` } : { value: found };
  };
}

export function integer(min: number, max: number): Parse<number> {
  return (value) => {
    const number = Number(value);
    return /^\d{1,16}$/.test(value) && number >= min && number <= max
      ? { value: number }
      : { problem: `must be a whole number from ${min} to ${max}` };
  };
}

export function setting<T>(name: string, fallback: string, unit: string, parse: Parse<T>, reason: string): Setting<T> {
  const env = `LINEPROOF_${name.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
  return { name, env: name === 'data' ? 'LINEPROOF_HOME' : env, fallback, unit, parse, reason, secret: false };
}

/** A setting that is never shown; `file:PATH` and `command:COMMAND` stand for what a file holds or a command prints. */
export function secretSetting(name: string, fallback: string, reason: string): Setting<string> {
  return { ...setting(name, fallback, 'secret', secretText, reason), secret: true };
}

const secretText: Parse<string> = (value) => {
  try {
    if (value.startsWith('file:')) return { value: readFileSync(value.slice(5), 'utf8').trim() };
  } catch (error) {
    return { problem: `names a file that cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown reason'})` };
  }
  if (!value.startsWith('command:')) return { value };
  const { status, stdout } = spawnSync('/bin/sh', ['-c', value.slice(8)], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  return status === 0 ? { value: stdout.trim() } : { problem: `names a command that failed (${status ?? 'not started'})` };
};

/** The flag of a setting: `dedupWindowMs` → `dedup-window-ms`. */
export function flagOf(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/**
 * Effective settings of a table: flag before environment before file before default. Throws one CONFIG_INVALID that lists every problem.
 * `file` is the path of a JSON object of setting names, or undefined; `known` are names that other tables have in the same file.
 */
export function loadTable<T extends SettingTable>(
  table: T,
  flags: Readonly<Record<string, string | undefined>>,
  env: NodeJS.ProcessEnv,
  file: string | undefined,
  known: readonly string[] = [],
): LoadedSettings<T> {
  const problems: string[] = [];
  const stored = file === undefined ? {} : readFile(file, [...Object.keys(table), ...known], problems);
  const values: Record<string, unknown> = {};
  const sources: Record<string, SettingSource> = {};
  for (const spec of Object.values(table)) {
    const [source, given] = pick(spec, flags, env, stored);
    const parsed = spec.parse(given);
    if ('problem' in parsed)
      problems.push(`${nameIn(source, spec)} ${spec.secret ? 'is not valid' : `is ${JSON.stringify(given)}`}: it ${parsed.problem}`);
    else values[spec.name] = parsed.value;
    sources[spec.name] = source;
  }
  if (problems.length > 0)
    throw new LineproofError('CONFIG_INVALID', `cannot use the configuration:\n${problems.map((problem) => `  - ${problem}`).join('\n')}`);
  return { values: values as ValuesOf<T>, sources: sources as LoadedSettings<T>['sources'] };
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

function readFile(path: string, known: readonly string[], problems: string[]): Record<string, string> {
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
    if (!known.includes(name)) problems.push(`"${name}" in the configuration file is no setting`);
    else if (typeof value !== 'string' && typeof value !== 'number')
      problems.push(`"${name}" in the configuration file must be a string or a number`);
    else stored[name] = String(value);
  }
  return stored;
}

/** One row of `lineproof config`. */
export interface SettingRow {
  readonly name: string;
  readonly value: string | number;
  readonly source: SettingSource;
  readonly unit: string;
  readonly reason: string;
}

/** One row per setting: name, value (secrets masked), source, unit and reason. */
export function describeSettings<T extends SettingTable>(table: T, { values, sources }: LoadedSettings<T>): SettingRow[] {
  return Object.values(table).map(({ name, secret, unit, reason }) => {
    const value = values[name] as string | number | readonly string[];
    const shown = Array.isArray(value) ? value.join(',') : (value as string | number);
    return { name, value: secret && shown !== '' ? '********' : shown, source: sources[name] as SettingSource, unit, reason };
  });
}
