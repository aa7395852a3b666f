import { parseArgs } from 'node:util';
import { LineproofError } from '../core/base/errors.ts';
import { wrapped } from '../core/base/terminal-text.ts';
import { flagOf, type SettingTable } from '../settings/setting.ts';

/** One option of one command. */
export interface CommandOption {
  readonly name: string;
  readonly type: 'string' | 'boolean';
  readonly short?: string;
  readonly multiple?: boolean;
  /** Whether the arguments that follow its value are values too: a shell makes a list of a pattern without quotes. */
  readonly takesList?: boolean;
  /** Placeholder for the value in the help text. */
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
  /** Arguments that are not options, without those after `--`. */
  readonly operands: readonly string[];
  readonly rest: readonly string[];
  readonly terminal: Terminal;
}

export interface Command {
  readonly name: string;
  readonly summary: string;
  /** The text after `lineproof` in the usage: one line for each form. */
  readonly usage: readonly string[];
  readonly options: readonly CommandOption[];
  /** The settings that are options of this command as well: those that it uses. */
  readonly settings?: SettingTable;
  /** Settings that it takes and does not use, so that one list of flags serves all services. Help does not list them. */
  readonly unusedSettings?: SettingTable;
  /** Whether arguments after `--` are a command to run. */
  readonly takesCommand?: boolean;
  /** Whether the command takes signals itself, instead of being ended by them. */
  readonly takesSignals?: boolean;
  /** Whether the command, with these options, does its whole work although the reader of its results has gone (`| head`). */
  readonly outlivesReader?: (options: Invocation['options']) => boolean;
  /** Whether these operands only list something, so that a reader may want the beginning only (`| head`): the command then ends with 0. */
  readonly lists?: (operands: readonly string[]) => boolean;
  /** Lines under the options: exit codes, an example. */
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
    help: 'configuration file (JSON); default: config.json in the data folder, if that is named or the embedded system uses it',
  },
];

function listedOptions({ options, settings }: Command): readonly CommandOption[] {
  return [...options, ...optionsOf(settings), ...COMMON];
}

function allOptions(command: Command): readonly CommandOption[] {
  return [...listedOptions(command), ...optionsOf(command.unusedSettings)];
}

function optionsOf(settings: SettingTable = {}): readonly CommandOption[] {
  return Object.values(settings).map(
    ({ name, unit, reason, fallback, type: { choices } }): CommandOption => ({
      name: flagOf(name),
      type: 'string',
      value: choices?.join('|') ?? unit.toUpperCase(),
      help: `${reason}${fallback === '' ? '' : ` (${fallback})`}`,
    }),
  );
}

/** Takes a command's arguments apart; throws USAGE, which names the fault. */
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
    const { values, tokens } = parseArgs({ args: [...own], options, allowPositionals: true, strict: true, tokens: true });
    refuseRepeated(tokens, options);
    const { operands, lists } = sorted(command, tokens);
    return { options: { ...(values as Invocation['options']), ...lists }, operands, rest, terminal };
  } catch (error) {
    const reason = error instanceof Error ? (error.message.split('. ')[0] ?? error.message) : String(error);
    throw new LineproofError('USAGE', `${reason}; see lineproof ${command.name} --help`);
  }
}

type Token = { readonly kind: string; readonly name?: string; readonly value?: string | undefined };

/** Throws if an option that takes one value is given twice: the later value would replace the earlier one in silence. */
function refuseRepeated(
  tokens: readonly Token[],
  options: Readonly<Record<string, { readonly type: string; readonly multiple: boolean }>>,
): void {
  const seen = new Set<string>();
  for (const { kind, name = '' } of tokens) {
    if (kind !== 'option' || options[name]?.type !== 'string' || options[name].multiple) continue;
    if (seen.has(name)) throw new Error(`--${name} is given twice and takes one value`);
    seen.add(name);
  }
}

/** Arguments that are not options, each given to the option that takes it in a list, if it follows one. */
function sorted(command: Command, tokens: readonly Token[]): { readonly operands: string[]; readonly lists: Record<string, string[]> } {
  const takers = new Set(command.options.flatMap(({ name, takesList }) => (takesList === true ? [name] : [])));
  const operands: string[] = [];
  const lists: Record<string, string[]> = {};
  const listOf = (name: string): string[] => {
    lists[name] ??= [];
    return lists[name];
  };
  let list = operands;
  for (const { kind, name = '', value = '' } of tokens) {
    if (kind === 'option') list = takers.has(name) ? listOf(name) : operands;
    if (kind === 'positional' || takers.has(name)) list.push(value);
  }
  return { operands, lists };
}

/** The part of a line of help that names an option. */
const LEFT_COLUMNS = 26;

/** How far a note that begins with a term and two spaces or more is indented. */
function hangOf(note: string): number {
  return /^\S+ {2,}/.exec(note)?.[0].length ?? 0;
}

function optionLines(left: string, help: string, width: number): string[] {
  const indent = width + 4;
  const first = `  ${left.padEnd(width)}  `;
  if (left.length <= width) return wrapped(`${first}${help}`, indent);
  return [`  ${left}`, ...wrapped(`${' '.repeat(indent)}${help}`, indent)];
}

/** The help text of one command, in lines of 80 columns. */
export function commandHelp(command: Command): string {
  const rows = listedOptions(command).map(
    ({ name, short, value, help }) =>
      [`${short === undefined ? '    ' : `-${short}, `}--${name}${value === undefined ? '' : ` ${value}`}`, help] as const,
  );
  const width = Math.min(LEFT_COLUMNS, Math.max(...rows.map(([left]) => left.length)));
  const lines = rows.flatMap(([left, help]) => optionLines(left, help, width));
  const notes = command.notes.length === 0 ? '' : `\n${command.notes.map((note) => wrapped(note, hangOf(note)).join('\n')).join('\n')}\n`;
  const usage = command.usage.map((form, i) => wrapped(`${i === 0 ? 'Usage:' : '      '} lineproof ${form}`, 9).join('\n')).join('\n');
  return `${wrapped(command.summary).join('\n')}\n\n${usage}\n\nOptions:\n${lines.join('\n')}\n${notes}`;
}

const EXIT_CODES =
  'Exit codes: 0 ok, 1 findings, 2 usage, 70 bug, 74 input/output, 78 configuration; of a verdict also 3 not checked, 4 unproven, 5 open.';

/** The text of `lineproof --help`, in lines of 80 columns. */
export function overviewHelp(commands: readonly Pick<Command, 'name' | 'summary'>[]): string {
  const width = Math.max(...commands.map(({ name }) => name.length));
  const rows = commands.flatMap(({ name, summary }) => optionLines(name, summary, width));
  return `Lineproof: provenance that a stranger can check.

Usage: lineproof COMMAND [OPTIONS]

Commands:
${rows.join('\n')}

lineproof COMMAND --help lists the options of a command.
Results go to stdout, messages to stderr.
${wrapped(EXIT_CODES, 'Exit codes: '.length).join('\n')}
`;
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
