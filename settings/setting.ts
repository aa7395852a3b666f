import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import { readSmallFile, SMALL_BYTES } from './small-file.ts';
import { keyFileOf } from './typed-key.ts';

/** A value's type: how text from a flag, the environment or a file becomes a value, or a sentence that follows "it" and names the fault. */
export interface ValueType<T> {
  /** `folder` is where a relative path in the text begins: the folder of the configuration file; undefined for flags and variables, which begin in the working folder. */
  readonly parse: (text: string, folder?: string) => { readonly value: T } | { readonly problem: string };
  /** Whether the value is a number, so that a JSON file may have it as one. */
  readonly isNumber?: true;
  /** All possible texts, if there are only a few. */
  readonly choices?: readonly string[];
}

/** The meaning of a setting: the one text that help, `lineproof config` and docs/settings.md show. */
export interface SettingSpec<T> {
  readonly type: ValueType<T>;
  /** Unit or kind of the value, such as `ms` or `folder`; empty for choices. */
  readonly unit: string;
  /** A sentence or two, without a capital at the start and a full stop at the end. */
  readonly reason: string;
}

/** One setting of a part. */
export interface Setting<T> extends SettingSpec<T> {
  /** Name in the configuration file; the flag is its kebab-case form. */
  readonly name: string;
  readonly env: string;
  /** The default, as a user would write it. */
  readonly fallback: string;
  /** Whether the value is never shown. */
  readonly secret: boolean;
}

/** Every setting of one way to run, by name. */
export type SettingTable = Readonly<Record<string, Setting<unknown>>>;
/** The effective values of a table. */
export type ValuesOf<T> = { readonly [K in keyof T]: T[K] extends Setting<infer V> ? V : never };

/** Any text. */
export const text: ValueType<string> = { parse: (value) => ({ value }) };

/** A path; an empty text stays empty. */
export const path: ValueType<string> = { parse: (value, folder) => ({ value: value === '' ? '' : placed(value, folder) }) };

/** A verifier key, or the path of a file that holds one. */
export const keyOrPath: ValueType<string> = {
  parse: (value, folder) => {
    const file = value === '' ? undefined : keyFileOf(value);
    return { value: file === undefined ? value : `@${placed(file, folder)}` };
  },
};

function placed(given: string, folder: string | undefined): string {
  return folder === undefined ? given : resolve(folder, given);
}

/** A text that must not be empty: the name of `what`. */
export function required(what: string): ValueType<string> {
  return { parse: (value) => (value === '' ? { problem: `must name ${what}` } : { value }) };
}

/** Comma-separated, at least one. */
export const list: ValueType<readonly string[]> = {
  parse: (value) => {
    const items = value.split(',').map((item) => item.trim());
    return items.every((item) => item !== '') ? { value: items } : { problem: 'must be a list, separated by commas' };
  },
};

/** One of a few words. */
export function oneOf<const T extends string>(...choices: readonly T[]): ValueType<T> {
  return {
    choices,
    parse: (value) => {
      const found = choices.find((choice) => choice === value);
      return found === undefined ? { problem: `must be one of ${choices.join(', ')}` } : { value: found };
    },
  };
}

/** A whole number from `min` to `max`. */
export function integer(min: number, max: number): ValueType<number> {
  return {
    isNumber: true,
    parse: (value) => {
      const number = Number(value);
      return /^\d{1,16}$/.test(value) && number >= min && number <= max
        ? { value: number }
        : { problem: `must be a whole number from ${min} to ${max}` };
    },
  };
}

/** Declares a setting. */
export function setting<T>(name: string, fallback: string, spec: SettingSpec<T>): Setting<T> {
  const env = `LINEPROOF_${name.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
  return { ...spec, name, env: name === 'data' ? 'LINEPROOF_HOME' : env, fallback, secret: false };
}

/** Declares a setting that is never shown. `file:PATH` takes the content of a file, `command:COMMAND` the output of a command. */
export function secretSetting(name: string, fallback: string, reason: string): Setting<string> {
  return { ...setting(name, fallback, { type: secretText, unit: 'secret', reason }), secret: true };
}

const secretText: ValueType<string> = {
  parse: (value, folder) => {
    if (value.startsWith('file:')) return secretOfFile(placed(value.slice(5), folder));
    return value.startsWith('command:') ? secretOfCommand(value.slice(8), folder) : { value };
  },
};

type Parsed = ReturnType<ValueType<string>['parse']>;

function secretOfFile(file: string): Parsed {
  try {
    return { value: readSmallFile(file).trim() };
  } catch (error) {
    return { problem: `names a file that cannot be read (${codeOf(error) ?? 'unknown reason'})` };
  }
}

/** Runs the command in the folder of the configuration file that states it, so that a relative path in it means the same wherever the process was started. */
function secretOfCommand(command: string, folder: string | undefined): Parsed {
  const { status, signal, error, stdout } = spawnSync('/bin/sh', ['-c', command], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    maxBuffer: SMALL_BYTES,
    ...(folder === undefined ? {} : { cwd: folder }),
  });
  if (status === 0 && error === undefined) return { value: stdout.trim() };
  return { problem: `names a command that failed (${codeOf(error) ?? status ?? signal})` };
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException | undefined)?.code;
}

/** The flag of a setting: `dedupWindowMs` → `dedup-window-ms`. */
export function flagOf(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
