import { dirname, resolve } from 'node:path';
import { hasCode, LineproofError, messageOf } from '../core/base/errors.ts';
import { parseJsonText } from '../core/base/json-text.ts';
import { flagOf, type Setting, type SettingTable, type ValuesOf } from './setting.ts';
import { readSmallFile } from './small-file.ts';

/** Where a value came from, for `lineproof config`. */
export type SettingSource = 'flag' | 'environment' | 'file' | 'default';

/** The effective values of a table, each with where it came from. */
export interface LoadedSettings<T> {
  readonly values: ValuesOf<T>;
  readonly sources: Readonly<Record<keyof T, SettingSource>>;
}

/** The places where values are looked for. */
export interface SettingTexts {
  /** By flag, without dashes. */
  readonly flags: Readonly<Record<string, string | undefined>>;
  readonly env: NodeJS.ProcessEnv;
  /** Path of a JSON object of setting names; undefined: no file. Relative paths in it begin at its folder. */
  readonly file: string | undefined;
  /** Names that the file must not set, each with the reason. */
  readonly barred?: Readonly<Record<string, string>>;
  /** Names that other tables have in the same file. */
  readonly known?: readonly string[];
}

/** Effective settings of a table: flag before environment before file before default. Throws one CONFIG_INVALID that lists every problem. */
export function loadTable<T extends SettingTable>(
  table: T,
  { flags, env, file, known = [], barred = {} }: SettingTexts,
): LoadedSettings<T> {
  const problems: string[] = [];
  const stored = file === undefined ? {} : readFile(file, table, known, problems);
  for (const [name, reason] of Object.entries(barred))
    if (stored[name] !== undefined) problems.push(`"${name}" in the configuration file ${reason}`);
  const values: Record<string, unknown> = {};
  const sources: Record<string, SettingSource> = {};
  for (const spec of Object.values(table)) {
    const [source, given] = pick(spec, { flags, env }, stored);
    const parsed = source === 'file' ? spec.type.parse(given, dirname(resolve(file ?? ''))) : spec.type.parse(given);
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
  { flags, env }: Pick<SettingTexts, 'flags' | 'env'>,
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

function readFile(path: string, table: SettingTable, known: readonly string[], problems: string[]): Record<string, string> {
  let parsed: unknown;
  try {
    parsed = parseJsonText(readSmallFile(path));
  } catch (error) {
    const fact = hasCode(error, 'FORMAT_INVALID') ? withoutValues(messageOf(error)) : messageOf(error);
    problems.push(`the configuration file ${path} cannot be read: ${fact}`);
    return {};
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    problems.push(`the configuration file ${path} must hold one JSON object`);
    return {};
  }
  const stored: Record<string, string> = {};
  for (const [name, value] of Object.entries(parsed)) {
    const spec = Object.hasOwn(table, name) ? table[name] : undefined;
    if (spec === undefined && !known.includes(name)) problems.push(`"${name}" in the configuration file is not a setting`);
    else if (typeof value !== 'string' && typeof value !== 'number')
      problems.push(`"${name}" in the configuration file must be a string or a number`);
    // A number loses its spelling: 7.10 would become the text 7.1.
    else if (typeof value === 'number' && spec !== undefined && spec.type.isNumber !== true)
      problems.push(`"${name}" in the configuration file must be a string: write it in quotes`);
    else stored[name] = String(value);
  }
  return stored;
}

/** What a message about JSON text says, but for the text's own values: they may be secrets. */
function withoutValues(message: string): string {
  return message
    .replace('cannot read JSON:', 'it is not JSON that can be taken as it is:')
    .replace(/the number \S+ would become \S+; /, 'the number would be rounded; ');
}

/** One row of `lineproof config`. */
export interface SettingRow {
  readonly name: string;
  readonly value: string | number;
  readonly source: SettingSource;
  readonly unit: string;
  readonly reason: string;
}

/** One row per setting: name, value (a secret that somebody set is masked), source, unit and reason. */
export function describeSettings<T extends SettingTable>(table: T, { values, sources }: LoadedSettings<T>): SettingRow[] {
  return Object.values(table).map(({ name, secret, unit, reason }) => {
    const value = values[name] as string | number | readonly string[];
    const shown = Array.isArray(value) ? value.join(',') : (value as string | number);
    return {
      name,
      value: secret && shown !== '' && sources[name] !== 'default' ? '********' : shown,
      source: sources[name] as SettingSource,
      unit,
      reason,
    };
  });
}
