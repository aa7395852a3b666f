import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { REDIS, unpackedRedis } from '../../infra/stack/artefacts.js';
import { cachedPath } from '../../infra/stack/cache.js';
import { findRedis } from '../../infra/stack/machine.js';
import type { Certificates } from './certificates.ts';
import { until } from './cluster.ts';

/** A redis-server process of one test. */
export class RedisServer {
  /** By which others reach it: by TLS, where it has that. */
  readonly port: number;
  /** In clear, for the test alone. */
  readonly plainPort: number;
  readonly #launch: () => ChildProcess;
  #child: ChildProcess;
  /** A connection of the test's own. */
  readonly direct: Redis;

  constructor(port: number, plainPort: number, launch: () => ChildProcess) {
    this.port = port;
    this.plainPort = plainPort;
    this.#launch = launch;
    this.#child = launch();
    this.direct = new Redis({ host: '127.0.0.1', port: plainPort, retryStrategy: () => 50, maxRetriesPerRequest: null });
    this.direct.on('error', () => undefined);
  }

  get place(): string {
    return `127.0.0.1:${this.port}`;
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** Becomes a replica of `primary`, and has its data when this resolves. */
  async follow(primary: RedisServer): Promise<void> {
    await this.direct.replicaof('127.0.0.1', primary.port);
    await until('the replica has the data', async () => (await this.direct.info('replication')).includes('master_link_status:up'));
  }

  /** Starts it again after it ended, on its folder. */
  async again(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) await once(this.#child, 'exit');
    this.#child = this.#launch();
    await this.answers();
  }

  async answers(): Promise<void> {
    await until('Redis answers', async () => (await this.direct.ping().catch(() => '')) === 'PONG');
  }

  async end(): Promise<void> {
    this.direct.disconnect();
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill('SIGKILL');
    await once(this.#child, 'exit');
  }
}

/** The Redis processes of one test; ended together. */
export class RedisServers {
  readonly #folder = mkdtempSync(join(tmpdir(), 'lineproof-redis-'));
  readonly #servers: RedisServer[] = [];
  readonly #tls: Certificates | undefined;

  /** With certificates, everybody but the test itself reaches the servers by TLS, and so they do each other. */
  constructor(tls?: Certificates) {
    this.#tls = tls;
    for (const [name, text] of Object.entries(tls ?? {})) writeFileSync(join(this.#folder, `${name}.pem`), text);
  }

  /** Starts a server with more lines of configuration, and waits until it answers. */
  async start(...lines: readonly string[]): Promise<RedisServer> {
    return this.#launch(['maxmemory-policy noeviction', 'save ""', 'appendonly no', ...lines], []);
  }

  /** Starts a Sentinel that watches `primary` under this name, and declares it dead after half a second. */
  async sentinel(name: string, primary: RedisServer): Promise<RedisServer> {
    const watch = [
      `sentinel monitor ${name} 127.0.0.1 ${primary.port} 1`,
      `sentinel down-after-milliseconds ${name} 500`,
      `sentinel failover-timeout ${name} 2000`,
    ];
    return this.#launch(watch, ['--sentinel']);
  }

  #tlsLines(port: number, isData: boolean): readonly string[] {
    if (this.#tls === undefined) return [];
    const file = (name: keyof Certificates): string => `"${join(this.#folder, `${name}.pem`)}"`;
    const files = [`tls-cert-file ${file('cert')}`, `tls-key-file ${file('key')}`, `tls-ca-cert-file ${file('ca')}`];
    return [`tls-port ${port}`, ...files, 'tls-auth-clients no', 'tls-replication yes', ...(isData ? ['tls-cluster yes'] : [])];
  }

  async end(): Promise<void> {
    await Promise.all(this.#servers.map((server) => server.end()));
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #launch(lines: readonly string[], args: readonly string[]): Promise<RedisServer> {
    const installed = await findRedis();
    const { server, env } = installed === undefined ? unpackedRedis(cachedPath(REDIS)) : { server: installed, env: {} };
    if (!existsSync(server)) throw new Error('redis-server is missing: the stack fetches it');
    const plainPort = await freePort();
    const port = this.#tls === undefined ? plainPort : await freePort();
    const folder = join(this.#folder, String(port));
    mkdirSync(folder);
    const file = join(folder, 'redis.conf');
    const own = [`port ${plainPort}`, 'bind 127.0.0.1', `dir "${folder}"`, ...this.#tlsLines(port, args.length === 0)];
    writeFileSync(file, [...own, ...lines, ''].join('\n'));
    const started = new RedisServer(port, plainPort, () =>
      spawn(server, [file, ...args], { env: { ...process.env, ...env }, stdio: 'ignore' }),
    );
    this.#servers.push(started);
    await started.answers();
    return started;
  }
}

async function freePort(): Promise<number> {
  // The bus of a cluster's node has the port 10,000 higher.
  for (;;) {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    server.close();
    await once(server, 'close');
    if (port < 55_000) return port;
  }
}

/** The configuration of a cluster's node; it is declared dead after a second. */
export const CLUSTER_NODE: readonly string[] = ['cluster-enabled yes', 'cluster-node-timeout 1000'];

/** Three nodes of one cluster, with a third of the slots each. */
export async function redisCluster(servers: RedisServers, ...more: readonly string[]): Promise<readonly RedisServer[]> {
  const lines = [...CLUSTER_NODE, ...more];
  const nodes = [await servers.start(...lines), await servers.start(...lines), await servers.start(...lines)];
  const bounds = [0, 5461, 10_923, 16_384];
  for (const [i, { direct }] of nodes.entries())
    await direct.call('CLUSTER', 'ADDSLOTSRANGE', String(bounds[i]), String((bounds[i + 1] as number) - 1));
  for (const { port } of nodes.slice(1)) await nodes[0]?.direct.call('CLUSTER', 'MEET', '127.0.0.1', String(port));
  for (const { direct } of nodes)
    await until('the cluster is formed', async () => {
      const info = String(await direct.call('CLUSTER', 'INFO'));
      return info.includes('cluster_state:ok') && info.includes('cluster_known_nodes:3');
    });
  return nodes;
}
