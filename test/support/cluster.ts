import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Kafka } from 'kafkajs';
import { type KafkaSettings, kafkaClient } from '../../adapters/kafka-client.ts';
import { kafkaGroupStatus } from '../../adapters/kafka-group-status.ts';
import { openKafkaLog } from '../../adapters/kafka-log.ts';
import { openS3ObjectStore } from '../../adapters/s3-object-store.ts';
import type { Verdict } from '../../auditor/verdict.ts';
import { VERDICTS } from '../../auditor/verdict-words.ts';
import { logKeysOf, parseArchiveKey } from '../../core/archive/archive-keys.ts';
import { type ManifestCounts, parseManifest } from '../../core/archive/manifest.ts';
import { unframe } from '../../core/avro/framing.ts';
import { equal } from '../../core/base/bytes.ts';
import { type Block, decodeBlock } from '../../core/formats/block.ts';
import { decodeLeaf, type Seal } from '../../core/formats/leaf.ts';
import { decodeEnvelope } from '../../core/keys/dsse.ts';
import { isRecord, type Log, type LogEntry, type LogRecord, offsetAfter, TOPICS } from '../../core/ports/log.ts';
import type { ObjectStore } from '../../core/ports/object-store.ts';
import { leafHash } from '../../core/tree/hash.ts';
import { type CommandResult, lineproof, MAIN, ROOT, temporaryFolder } from './command.ts';
import { TestLogger } from './memory.ts';
import type { StackSettings } from './stack.ts';

const POLL_MS = 50;
const WAIT_MS = 120_000;
const SHOWN_LINES = 30;
const READ_BYTES = 4 * 1024 * 1024;

/** One shard, as `lineproof status --json` tells it. */
export interface ShardStatus {
  readonly shard: number;
  readonly lag: number;
  readonly lagSeconds: number;
  readonly size: number;
  readonly attested: number;
  readonly archived: number;
  readonly chainer: string | null;
  readonly archiver: string | null;
}

export type Counts = Pick<ManifestCounts, 'links' | 'duplicates' | 'conflicts' | 'repeated' | 'rejected'>;

export interface ClusterOptions {
  readonly shards: number;
  /** Producers beside the one that every policy has. */
  readonly producers?: readonly string[];
  readonly segmentMaxAgeMs?: number;
  /** Settings of all processes over those of the stack, by their names in the environment. */
  readonly env?: NodeJS.ProcessEnv;
}

/** A line of a process's log. */
export type Logged = Readonly<Record<string, unknown>>;

/** The environment that loads a script of this folder into a process before its own code. */
export function preloading(script: string, env: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  return { ...env, NODE_OPTIONS: `--import=${pathToFileURL(join(ROOT, 'test/support', script)).href}` };
}

/** Lines of a log whose messages begin like this. */
function logged(log: string, start: string): readonly Logged[] {
  const lines = log.split('\n').slice(0, -1);
  return lines
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Logged)
    .filter(({ msg }) => String(msg).startsWith(start));
}

/** Resolves when `condition` holds or gives something; rejects when it does not in time. */
export async function until<T>(
  what: string,
  condition: () => Promise<T | undefined | false> | T | undefined | false,
  withinMs = WAIT_MS,
): Promise<T> {
  const end = performance.now() + withinMs;
  for (;;) {
    const found = await condition();
    if (found !== undefined && found !== false) return found;
    if (performance.now() > end) throw new Error(`waited in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** A producer that waits for lines. */
export interface Feed {
  write(lines: readonly string[]): void;
  /** What it logged under messages that begin like this. */
  logged(start: string): readonly Logged[];
  /** Sends what it has, and gives its exit code. */
  end(): Promise<number | null>;
}

/** A running service. */
export class ClusterService {
  readonly name: string;
  readonly #child: ChildProcess;
  /** Its exit code; null after a signal that it does not take. */
  readonly ended: Promise<number | null>;
  #log = '';

  /** `launcher` is a command that runs Node, such as one that mounts a disk first. */
  constructor(name: string, args: readonly string[], env: NodeJS.ProcessEnv, launcher: readonly string[] = []) {
    this.name = name;
    const [program, ...before] = [...launcher, process.execPath];
    this.#child = spawn(program, [...before, MAIN, ...args], { env, stdio: ['ignore', 'ignore', 'pipe'] });
    this.#child.stderr?.on('data', (chunk) => {
      this.#log += chunk;
    });
    this.ended = new Promise((resolve) => this.#child.on('close', resolve));
  }

  get log(): string {
    return this.#log;
  }

  get pid(): number {
    return this.#child.pid as number;
  }

  /** Its exit code, or the signal that ended it; undefined while it runs. */
  get exitCode(): number | NodeJS.Signals | undefined {
    return this.#child.exitCode ?? this.#child.signalCode ?? undefined;
  }

  /** What it logged under messages that begin like this. */
  logged(start: string): readonly Logged[] {
    return logged(this.#log, start);
  }

  /** What it logged for somebody to look at. */
  alarms(): readonly string[] {
    return this.#log.split('\n').filter((line) => line.includes('"level":"ERROR"') || line.startsWith('lineproof: '));
  }

  /** The answer of its own HTTP server; undefined while there is none. */
  async get(path: string): Promise<{ readonly status: number; readonly text: string } | undefined> {
    const port = this.logged('serving metrics and health')[0]?.['port'];
    if (port === undefined) return undefined;
    try {
      const answer = await fetch(`http://127.0.0.1:${Number(port)}${path}`);
      return { status: answer.status, text: await answer.text() };
    } catch {
      return undefined;
    }
  }

  /** Sum of a metric over all its labels; 0 where there is none. Rejects when the service does not answer. */
  async metric(name: string): Promise<number> {
    const { text } = await until(`${this.name} tells its metrics`, () => this.get('/metrics'));
    const lines = text.split('\n').filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
    return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
  }

  /** Waits for the shards of the assignment to be recovered. Rejects when the process ends before. */
  async ready(): Promise<void> {
    await until(`${this.name} is ready`, async () => {
      if (this.exitCode !== undefined) throw new Error(`${this.name} ended with ${this.exitCode}:\n${this.#log}`);
      return (await this.get('/readyz'))?.status === 200;
    });
  }

  /** Sends a signal and gives the exit code; null after SIGKILL. */
  async end(signal: NodeJS.Signals): Promise<number | null> {
    this.#child.kill(signal);
    return this.ended;
  }
}

