import { type ChildProcess, spawn } from 'node:child_process';
import { stat } from 'node:fs/promises';
import { constants, hostname } from 'node:os';
import { basename, resolve } from 'node:path';
import { randomBytes } from '#crypto';
import { LineproofError } from '../core/base/errors.ts';
import type { DataRef, Event } from '../core/formats/event.ts';
import { newEventId } from '../core/formats/identity.ts';
import { eventParts, sortedAttributes } from './event-parts.ts';
import type { EventSink } from './event-sink.ts';
import { type FoundFile, hashFile, MAX_FILES, safeName, walk } from './files.ts';

export interface RunOptions {
  readonly command: readonly [string, ...string[]];
  /** Folder in which the command runs and files are looked for. */
  readonly folder: string;
  /** Patterns relative to the folder: `*`, `?` within a name, `**` across folders. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Folder whose files are never read: the data folder of the system that records. */
  readonly except?: string;
  /** Record the arguments in clear. They can hold secrets, and a recorded event stays; so the caller must decide. */
  readonly withArguments?: boolean;
  /** The command's environment; only names are recorded. */
  readonly env: NodeJS.ProcessEnv;
}

export interface RunResult {
  /** The command's own; 128 + n after signal n, 127 when it is not there, 126 when it could not be started. */
  readonly exitCode: number;
  readonly started: boolean;
  /** Stream of the event. */
  readonly stream: string;
  /** Undefined where nothing was recorded. */
  readonly event: Uint8Array | undefined;
  /** Why nothing was recorded, or why the command could not be started. */
  readonly failure: unknown;
}

/** Files that changed while the command ran without being declared. */
const MAX_UNDECLARED = 10_000;
/** Linux stamps files with the time of its last tick, which may be this long before the command's start. */
const TICK_MS = 10;
const MAX_TEXT_BYTES = 16_384;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const;
/** Signals that the terminal sends to the command too, because it is in the same group: if we passed them on, they would come twice. */
const OF_THE_TERMINAL: ReadonlySet<string> = new Set(['SIGINT', 'SIGQUIT']);

/**
 * Runs a command with this process's input and output, and records the files that it read and wrote as a TRANSFORM event. Never throws: the exit code is
 * the command's, even if the recording fails. `open` gives the sink when the command has ended. Signals go to the command; a signal that comes
 * after its end ends the recording.
 */
export async function runCommand(open: () => Promise<EventSink>, options: RunOptions): Promise<RunResult> {
  const signals = new Signals();
  try {
    const folder = resolve(options.folder);
    const stream = `run/${safeName(basename(options.command[0]))}`;
    const inputs = await attempt(() => declaredInputs(folder, options));
    const startedAt = Date.now();
    const { exitCode, fault } = await execute(options, folder, signals);
    if (fault !== undefined) return { exitCode, started: false, stream, event: undefined, failure: fault };
    const durationMs = Date.now() - startedAt;
    const recorded = await attempt(() =>
      Promise.race([
        signals.interrupted,
        (async () => {
          if ('failure' in inputs) throw inputs.failure;
          const outputs = await changedFiles(folder, options, startedAt);
          const events = runEvents(options, { inputs: inputs.value, outputs, startedAt, durationMs, exitCode });
          const sink = await open();
          await Promise.all(events.map((event) => sink.recordDurably(event)));
          return events[0]?.id;
        })(),
      ]),
    );
    return {
      exitCode,
      started: true,
      stream,
      event: 'failure' in recorded ? undefined : recorded.value,
      failure: 'failure' in recorded ? recorded.failure : undefined,
    };
  } finally {
    signals.close();
  }
}

async function attempt<T>(work: () => Promise<T>): Promise<{ readonly value: T } | { readonly failure: unknown }> {
  try {
    return { value: await work() };
  } catch (failure) {
    return { failure };
  }
}

/** Takes the signals of this process: to the command while there is one, else to end the recording. */
class Signals {
  /** Rejects at the first signal that comes when there is no command. */
  readonly interrupted: Promise<never>;
  #child: ChildProcess | undefined;
  #interrupt: (error: Error) => void = () => undefined;
  readonly #take = (signal: NodeJS.Signals): void => {
    if (this.#child === undefined)
      this.#interrupt(new LineproofError('CLOSED', `cannot record the run: ${signal} came while it was being recorded`));
    else if (!(process.stdin.isTTY && OF_THE_TERMINAL.has(signal))) this.#child.kill(signal);
  };

