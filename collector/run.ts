import { spawn } from 'node:child_process';
import { realpath } from 'node:fs/promises';
import { constants } from 'node:os';
import { resolve } from 'node:path';
import { LineproofError } from '../core/base/errors.ts';
import { folderGone } from '../platform/working-folder.ts';
import type { EventSink } from './event-sink.ts';
import { runGit } from './git/process.ts';
import { describeFiles, noFiles, type RunRecord, runEvents, runStream } from './run-events.ts';
import { type FilesBefore, filesAfter, filesBefore, newObservations, type Observations } from './run-files.ts';
import type { SearchPlace } from './run-patterns.ts';
import { RunSignals } from './run-signals.ts';

export interface RunOptions {
  readonly command: readonly [string, ...string[]];
  /** Folder in which the command runs and files are looked for. If it was deleted, undefined: then the command runs there, and is not recorded. */
  readonly folder: string | undefined;
  /** Patterns, as `filesOf` reads them. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Folder whose files are never read: the data folder of the system that records. */
  readonly except?: string;
  /** Record the arguments in clear. They can hold secrets, and a recorded event stays; so the caller must decide. */
  readonly withArguments?: boolean;
  /** The command's environment; only names are recorded. */
  readonly env: NodeJS.ProcessEnv;
}

/** Where the event goes, opened when the command has ended. */
export interface RunSink {
  readonly sink: EventSink;
  /** Who runs the command, as it may be recorded. */
  readonly user?: string;
}

export interface RunResult {
  /** The command's own; 128 + n after signal n, 127 when it is not there, 126 when it could not be started. */
  readonly exitCode: number;
  readonly stream: string;
  /** Id of the event; undefined where nothing was recorded. */
  readonly event: Uint8Array | undefined;
  /** Why the command could not be started. */
  readonly fault: unknown;
  /** Why nothing was recorded. */
  readonly failure: unknown;
  /** Sentences about files that could not be recorded as one would expect. */
  readonly notes: readonly string[];
}

/** How a command ended. */
interface Ending {
  readonly exitCode: number;
  readonly signal?: string;
  readonly fault?: LineproofError;
}

/** What is known before the command starts. */
interface Prepared {
  readonly place: SearchPlace;
  readonly files: FilesBefore;
  readonly gitCommit: string | undefined;
}

/**
 * Runs a command with this process's input and output, and records the files that it read and wrote as a TRANSFORM event, also if it could not be started.
 * Never throws: the exit code is the command's, even if the recording fails. A signal before the command has started prevents it; later ones go to
 * the command; a signal that comes after its end ends the recording.
 */
export async function runCommand(open: () => Promise<RunSink>, options: RunOptions): Promise<RunResult> {
  const signals = new RunSignals();
  const seen = newObservations();
  const stream = runStream(options.command);
  try {
    const prepared = await Promise.race([signals.prevented, attempt(() => prepare(options, seen))]);
    if (typeof prepared === 'string' || signals.first !== undefined)
      return { ...preventedBy(options.command[0], signals.first), stream, event: undefined, failure: undefined, notes: [] };
    const startedAt = Date.now();
    const ending = await execute(options, signals);
    const durationMs = Date.now() - startedAt;
    const recorded = await attempt(() =>
      Promise.race([
        signals.interrupted,
        (async () => {
          if ('failure' in prepared) throw prepared.failure;
          return recordRun(open, options, { prepared: prepared.value, seen, ending, startedAt, durationMs });
        })(),
      ]),
    );
    const shared = { exitCode: ending.exitCode, fault: ending.fault, stream };
    if ('failure' in recorded) return { ...shared, event: undefined, failure: recorded.failure, notes: [] };
    return { ...shared, ...recorded.value, failure: undefined };
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

/** Both as real paths, so that they can be compared with what is found. */
async function placeOf({ folder, except }: RunOptions): Promise<SearchPlace> {
  if (folder === undefined) throw folderGone();
  const real = (path: string): Promise<string> => realpath(resolve(folder, path)).catch(() => resolve(folder, path));
  return { folder: await real('.'), except: except === undefined ? undefined : await real(except) };
}

async function prepare(options: RunOptions, seen: Observations): Promise<Prepared> {
  const place = await placeOf(options);
  const [files, gitCommit] = await Promise.all([filesBefore(options, place, seen), commitOf(place.folder)]);
  return { place, files, gitCommit };
}

/** The commit that HEAD names in the folder's repository; the files can differ from it. */
async function commitOf(folder: string): Promise<string | undefined> {
  const { code, stdout } = await runGit(folder, ['rev-parse', '--verify', '--quiet', 'HEAD^{commit}']);
  const commit = stdout.toString('latin1').trim();
  return code === 0 && /^[0-9a-f]{40,64}$/.test(commit) ? commit : undefined;
}

function preventedBy(program: string, signal: NodeJS.Signals | undefined): Pick<RunResult, 'exitCode' | 'fault'> {
  const exitCode = 128 + (signal === undefined ? 0 : constants.signals[signal]);
  return { exitCode, fault: new LineproofError('CLOSED', `cannot run ${JSON.stringify(program)}: ${signal} came before it was started`) };
}

function execute({ command: [program, ...args], folder: cwd, env }: RunOptions, signals: RunSignals): Promise<Ending> {
  return new Promise((done) => {
    const end = (ending: Ending): void => {
      signals.ended();
      done(ending);
    };
    const refused = (error: unknown): void => {
      const { code, message } = error as NodeJS.ErrnoException;
      const fact = code === 'ENOENT' ? 'there is no such program' : message;
      const fault = new LineproofError('NOT_FOUND', `cannot run ${JSON.stringify(program)}: ${fact}`, {}, error);
      end({ exitCode: code === 'ENOENT' ? 127 : 126, fault });
    };
    try {
      const child = spawn(program, args, { ...(cwd === undefined ? {} : { cwd }), env, stdio: 'inherit' });
      signals.passTo(child);
      child.on('error', refused);
      child.on('exit', (code, signal) =>
        end(signal === null ? { exitCode: code ?? 0 } : { exitCode: code ?? 128 + constants.signals[signal], signal }),
      );
    } catch (error) {
      // Some refusals of the system come at once: too many bytes of arguments.
      refused(error);
    }
  });
}

async function recordRun(
  open: () => Promise<RunSink>,
  options: RunOptions,
  run: {
    readonly prepared: Prepared;
    readonly seen: Observations;
    readonly ending: Ending;
    readonly startedAt: number;
    readonly durationMs: number;
  },
): Promise<Pick<RunResult, 'event' | 'notes'>> {
  const { prepared, seen, ending, startedAt, durationMs } = run;
  const { place, files: before } = prepared;
  const outputs = ending.fault === undefined ? await filesAfter(options, place, { before, startedAt, seen }) : noFiles();
  const { sink, user } = await open();
  const record: RunRecord = {
    command: options.command,
    folder: place.folder,
    withArguments: options.withArguments === true,
    environment: Object.keys(options.env),
    user,
    gitCommit: prepared.gitCommit,
    startedAt,
    durationMs,
    exitCode: ending.exitCode,
    signal: ending.signal,
    fault: ending.fault?.message,
    inputs: before.inputs,
    outputs,
    seen,
  };
  const events = runEvents(record);
  await Promise.all(events.map((event) => sink.recordDurably(event)));
  return { event: events[0]?.id, notes: describeFiles(record) };
}
