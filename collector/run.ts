import { spawn } from 'node:child_process';
import { stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { randomBytes } from '#crypto';
import { compare, utf8 } from '../core/bytes.ts';
import type { DataRef, Event } from '../core/event.ts';
import { newEventId } from '../core/identity.ts';
import { type EventSink, hashFile, walk } from './git.ts';

export interface RunOptions {
  readonly command: readonly [string, ...string[]];
  /** Folder in which the command runs and files are looked for. */
  readonly folder: string;
  /** Patterns relative to the folder: `*`, `?` within a name, `**` across folders. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Default `run/<command>`. */
  readonly stream?: string;
  /** The command's environment; only names are recorded. */
  readonly env: NodeJS.ProcessEnv;
}

export interface RunResult {
  /** The command's own; 128 + n after signal n, 127 when it could not be started. */
  readonly exitCode: number;
  readonly event: Uint8Array | undefined;
  /** Why nothing was recorded. */
  readonly failure: unknown;
}

const MAX_OUTPUTS = 10_000;
/** Refs of one event, so that it stays below the limit of 256 KiB. */
const MAX_REFS = 1000;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const;
const SIGNAL_NUMBERS: Readonly<Record<string, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGABRT: 6,
  SIGKILL: 9,
  SIGSEGV: 11,
  SIGTERM: 15,
};

/** Runs a command with this process's own input and output and records what it read and wrote as one TRANSFORM event. Never throws: the exit code is the command's, whatever happens to the recording. `open` gives the sink when the command has ended. */
export async function runCommand(open: () => Promise<EventSink>, options: RunOptions): Promise<RunResult> {
  const folder = resolve(options.folder);
  let failure: unknown;
  const attempt = async <T>(work: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await work();
    } catch (error) {
      failure ??= error;
      return undefined;
    }
  };
  const inputs = (await attempt(() => declared(folder, options.inputs))) ?? [];
  const startedAt = Date.now();
  const { exitCode, fault } = await execute(options.command, folder, options.env);
  const durationMs = Date.now() - startedAt;
  const event = await attempt(async () => {
    const outputs = await changed(folder, options, startedAt);
    const made = runEvent(options, { inputs, outputs, startedAt, durationMs, exitCode });
    await (await open()).recordDurably(made);
    return made.id;
  });
  return { exitCode, event, failure: fault ?? failure };
}

function execute(
  [program, ...args]: readonly [string, ...string[]],
  cwd: string,
  env: NodeJS.ProcessEnv,
): Promise<{ readonly exitCode: number; readonly fault: unknown }> {
  return new Promise((done) => {
    const child = spawn(program, args, { cwd, env, stdio: 'inherit' });
    const forward = (signal: NodeJS.Signals): void => void child.kill(signal);
    for (const signal of SIGNALS) process.on(signal, forward);
    const end = (exitCode: number, fault?: unknown): void => {
      for (const signal of SIGNALS) process.off(signal, forward);
      done({ exitCode, fault });
    };
    child.on('error', (error: NodeJS.ErrnoException) => end(error.code === 'EACCES' ? 126 : 127, error));
    child.on('exit', (code, signal) => end(code ?? 128 + (SIGNAL_NUMBERS[signal ?? ''] ?? 0)));
  });
}

async function declared(folder: string, patterns: readonly string[]): Promise<DataRef[]> {
  const matches = patterns.map(globMatcher);
  const refs: DataRef[] = [];
  if (matches.length === 0) return refs;
  for await (const path of walk(folder, '')) {
    if (!matches.some((match) => match(path))) continue;
    const ref = await hashFile('file', path, join(folder, path));
    if (ref !== undefined) refs.push(ref);
  }
  return refs;
}

/** Declared outputs, and files that changed while the command ran. */
async function changed(folder: string, { outputs }: RunOptions, startedAt: number): Promise<DataRef[]> {
  const matches = outputs.map(globMatcher);
  const refs: DataRef[] = [];
  for await (const path of walk(folder, '')) {
    if (refs.length >= MAX_OUTPUTS) break;
    const there = await stat(join(folder, path)).catch(() => undefined);
    // Some file systems keep whole milliseconds only.
    if (!matches.some((match) => match(path)) && (there === undefined || Math.max(there.mtimeMs, there.ctimeMs) < startedAt - 1)) continue;
    const ref = await hashFile('file', path, join(folder, path));
    if (ref !== undefined) refs.push(ref);
  }
  return refs;
}

function runEvent(
  { command, stream, env }: RunOptions,
  run: {
    readonly inputs: DataRef[];
    readonly outputs: DataRef[];
    readonly startedAt: number;
    readonly durationMs: number;
    readonly exitCode: number;
  },
): Event {
  const name = basename(command[0]);
  const left = Math.max(0, run.inputs.length - MAX_REFS) + Math.max(0, run.outputs.length - MAX_REFS);
  const attributes: Record<string, string> = {
    'run.command': name,
    'run.durationMs': String(run.durationMs),
    'run.environmentNames': Object.keys(env).toSorted().join(' ').slice(0, 16_384),
    'run.exitCode': String(run.exitCode),
  };
  if (left > 0) attributes['run.filesNotListed'] = String(left);
  return {
    id: newEventId(run.startedAt * 1000, randomBytes(10)),
    stream: (stream ?? `run/${name}`).slice(0, 80),
    type: 'TRANSFORM',
    importance: 'ESSENTIAL',
    occurredAt: run.startedAt * 1000,
    actor: { id: hostname(), kind: 'JOB', onBehalfOf: null },
    activity: { name, runId: null, version: null, environment: null },
    inputs: run.inputs.slice(0, MAX_REFS),
    outputs: run.outputs.slice(0, MAX_REFS),
    parents: [],
    trace: null,
    attributes: Object.entries(attributes)
      .map(([key, value]) => ({ key, value }))
      .toSorted((a, b) => compare(utf8(a.key), utf8(b.key))),
    facets: [],
  };
}

/** Whether a path relative to the folder fits: `*` and `?` stay within a name, `**` spans folders, everything else is meant as it stands. */
export function globMatcher(pattern: string): (path: string) => boolean {
  const source = pattern
    .replace(/^\.\//, '')
    .replaceAll(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll(/\*\*\/|\*\*|\*|\?/g, (wild) => ({ '**/': '(?:[^/]+/)*', '**': '.*', '*': '[^/]*', '?': '[^/]' })[wild] as string);
  const expression = new RegExp(`^${source}$`, 's');
  return (path) => expression.test(path);
}