  constructor() {
    this.interrupted = new Promise((_, reject) => {
      this.#interrupt = reject;
    });
    this.interrupted.catch(() => undefined);
    for (const signal of SIGNALS) process.on(signal, this.#take);
  }

  passTo(child: ChildProcess | undefined): void {
    this.#child = child;
  }

  close(): void {
    for (const signal of SIGNALS) process.off(signal, this.#take);
  }
}

function execute(
  { command: [program, ...args], env }: RunOptions,
  cwd: string,
  signals: Signals,
): Promise<{ readonly exitCode: number; readonly fault: unknown }> {
  return new Promise((done) => {
    const end = (exitCode: number, fault?: unknown): void => {
      signals.passTo(undefined);
      done({ exitCode, fault });
    };
    const refused = (error: unknown): void => {
      const { code, message } = error as NodeJS.ErrnoException;
      const fact = code === 'ENOENT' ? 'there is no such program' : message;
      end(code === 'ENOENT' ? 127 : 126, new LineproofError('NOT_FOUND', `cannot run ${JSON.stringify(program)}: ${fact}`, {}, error));
    };
    try {
      const child = spawn(program, args, { cwd, env, stdio: 'inherit' });
      signals.passTo(child);
      child.on('error', refused);
      child.on('exit', (code, signal) => end(code ?? 128 + (signal === null ? 0 : constants.signals[signal])));
    } catch (error) {
      // Some refusals of the system come at once: too many bytes of arguments.
      refused(error);
    }
  });
}

async function declaredInputs(folder: string, { inputs, except }: RunOptions): Promise<DataRef[]> {
  const matches = inputs.map(globMatcher);
  const refs: DataRef[] = [];
  if (matches.length === 0) return refs;
  for await (const file of walk(folder, except))
    if (refs.length < MAX_FILES && matches.some((match) => match(file.name))) await addFile(refs, file);
  return refs;
}

/** Declared outputs, and files that changed while the command ran. */
async function changedFiles(folder: string, { outputs, except }: RunOptions, startedAt: number): Promise<DataRef[]> {
  const matches = outputs.map(globMatcher);
  const refs: DataRef[] = [];
  let undeclared = 0;
  for await (const file of walk(folder, except)) {
    const isDeclared = matches.some((match) => match(file.name));
    if (!isDeclared && (undeclared >= MAX_UNDECLARED || !(await changedSince(file, startedAt - TICK_MS)))) continue;
    if (!isDeclared) undeclared++;
    if (refs.length < MAX_FILES) await addFile(refs, file);
  }
  return refs;
}

async function changedSince({ path }: FoundFile, ms: number): Promise<boolean> {
  const there = await stat(path).catch(() => undefined);
  return there !== undefined && Math.max(there.mtimeMs, there.ctimeMs) >= ms;
}

async function addFile(refs: DataRef[], { name, path }: FoundFile): Promise<void> {
  const ref = await hashFile('file', name, path);
  if (ref !== undefined) refs.push(ref);
}

function runEvents(
  { command, withArguments, env }: RunOptions,
  run: {
    readonly inputs: DataRef[];
    readonly outputs: DataRef[];
    readonly startedAt: number;
    readonly durationMs: number;
    readonly exitCode: number;
  },
): Event[] {
  const name = safeName(basename(command[0]));
  const attributes = new Map([
    ['run.command', name],
    ['run.durationMs', String(run.durationMs)],
    ['run.environmentNames', cut(Object.keys(env).toSorted().join(' '))],
    ['run.exitCode', String(run.exitCode)],
  ]);
  if (withArguments === true) attributes.set('run.arguments', cut(JSON.stringify(command.slice(1))));
  const newId = (): Uint8Array => newEventId(run.startedAt * 1000, randomBytes(10));
  return eventParts(
    {
      id: newId(),
      stream: `run/${name}`,
      type: 'TRANSFORM',
      importance: 'ESSENTIAL',
      occurredAt: run.startedAt * 1000,
      actor: { id: hostname(), kind: 'JOB', onBehalfOf: null },
      activity: { name, runId: null, version: null, environment: null },
      parents: [],
      trace: null,
      attributes: sortedAttributes(attributes),
      facets: [],
    },
    { inputs: run.inputs, outputs: run.outputs, partId: newId },
  );
}

/** The beginning of a text, in whole characters and within the bytes that one attribute may take here. */
function cut(text: string): string {
  if (Buffer.byteLength(text) <= MAX_TEXT_BYTES) return text;
  return `${Buffer.from(text)
    .subarray(0, MAX_TEXT_BYTES)
    .toString('utf8')
    .replace(/\ufffd$/, '')}…`;
}

/** Whether a path relative to the folder fits: `*` and `?` stay within a name, `**` spans folders, all other characters are literal. */
export function globMatcher(pattern: string): (path: string) => boolean {
  const source = pattern
    .replace(/^\.\//, '')
    .replaceAll(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll(/\*\*\/|\*\*|\*|\?/g, (wild) => ({ '**/': '(?:[^/]+/)*', '**': '.*', '*': '[^/]*', '?': '[^/]' })[wild] as string);
  const expression = new RegExp(`^${source}$`, 's');
  return (path) => expression.test(path);
}