/** A block with its seal; undefined where a record is none. */
function blockOf(value: Uint8Array): { readonly block: Block; readonly seal: Seal; readonly hash: Uint8Array } | undefined {
  try {
    const block = decodeBlock(unframe(value).payload);
    return { block, seal: decodeLeaf(block.seal) as Seal, hash: leafHash(block.seal) };
  } catch {
    return undefined;
  }
}

/** Follows the chain topic as it grows, and keeps its blocks but those that lost a race. */
export class ChainTail {
  readonly #log: Log;
  readonly #at: { offset: number; size: number; seal: Uint8Array }[];
  readonly seals: Seal[][];
  readonly #onBlock: (shard: number, block: Block) => void;

  /** `onBlock` is given every block that counts. */
  constructor(log: Log, shards: number, onBlock: (shard: number, block: Block) => void = () => undefined) {
    this.#log = log;
    this.#onBlock = onBlock;
    this.#at = Array.from({ length: shards }, () => ({ offset: 0, size: 0, seal: new Uint8Array(32) }));
    this.seals = Array.from({ length: shards }, () => []);
  }

  /** Links in all blocks so far. */
  async links(): Promise<number> {
    for (const [shard, at] of this.#at.entries()) {
      for (const record of await this.#log.read(TOPICS.chain, shard, at.offset, { maxBytes: READ_BYTES, waitMs: 0 })) {
        at.offset = offsetAfter(record);
        if (record.kind === 'unreadable') continue;
        const found = blockOf(record.value);
        // A beaten block may begin where the log has come to by another way.
        if (found === undefined || found.seal.firstIndex !== at.size || !equal(found.seal.previous, at.seal)) continue;
        at.size += found.seal.links + 1;
        at.seal = found.hash;
        this.seals[shard]?.push(found.seal);
        this.#onBlock(shard, found.block);
      }
    }
    return this.seals.flat().reduce((sum, { links }) => sum + links, 0);
  }

  /** Leaves of each shard as of the last look. */
  sizes(): readonly number[] {
    return this.#at.map(({ size }) => size);
  }
}

/** A new origin on the shared stack: topics, policy, keys, bucket prefix, and the processes that work on it. */
export class TestCluster {
  readonly folder: string;
  readonly shards: number;
  readonly origin: string;
  readonly env: NodeJS.ProcessEnv;
  /** In this process, for those who look on or write what no product would. */
  readonly log: Log;
  readonly kafka: Kafka;
  readonly topicPrefix: string;
  readonly objects: ObjectStore;
  /** Its address, as commands take it. */
  readonly archive: string;
  readonly #services: ClusterService[] = [];
  readonly #release: () => void;

