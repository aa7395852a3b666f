import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';

const running = new Set<ChildProcess>();

/** Starts a Node process that {@link endChildren} ends, should it come to that. */
export function startNode(args: readonly string[], options: SpawnOptions): ChildProcess {
  const child = spawn(process.execPath, [...args], options);
  running.add(child);
  // Not close: it does not come from a child whose channel was cut.
  child.once('exit', () => running.delete(child));
  child.once('error', () => running.delete(child));
  return child;
}

/** What a process that came to its end says. */
export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a Node process to its end. */
export function runNode(args: readonly string[], options: SpawnOptions): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = startNode(args, options);
    const said = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const)
      child[name]?.on('data', (chunk) => {
        said[name] += chunk;
      });
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, ...said }));
  });
}

/** Ends one process as an operator does, and resolves when it is gone. */
export async function endChild(child: ChildProcess): Promise<void> {
  if (!running.has(child)) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await ended;
}

/** Ends all that still runs. A stack that is being started takes down what it started when it is asked to end. */
export async function endChildren(): Promise<void> {
  await Promise.all([...running].map(endChild));
}
