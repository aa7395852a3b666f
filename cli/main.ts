#!/usr/bin/env node
import { writeSync } from 'node:fs';
import { LineproofError } from '../core/base/errors.ts';
import { printableLines } from '../core/base/terminal-text.ts';
import { productVersion } from '../platform/product-version.ts';
import { folderGone, isFolderGone } from '../platform/working-folder.ts';
import { type Command, commandHelp, overviewHelp, parseInvocation, type Terminal } from './command.ts';
import { EXIT, exitCodeOf } from './exit-codes.ts';

/** Each command is loaded when it is called: clients of servers take longer to load than most commands to run. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  start: async () => (await import('./start-command.ts')).startCommand,
  collect: async () => (await import('./collect-command.ts')).collectCommand,
  run: async () => (await import('./run-command.ts')).runCommand,
  emit: async () => (await import('./emit-command.ts')).emitCommand,
  verify: async () => (await import('./verify-command.ts')).verifyCommand,
  prove: async () => (await import('./prove-command.ts')).proveCommand,
  check: async () => (await import('./check-command.ts')).checkCommand,
  query: async () => (await import('./query-command.ts')).queryCommand,
  chain: async () => (await import('./chain-command.ts')).chainCommand,
  archive: async () => (await import('./archive-command.ts')).archiveCommand,
  witness: async () => (await import('./witness-command.ts')).witnessCommand,
  topics: async () => (await import('./topics-command.ts')).topicsCommand,
  policy: async () => (await import('./policy-command.ts')).policyCommand,
  rejected: async () => (await import('./rejected-command.ts')).rejectedCommand,
  doctor: async () => (await import('./doctor-command.ts')).doctorCommand,
  status: async () => (await import('./status-command.ts')).statusCommand,
  config: async () => (await import('./config-command.ts')).configCommand,
};

async function commandOf(name: string): Promise<Command> {
  const load = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (load === undefined) throw new LineproofError('USAGE', `there is no command ${JSON.stringify(name)}; lineproof --help lists them`);
  return load();
}

async function overview(): Promise<string> {
  return overviewHelp(await Promise.all(Object.values(COMMANDS).map((load) => load())));
}

async function main(argv: readonly string[], terminal: Terminal): Promise<number> {
  const [name, ...args] = argv;
  if (name === undefined || name === 'help' || name === '--help' || name === '-h') return help(args[0], terminal);
  if (name === '--version' || name === 'version') return print(terminal, `${productVersion()}\n`);
  const command = await commandOf(name);
  const invocation = parseInvocation(command, args, terminal);
  if (invocation.options['help'] === true) return print(terminal, commandHelp(command));
  if (command.takesSignals !== true) stopOnSignals();
  reader.isNeeded = command.outlivesReader?.(invocation.options) !== true;
  reader.isBrowsing = command.lists?.(invocation.operands) === true;
  return command.run(invocation);
}

/** The first SIGINT or SIGTERM asks the command to end, the second ends it. */
function stopOnSignals(): void {
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.once(name, () => {
      stop.abort();
      process.once(name, () => process.exit(130));
    });
  }
}

async function help(name: string | undefined, terminal: Terminal): Promise<number> {
  return print(terminal, name === undefined ? await overview() : commandHelp(await commandOf(name)));
}

/** Prints a text about the program itself. */
function print(terminal: Terminal, text: string): number {
  reader.isBrowsing = true;
  terminal.stdout.write(text);
  return EXIT.ok;
}

/** The message of a failed command: one sentence, or for a bug everything that helps to find it. */
function report(error: unknown): string {
  if (error instanceof LineproofError) {
    const isNew = error.cause instanceof Error && !error.message.includes(error.cause.message);
    const cause = isNew ? `\n  cause: ${(error.cause as Error).message}` : '';
    return `${printableLines(`lineproof: ${error.message} [${error.code}]${cause}`)}\n`;
  }
  return `lineproof: this is a bug, please report it\n${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`;
}

async function flushed(stream: NodeJS.WriteStream): Promise<void> {
  if (stream.writableLength > 0) await new Promise<void>((resolve) => stream.write('', () => resolve()));
}

const stop = new AbortController();
// If the reader of stderr has gone, that must change neither the command's work nor its exit code.
process.stderr.on('error', () => undefined);
/** Whether a reader that goes away ends the command; and whether it may want the beginning of the output only. */
const reader = { isNeeded: true, isBrowsing: false };
// A reader that went away (`lineproof query | head`) ends a command that lists, quietly. It does not end a command whose work is more than what it prints. Of all others a result is lost: a verdict that nobody read is not OK.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE' && !reader.isNeeded) return;
  if (error.code === 'EPIPE' && reader.isBrowsing) process.exit(EXIT.ok);
  try {
    // Synchronous: the process ends here, before the exit code of the command itself is set.
    writeSync(2, `lineproof: cannot write the result: ${error.code ?? error.message} [IO_FAILED]\n`);
  } catch {
    // Nobody reads messages either.
  }
  process.exit(EXIT.io);
});

let code: number;
try {
  code = await main(process.argv.slice(2), { stdout: process.stdout, stderr: process.stderr, env: process.env, signal: stop.signal });
} catch (thrown) {
  const error = isFolderGone(thrown) ? folderGone() : thrown;
  process.stderr.write(report(error));
  code = exitCodeOf(error);
}
process.exitCode = code;
// Output that a slow reader has not taken yet would be lost, even if it is too little to ask for a drain.
await Promise.all([process.stdout, process.stderr].map(flushed));
// An error of the last write is told after it.
await new Promise((resolve) => setImmediate(resolve));
process.exit();
