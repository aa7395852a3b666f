import { Kafka, logLevel } from 'kafkajs';
import { runningServers } from '../../infra/stack/server-processes.js';
import { until } from '../support/cluster.ts';
import { electPreferredLeaders } from '../support/raw-kafka.ts';
import { type OwnStack, stackCommandBy } from '../support/stack.ts';

const UP = ['up', '--brokers', '3', '--secure', '--with', 'toxiproxy'];
const GRACE_MS = 20_000;
const REQUEST_MS = 5_000;

/** Names of the brokers' processes, and of their proxies. */
export const BROKERS = ['kafka-1', 'kafka-2', 'kafka-3'] as const;

/** The servers of the stack as processes, and Kafka as a client that is not ours sees it. */
export class Servers {
  readonly #stack: OwnStack;
  readonly #kafka: Kafka;

  constructor(stack: OwnStack) {
    this.#stack = stack;
    const { brokers } = stack.settings.kafka;
    const common = { connectionTimeout: REQUEST_MS, requestTimeout: REQUEST_MS, logLevel: logLevel.NOTHING };
    this.#kafka = new Kafka({ clientId: 'outsider', brokers: [...brokers], retry: { retries: 3 }, ...common });
  }

  pids(name: string): readonly number[] {
    return runningServers(this.#stack.folder).get(name) ?? [];
  }

  /** Kills servers with −9, and waits until they are gone. */
  async kill(...names: readonly string[]): Promise<void> {
    for (const pid of names.flatMap((name) => this.pids(name))) process.kill(pid, 'SIGKILL');
    await until('the servers are gone', () => names.every((name) => this.pids(name).length === 0));
  }

  /** Ends a server as its operator does; kills it after 20 s. */
  async stop(name: string): Promise<void> {
    for (const pid of this.pids(name)) process.kill(pid, 'SIGTERM');
    await until(`${name} ended`, () => this.pids(name).length === 0, GRACE_MS).catch(() => this.kill(name));
  }

  /** Starts the servers that do not run; resolves when each answers. `launcher` is a command that runs the stack's. */
  async up(launcher: readonly string[] = []): Promise<void> {
    const { code, stderr } = await stackCommandBy(launcher, ...UP, '--data', this.#stack.folder);
    if (code !== 0) throw new Error(`the stack did not come up: ${stderr}`);
  }

  /** Waits until all brokers are in sync everywhere, and makes the preferred ones leaders. */
  async settle(): Promise<void> {
    await until('all replicas are in sync', async () => {
      const { topics } = await this.admin((admin) => admin.fetchTopicMetadata());
      return topics.every(({ partitions }) => partitions.every(({ isr, replicas }) => isr.length === replicas.length));
    });
    const [broker] = this.#stack.settings.kafka.brokers;
    await electPreferredLeaders(broker as string);
  }

  async admin<T>(ask: (admin: ReturnType<Kafka['admin']>) => Promise<T>): Promise<T> {
    const admin = this.#kafka.admin();
    await admin.connect();
    try {
      return await ask(admin);
    } finally {
      await admin.disconnect();
    }
  }

  /** The process that leads a partition. */
  async leader(topic: string, partition: number): Promise<string> {
    const { topics } = await this.admin((admin) => admin.fetchTopicMetadata({ topics: [topic] }));
    const found = topics[0]?.partitions.find(({ partitionId }) => partitionId === partition);
    return `kafka-${found?.leader}`;
  }

  /** The process that coordinates a group, by Kafka's own rule: it leads the partition of __consumer_offsets that the hash of the group's id names. */
  async coordinator(groupId: string): Promise<string> {
    const { topics } = await this.admin((admin) => admin.fetchTopicMetadata({ topics: ['__consumer_offsets'] }));
    let hash = 0;
    for (const unit of groupId) hash = (Math.imul(hash, 31) + unit.charCodeAt(0)) | 0;
    return this.leader('__consumer_offsets', (hash & 0x7fffffff) % (topics[0]?.partitions.length as number));
  }
}
