import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { LineproofError } from '../core/base/errors.ts';
import type { MetricName } from '../core/base/metric-names.ts';
import { endChild, runNode, startNode } from './children.ts';
import { PROJECT } from './local-stack.ts';
import { processorMicrosOf } from './processor-time.ts';

const MAIN = join(PROJECT, 'dist', 'cli', 'main.js');
const POLL_MS = 50;
const READY_MS = 180_000;
const KEPT_LINES = 20;
const SERVING = 'serving metrics and health';

/** Runs a command of the product to its end. Throws UNAVAILABLE, with its output. */
export async function runCommand(env: NodeJS.ProcessEnv, ...args: string[]): Promise<void> {
  const { code, stderr, stdout } = await runNode([MAIN, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  if (code !== 0)
    throw new LineproofError(
      'UNAVAILABLE',
      `cannot prepare the cluster: lineproof ${args.join(' ')} ended with ${code}: ${stderr}${stdout}`,
    );
}

/** `lineproof chain` or `lineproof archive` as a separate process. */
export class Service {
  readonly #name: string;
  readonly #child: ChildProcess;
  readonly #lines: string[] = [];
  #port: number | undefined;

  constructor(command: 'chain' | 'archive', folder: string, env: NodeJS.ProcessEnv) {
    this.#name = command;
    const args = [MAIN, command, '--name', command, '--data', join(folder, command), '--http-port', '0'];
    this.#child = startNode(args, { env, stdio: ['ignore', 'ignore', 'pipe'] });
    let rest = '';
    this.#child.stderr?.on('data', (chunk) => {
      const lines = `${rest}${chunk}`.split('\n');
      rest = lines.pop() ?? '';
      this.#read(lines);
    });
  }

  #read(lines: readonly string[]): void {
    for (const line of lines) {
      if (line.includes(SERVING)) this.#port = (JSON.parse(line) as { port: number }).port;
      this.#lines.push(line);
    }
    this.#lines.splice(0, this.#lines.length - KEPT_LINES);
  }

  /** Throws UNAVAILABLE, with the end of its log, once the process has ended. */
  check(): void {
    const { exitCode, signalCode } = this.#child;
    if (exitCode === null && signalCode === null) return;
    const log = this.#lines.join('\n');
    throw new LineproofError('UNAVAILABLE', `cannot go on: lineproof ${this.#name} ended with ${exitCode ?? signalCode}; its log:\n${log}`);
  }

  /** Resolves when the service is in its group and all of its shards are recovered. */
  async ready(): Promise<void> {
    for (const end = performance.now() + READY_MS; performance.now() < end; await sleep(POLL_MS)) {
      this.check();
      if (this.#port !== undefined && (await this.#get('/readyz'))?.ok === true) return;
    }
    throw new LineproofError('UNAVAILABLE', `cannot go on: lineproof ${this.#name} was not ready in ${READY_MS / 1000} s`);
  }

  /** The values of a gauge, by shard. */
  async gauge(name: MetricName): Promise<ReadonlyMap<number, number>> {
    let answer: string | undefined;
    while (answer === undefined) {
      this.check();
      answer = (await this.#get('/metrics'))?.text;
    }
    const samples = answer.matchAll(new RegExp(`^${name}\\{shard="(\\d+)"\\} (\\S+)$`, 'gm'));
    return new Map([...samples].map(([, shard, value]) => [Number(shard), Number(value)]));
  }

  /** Undefined if no answer came: the server ends idle connections, even one that is about to be used again. */
  async #get(path: string): Promise<{ readonly ok: boolean; readonly text: string } | undefined> {
    try {
      const answer = await fetch(`http://127.0.0.1:${this.#port}${path}`);
      return { ok: answer.ok, text: await answer.text() };
    } catch {
      await sleep(POLL_MS);
      return undefined;
    }
  }

  processorMicros(): number {
    return processorMicrosOf(this.#child.pid ?? 0);
  }

  end(): Promise<void> {
    return endChild(this.#child);
  }
}
