import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestCluster, until } from '../support/cluster.ts';

const CHILD = ['--conditions=lineproof-source', '--import', './test/support/typescript.js', 'test/faults/producer-child.ts'];
/** Numbers that one start of a producer may use. */
const NUMBERS = 100_000_000;
/** Of a start before it says anything. */
const UNKNOWN: Said = { refused: {}, flushed: false };
const END_MS = 330_000;

/** What a producer says of itself. */
interface Said {
  /** Calls that were refused, by code. */
  readonly refused: Readonly<Record<string, number>>;
  /** It is paused, and the log has acknowledged all of its events. */
  readonly flushed: boolean;
}

/** How a producer runs. */
export interface ProducerOptions {
  /** Its name in the policy. */
  readonly name: string;
  readonly index: number;
  /** Events a second. */
  readonly rate: number;
  readonly streams: number;
  /** A command that runs Node, such as one that mounts a disk first. */
  readonly launcher: readonly string[];
}

/** A service that records through the SDK, in a process of its own, with a spool. */
export class Producer {
  readonly folder: string;
  readonly #cluster: TestCluster;
  readonly #options: ProducerOptions;
  #child: ChildProcess;
  #ended: Promise<number | null>;
  #said = UNKNOWN;
  #starts = 0;

  constructor(cluster: TestCluster, options: ProducerOptions) {
    this.#cluster = cluster;
    this.#options = options;
    this.folder = join(cluster.folder, `producer-${options.name}`);
    mkdirSync(this.folder);
    [this.#child, this.#ended] = this.#start();
  }

  get name(): string {
    return this.#options.name;
  }

  get said(): Said {
    return this.#said;
  }

  get pid(): number {
    return this.#child.pid as number;
  }

  /** The folder of its spool; below a folder that a launcher may mount. */
  get spool(): string {
    return join(this.folder, 'disk', 'spool');
  }

  #start(): [ChildProcess, Promise<number | null>] {
    const { folder, origin, shards, env } = this.#cluster;
    const { name, index, rate, streams, launcher } = this.#options;
    const own = {
      name,
      index,
      rate,
      streams,
      origin,
      shards,
      first: this.#starts++ * NUMBERS,
      spool: this.spool,
      keyFile: join(folder, 'keys', `${name}.key`),
      acknowledged: this.#acknowledgedFile,
      env: Object.fromEntries(Object.entries(env).filter(([variable]) => variable.startsWith('LINEPROOF_'))),
    };
    mkdirSync(join(this.folder, 'disk'), { recursive: true });
    const [program, ...before] = [...launcher, process.execPath];
    const child = spawn(program, [...before, ...CHILD, JSON.stringify(own)], { env, stdio: ['pipe', 'pipe', 'inherit'] });
    let rest = '';
    child.stdin.on('error', () => undefined);
    child.stdout.on('data', (chunk) => {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() as string;
      if (lines.length > 0) this.#said = JSON.parse(lines.at(-1) as string) as Said;
    });
    return [child, new Promise((resolve) => child.on('close', resolve))];
  }

  get #acknowledgedFile(): string {
    return join(this.folder, 'acknowledged');
  }

  #order(order: 'pause' | 'end'): void {
    this.#child.stdin?.write(`${order}\n`);
  }

  /** Records nothing more; {@link said} tells when the log has acknowledged all. */
  pause(): void {
    this.#order('pause');
  }

  /** Kills it with −9. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#ended;
  }

  /** Starts it on the spool that it left. */
  restart(): void {
    this.#said = UNKNOWN;
    [this.#child, this.#ended] = this.#start();
  }

  /** Sends what it has, states that nothing follows, and ends; throws if that fails. */
  async end(): Promise<void> {
    this.#order('end');
    await until(`${this.name} ends`, () => this.#child.exitCode !== null || this.#child.signalCode !== null, END_MS);
    const code = await this.#ended;
    if (code !== 0) throw new Error(`the producer ${this.name} ended with ${code ?? this.#child.signalCode} and did not send everything`);
  }

  /** Ids of all events that were acknowledged to it, of all its starts. */
  acknowledged(): readonly string[] {
    return existsSync(this.#acknowledgedFile) ? readFileSync(this.#acknowledgedFile, 'utf8').split('\n').slice(0, -1) : [];
  }
}
