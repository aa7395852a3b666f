import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';

/** Where a process of this machine can live, seen from another one. */
export const PLACES = ['here', 'another PID namespace', 'a PID namespace with the /proc of another', 'hidden /proc', 'both'] as const;
export type Place = (typeof PLACES)[number];

const HIDE = 'mount -t tmpfs none /proc && exec "$0" "$@"';
const AS_ROOT = process.getuid?.() === 0 ? [] : ['--map-root-user'];
const PID = ['--pid', '--fork', '--kill-child'];

/** The program and arguments that run `argv` at a place. Fails by name where this machine does not permit it. */
export function at(place: Place, argv: readonly [string, ...string[]]): [string, ...string[]] {
  const flags = {
    here: undefined,
    'another PID namespace': [...PID, '--mount-proc'],
    'a PID namespace with the /proc of another': PID,
    'hidden /proc': ['--mount'],
    both: [...PID, '--mount'],
  }[place];
  if (flags === undefined) return [...argv];
  const hide = place === 'hidden /proc' || place === 'both' ? ['sh', '-c', HIDE] : [];
  return ['unshare', ...AS_ROOT, ...flags, ...hide, ...argv];
}

/** The command that runs a program in separate mounts, which the shell's `script` makes before it ends in `exec "$0" "$@"`. */
export function mounted(script: string): [string, ...string[]] {
  return ['unshare', ...AS_ROOT, '--mount', 'sh', '-c', script];
}

/** A process at a place that is told one line at a time and answers each with one. */
export interface Told {
  readonly child: ChildProcess;
  ask(line: string): Promise<string>;
  /** Sends a signal to the process itself, not to what started it there. */
  signal(signal: NodeJS.Signals): void;
  /** Ends it with −9; resolves when it is gone. */
  kill(): Promise<void>;
}

/** Starts a process that answers lines; `env` comes on top of this process's environment. */
export function tell(place: Place, argv: readonly [string, ...string[]], env: NodeJS.ProcessEnv = {}): Told {
  return start(at(place, argv), place.includes('PID') || place === 'both', env);
}

/** As {@link tell}, in the PID namespace of a process that was told to another one, with the /proc of this process. */
export function enterNamespaceOf(told: Told, argv: readonly [string, ...string[]], env: NodeJS.ProcessEnv = {}): Told {
  return start(['nsenter', `--pid=/proc/${childOf(told.child.pid as number)}/ns/pid`, ...argv], true, env);
}

/** `forks`: the program runs the process as its child. */
function start([program, ...args]: readonly [string, ...string[]], forks: boolean, env: NodeJS.ProcessEnv): Told {
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, ...env } });
  let waiting: { answer(line: string): void; fail(error: Error): void } | undefined;
  let ended = false;
  let buffered = '';
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  child.stdin.on('error', () => undefined);
  child.stdout.on('data', (chunk: Buffer) => {
    buffered += chunk.toString();
    const end = buffered.indexOf('\n');
    if (end < 0) return;
    waiting?.answer(buffered.slice(0, end));
    buffered = buffered.slice(end + 1);
  });
  const closed = once(child, 'close');
  const failure = (): Error => new Error(`${program} ${args.join(' ')} ended with ${child.exitCode}: ${said}`);
  child.on('close', () => {
    ended = true;
    waiting?.fail(failure());
  });
  const signal = (name: NodeJS.Signals): void => void process.kill(forks ? childOf(child.pid as number) : (child.pid as number), name);
  return {
    child,
    ask: (line) =>
      new Promise((answer, fail) => {
        if (ended) fail(failure());
        waiting = { answer, fail };
        child.stdin.write(`${line}\n`);
      }),
    signal,
    kill: async () => {
      waiting = undefined;
      if (ended) return;
      signal('SIGKILL');
      await closed;
    },
  };
}

/** The only child of a process: what `unshare --fork` runs. */
function childOf(pid: number): number {
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, 'latin1');
      if (Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === pid) return Number(entry);
    } catch {
      // It ended while we looked.
    }
  }
  throw new Error(`process ${pid} has no child`);
}
