import type { ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { LineproofError } from '../core/base/errors.ts';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const;
/** Signals that a terminal sends to all processes of its foreground group, and so to the command too. */
const OF_THE_TERMINAL: ReadonlySet<string> = new Set(['SIGINT', 'SIGQUIT']);
/** Fields of /proc/PID/stat behind the name: proc_pid_stat(5) counts them from 3. */
const GROUP = 2;
const TERMINAL = 4;
const FOREGROUND_GROUP = 5;

/** Takes the signals of this process: before the command they prevent it, while it runs they go to it, and then they end the recording. */
export class RunSignals {
  /** Rejects at the first signal after the command has ended. */
  readonly interrupted: Promise<never>;
  /** Resolves at the first signal before the command has started. */
  readonly prevented: Promise<NodeJS.Signals>;
  #phase: 'before' | 'running' | 'after' = 'before';
  #child: ChildProcess | undefined;
  #first: NodeJS.Signals | undefined;
  #interrupt: (error: Error) => void = () => undefined;
  #prevent: (signal: NodeJS.Signals) => void = () => undefined;
  readonly #take = (signal: NodeJS.Signals): void => {
    if (this.#phase === 'before') {
      this.#first ??= signal;
      this.#prevent(signal);
    } else if (this.#phase === 'after')
      this.#interrupt(new LineproofError('CLOSED', `cannot record the run: ${signal} came while it was being recorded`));
    // The command has it from the terminal already.
    else if (!(OF_THE_TERMINAL.has(signal) && isInForeground())) this.#child?.kill(signal);
  };

  constructor() {
    this.interrupted = new Promise((_, reject) => {
      this.#interrupt = reject;
    });
    this.interrupted.catch(() => undefined);
    this.prevented = new Promise((resolve) => {
      this.#prevent = resolve;
    });
    for (const signal of SIGNALS) process.on(signal, this.#take);
  }

  /** The signal that came before the command started. */
  get first(): NodeJS.Signals | undefined {
    return this.#first;
  }

  passTo(child: ChildProcess): void {
    this.#phase = 'running';
    this.#child = child;
  }

  ended(): void {
    this.#phase = 'after';
    this.#child = undefined;
  }

  close(): void {
    for (const signal of SIGNALS) process.off(signal, this.#take);
  }
}

/** Whether this process is in the foreground of a terminal, also if its own input comes from elsewhere. */
function isInForeground(): boolean {
  try {
    const line = readFileSync('/proc/self/stat', 'latin1');
    const fields = line.slice(line.lastIndexOf(')') + 2).split(' ');
    return fields[TERMINAL] !== '0' && fields[GROUP] === fields[FOREGROUND_GROUP];
  } catch {
    return process.stdin.isTTY;
  }
}
