import { parseArgs } from 'node:util';
import { LineproofError } from '../core/base/errors.ts';
import { flagOf, type SettingTable } from '../settings/setting.ts';

/** One option of one command. */
export interface CommandOption {
  readonly name: string;
  readonly type: 'string' | 'boolean';
  readonly short?: string;
  readonly multiple?: boolean;
  /** What stands for the value in the help text. */
  readonly value?: string;
  readonly help: string;
}

/** Where a command writes and how it ends early. */
export interface Terminal {
  readonly stdout: NodeJS.WritableStream;
  readonly stderr: NodeJS.WritableStream & { readonly isTTY?: boolean };
  readonly env: NodeJS.ProcessEnv;
  /** Aborts at the first SIGINT or SIGTERM. */
  readonly signal: AbortSignal;
}

export interface Invocation {
  readonly options: Readonly<Record<string, string | boolean | readonly string[] | undefined>>;
  /** Arguments that are no options, those after `--` apart. */
  readonly operands: readonly string[];
  readonly rest: readonly string[];
  readonly terminal: Terminal;
}

export interface Command {
  readonly name: string;
  readonly summary: string;
  readonly usage: string;
  readonly options: readonly CommandOption[];
  /** The settings that are options of this command as well. */
  readonly settings?: SettingTable;
  /** Whether arguments after `--` are a command to run. */
  readonly takesCommand?: boolean;
  /** Whether the command takes signals itself, instead of being ended by them. */
  readonly takesSignals?: boolean;
  /** Lines under the options: what it exits with, an example. */
  readonly notes: readonly string[];
  /** Resolves with the exit code. */
  run(invocation: Invocation): Promise<number>;
}

const COMMON: readonly CommandOption[] = [
  { name: 'help', short: 'h', type: 'boolean', help: 'print this text' },
  {
    name: 'config',
    type: 'string',
    value: 'FILE',
    help: 'configuration file (JSON); default: config.json in the data folder, if it is there',
  },
];

function allOptions(command: Command): readonly CommandOption[] {
  const settings = Object.values(command.settings ?? {}).map(
    ({ name, unit, reason, fallback }): CommandOption => ({
      name: flagOf(name),
      type: 'string',
      value: unit === '' ? 'CHOICE' : unit.toUpperCase(),
      help: `${reason}${fallback === '' ? '' : ` (${fallback})`}`,
    }),
  );
  return [...command.options, ...settings, ...COMMON];
}

/** Takes a command's arguments apart; throws USAGE with what is wrong. */
export function parseInvocation(command: Command, argv: readonly string[], terminal: Terminal): Invocation {
  const cut = argv.indexOf('--');
  const own = cut < 0 ? argv : argv.slice(0, cut);
  const rest = cut < 0 ? [] : argv.slice(cut + 1);
  if (rest.length > 0 && command.takesCommand !== true) throw new LineproofError('USAGE', `${command.name} takes nothing after --`);
  const options = Object.fromEntries(
    allOptions(command).map(({ name, type, short, multiple }) => [
      name,
      { type, multiple: multiple ?? false, ...(short === undefined ? {} : { short }) },
    ]),
  );
  try {
    const { values, positionals } = parseArgs({ args: [...own], options, allowPositionals: true, strict: true });
    return { options: values as Invocation['options'], operands: positionals, rest, terminal };
  } catch (error) {
    const reason = error instanceof Error ? (error.message.split('. ')[0] ?? error.message) : String(error);
    throw new LineproofError('USAGE', `${reason}; see lineproof ${command.name} --help`);
  }
}

/** The help text of one command. */
export function commandHelp(command: Command): string {
  const rows = allOptions(command).map(
    ({ name, short, value, help }) =>
      [`${short === undefined ? '    ' : `-${short}, `}--${name}${value === undefined ? '' : ` ${value}`}`, help] as const,
  );
  const width = Math.min(34, Math.max(...rows.map(([left]) => left.length)));
  const lines = rows.map(([left, help]) =>
    left.length > width ? `  ${left}\n  ${' '.repeat(width)}  ${help}` : `  ${left.padEnd(width)}  ${help}`,
  );
  const notes = command.notes.length === 0 ? '' : `\n${command.notes.join('\n')}\n`;
  return `${command.summary}\n\nUsage: lineproof ${command.usage}\n\nOptions:\n${lines.join('\n')}\n${notes}`;
}

/** A string option's value. */
export function stringOption(invocation: Invocation, name: string): string | undefined {
  const value = invocation.options[name];
  return typeof value === 'string' ? value : undefined;
}

/** All values of an option that may be repeated. */
export function stringOptions(invocation: Invocation, name: string): readonly string[] {
  const value = invocation.options[name];
  return Array.isArray(value) ? value : [];
}