  private constructor(stack: StackSettings, options: ClusterOptions) {
    const temporary = temporaryFolder('cluster');
    const id = `t${randomBytes(6).toString('hex')}`;
    const { s3, kafka, redis, registry } = stack;
    this.folder = temporary.path;
    this.#release = () => temporary.release();
    this.shards = options.shards;
    this.origin = `test/${id}`;
    this.archive = `s3://${s3.bucket}/${id}`;
    this.env = {
      ...process.env,
      KAFKAJS_NO_PARTITIONER_WARNING: '1',
      AWS_ACCESS_KEY_ID: s3.accessKeyId,
      AWS_SECRET_ACCESS_KEY: s3.secretAccessKey,
      LINEPROOF_KAFKA_BROKERS: kafka.brokers.join(','),
      LINEPROOF_KAFKA_TOPIC_PREFIX: `${id}.`,
      LINEPROOF_REDIS_URL: redis.url,
      LINEPROOF_REGISTRY_URL: registry.url,
      LINEPROOF_S3_BUCKET: s3.bucket,
      LINEPROOF_S3_PREFIX: `${id}/`,
      LINEPROOF_S3_ENDPOINT: s3.endpoint,
      LINEPROOF_S3_REGION: s3.region,
      LINEPROOF_S3_PATH_STYLE: 'on',
      LINEPROOF_KEYS: join(this.folder, 'keys'),
      LINEPROOF_HTTP_PORT: '0',
      ...options.env,
    };
    const requestTimeoutMs = 10_000;
    const logger = new TestLogger();
    const settings: KafkaSettings = { brokers: kafka.brokers, clientId: 'test', topicPrefix: `${id}.`, tls: false, requestTimeoutMs };
    this.topicPrefix = settings.topicPrefix;
    this.log = openKafkaLog(settings, logger);
    this.kafka = kafkaClient(settings, logger);
    process.env['AWS_ACCESS_KEY_ID'] = s3.accessKeyId;
    process.env['AWS_SECRET_ACCESS_KEY'] = s3.secretAccessKey;
    const { bucket, endpoint, region, forcePathStyle } = s3;
    this.objects = openS3ObjectStore({ bucket, prefix: `${id}/`, endpoint, region, forcePathStyle, requestTimeoutMs });
  }

  /** Makes topics, keys and policy as an operator does. */
  static async make(stack: StackSettings, options: ClusterOptions): Promise<TestCluster> {
    const cluster = new TestCluster(stack, options);
    const shards = ['--shards', String(options.shards)];
    const producers = (options.producers ?? []).flatMap((name) => ['--producer', name]);
    const age = ['--segment-max-age-ms', String(options.segmentMaxAgeMs ?? 2000)];
    await cluster.must(['topics', 'create', ...shards]);
    await cluster.must(['policy', 'init', '--origin', cluster.origin, ...shards, ...producers, ...age]);
    return cluster;
  }

  /** Runs a command on this cluster. */
  run(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<CommandResult> {
    return lineproof(args, { env: { ...this.env, ...env } });
  }

  /** As {@link run}, for a command that must end with 0. */
  async must(args: readonly string[], env: NodeJS.ProcessEnv = {}, codes: readonly number[] = [0]): Promise<CommandResult> {
    const result = await this.run(args, env);
    if (!codes.includes(result.code ?? -1))
      throw new Error(`lineproof ${args.join(' ')} ended with ${result.code}: ${result.stderr}${result.stdout}`);
    return result;
  }

  /** Starts a service with this name and a separate data folder. */
  start(command: 'chain' | 'archive', name: string, ...args: string[]): ClusterService {
    return this.startWith({}, command, name, ...args);
  }

  /** As {@link start}, with more in its environment. */
  startWith(env: NodeJS.ProcessEnv, command: 'chain' | 'archive', name: string, ...args: string[]): ClusterService {
    return this.#started(command, name, args, env);
  }

  /** As {@link start}, by a command that runs the one that follows it. */
  startBy(launcher: readonly string[], command: 'chain' | 'archive', name: string, env: NodeJS.ProcessEnv = {}): ClusterService {
    return this.#started(command, name, [], env, launcher);
  }

  #started(command: string, name: string, args: readonly string[], env: NodeJS.ProcessEnv, launcher?: readonly string[]): ClusterService {
    const own = [command, '--name', name, '--data', join(this.folder, name), ...args];
    const service = new ClusterService(name, own, { ...this.env, ...env }, launcher);
    this.#services.push(service);
    return service;
  }

  /** Emits a file of lines as a process with this producer's key and a separate spool. */
  async emit(producer: string, file: string, ...more: readonly string[]): Promise<void> {
    await this.must([...this.#emitArguments(producer), ...more, file]);
  }

  /** As {@link emit}, of lines that are written to its stdin as long as they come. */
  feed(producer: string, env: NodeJS.ProcessEnv = {}): Feed {
    const child = spawn(process.execPath, [MAIN, ...this.#emitArguments(producer)], {
      env: { ...this.env, ...env },
      stdio: ['pipe', 'ignore', 'pipe'],
    });
    let log = '';
    child.stderr.on('data', (chunk) => {
      log += chunk;
      process.stderr.write(chunk);
    });
    const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
    child.stdin.on('error', () => undefined);
    return {
      logged: (start) => logged(log, start),
      write: (lines) => void child.stdin.write(`${lines.join('\n')}\n`),
      end: () => {
        child.stdin.end();
        return ended;
      },
    };
  }

  #emitArguments(producer: string): string[] {
    const data = join(this.folder, `${producer}-${randomBytes(4).toString('hex')}`);
    mkdirSync(join(data, 'keys'), { recursive: true });
    copyFileSync(join(this.folder, 'keys', `${producer}.key`), join(data, 'keys', 'collector.key'));
    return ['emit', '--cluster', '--quiet', '--data', data, '--keys', join(data, 'keys')];
  }

  /** Names of those who work on each shard, undefined where nobody does; faster than {@link status}. */
  async owners(command: 'chain' | 'archive'): Promise<readonly (string | undefined)[]> {
    const [group, topic] = command === 'chain' ? ['lineproof-chainer', TOPICS.events] : ['lineproof-archiver', TOPICS.chain];
    const status = await kafkaGroupStatus(this.kafka, this.topicPrefix + group, this.topicPrefix + topic);
    return Array.from({ length: this.shards }, (_, shard) => status.get(shard)?.owner);
  }

  async status(): Promise<readonly ShardStatus[]> {
    const { stdout } = await this.must(['status', '--json']);
    return JSON.parse(stdout);
  }

  /** Waits until everything on the chain topic is in closed segments, and nothing else came. */
  async archived(tail: ChainTail): Promise<void> {
    await until('everything is archived', async () => {
      await tail.links();
      const sizes = await Promise.all(tail.sizes().map((_, shard) => this.#archivedSize(shard)));
      return sizes.every((size, shard) => size === tail.sizes()[shard]);
    });
  }

  async #archivedSize(shard: number): Promise<number> {
    let size = 0;
    for await (const { key } of this.objects.list(logKeysOf(shard).segments)) {
      const place = parseArchiveKey(key);
      if (place.kind === 'manifest') size = Math.max(size, place.end);
    }
    return size;
  }

  /** All records of a topic's partition. */
  async records(topic: string, partition: number): Promise<readonly LogRecord[]> {
    const all: LogRecord[] = [];
    const { end } = await this.log.bounds(topic, partition);
    for (let offset = 0; offset < end; ) {
      const records = await this.log.read(topic, partition, offset, { maxBytes: READ_BYTES, waitMs: 0 });
      if (records.length === 0) break;
      all.push(...records.filter(isRecord));
      offset = offsetAfter(records.at(-1) as LogEntry);
    }
    return all;
  }

  /** What the manifests of all closed segments count. */
  async counts(): Promise<Counts> {
    const sum: Record<keyof Counts, number> = { links: 0, duplicates: 0, conflicts: 0, repeated: 0, rejected: 0 };
    for await (const { key } of this.objects.list('logs/')) {
      const stored = parseArchiveKey(key).kind === 'manifest' ? await this.objects.get(key) : undefined;
      if (stored === undefined) continue;
      const { counts } = parseManifest(decodeEnvelope(stored.bytes, 'manifest').payload);
      for (const name of Object.keys(sum) as (keyof Counts)[]) sum[name] += counts[name];
    }
    return sum;
  }

  /** `lineproof verify` on the bucket, against the root key; throws unless it is OK or OPEN. */
  async mustVerify(): Promise<Verdict> {
    const { stdout } = await this.must(['verify', this.archive, '--key', `@${join(this.folder, 'keys', 'root.pub')}`, '--json'], {}, [
      VERDICTS.OK.exitCode,
      VERDICTS.OPEN.exitCode,
    ]);
    return JSON.parse(stdout);
  }

  /** The last lines of every service's log, for somebody who investigates a failure. */
  logs(): string {
    const tails = this.#services.map(({ name, log }) => `--- ${name}\n${log.split('\n').slice(-SHOWN_LINES).join('\n')}`);
    return tails.join('\n');
  }

  async release(): Promise<void> {
    await Promise.all(this.#services.map((service) => service.end('SIGKILL')));
    await this.log.close();
    await this.objects.close();
    this.#release();
  }
}

/** Runs `body` on a new cluster; when it fails, the services' logs are shown. */
export async function onCluster(
  stack: StackSettings,
  options: ClusterOptions,
  body: (cluster: TestCluster) => Promise<void>,
): Promise<void> {
  const cluster = await TestCluster.make(stack, options);
  try {
    await body(cluster);
  } catch (error) {
    process.stderr.write(`${cluster.logs()}\n`);
    throw error;
  } finally {
    await cluster.release();
  }
}
