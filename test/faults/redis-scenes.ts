import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { newCertificates } from '../support/certificates.ts';
import { until } from '../support/cluster.ts';
import { deleteKeys, dumpKeys, redisKeys, restoreKeys } from '../support/redis-keys.ts';
import { CLUSTER_NODE, type RedisServer, RedisServers, redisCluster } from '../support/redis-servers.ts';
import type { Place, Preparation } from './preparation.ts';
import type { Scene } from './scene.ts';
import type { World } from './world.ts';

/** Faults of Redis. */
export const REDIS_SCENES: readonly Scene[] = [
  {
    name: 'redis-flushed',
    says: 'all keys of the system are deleted, three times',
    act: (world) =>
      onRedis(world, async (redis) => {
        for (let i = 0; i < 3; i++) {
          await deleteKeys(redis, redisKeys(world.cluster));
          await world.lasting(10_000, 3_000);
        }
      }),
  },
  {
    name: 'redis-dead',
    says: 'Redis is killed with −9, and comes back a minute later',
    act: async (world) => {
      await world.servers.kill('redis');
      await world.lasting(60_000, 8_000);
      await world.servers.up();
    },
  },
  {
    name: 'redis-older',
    says: 'Redis is set back to a dump that is 20 s old',
    act: (world) =>
      onRedis(world, async (redis) => {
        const older = await dumpKeys(redis, redisKeys(world.cluster));
        await world.lasting(20_000, 6_000);
        await restoreKeys(redis, redisKeys(world.cluster), older);
      }),
  },
  {
    name: 'redis-evicts',
    says: 'Redis is told to evict (CONFIG SET maxmemory-policy allkeys-lru), the chainers hold all shards, and it is told not to',
    act: (world) =>
      onRedis(world, async (redis) => {
        await redis.config('SET', 'maxmemory-policy', 'allkeys-lru');
        const held = (): number => world.services().reduce((sum, service) => sum + holds(service.log), 0);
        await until('every shard is held', () => held() >= world.cluster.shards);
        await world.lasting(30_000, 5_000);
        await redis.config('SET', 'maxmemory-policy', 'noeviction');
      }),
  },
  sentinelScene(false),
  sentinelScene(true),
  clusterScene(false),
  clusterScene(true),
];

function sentinelScene(tls: boolean): Scene {
  let primary: RedisServer;
  return {
    name: `redis-sentinel${tls ? '-tls' : ''}`,
    says: `${tls ? 'by TLS, ' : ''}the primary is killed with −9, and Sentinel makes its replica the primary; the old one comes back`,
    prepare: (place) =>
      onServers(tls, place, async (servers, scheme) => {
        const replica = await servers.start();
        primary = await servers.start();
        await replica.follow(primary);
        const watch = await servers.sentinel('main', primary);
        await until('the Sentinel knows the replica', async () =>
          String(await watch.direct.call('SENTINEL', 'replicas', 'main')).includes(String(replica.port)),
        );
        return `${scheme}+sentinel://${watch.place}/main`;
      }),
    act: async (world) => {
      primary.signal('SIGKILL');
      void world.healed();
      await world.lasting(20_000, 8_000);
      await primary.again();
    },
  };
}

function clusterScene(tls: boolean): Scene {
  let nodes: readonly RedisServer[] = [];
  return {
    name: `redis-cluster${tls ? '-tls' : ''}`,
    says: `${tls ? 'by TLS, ' : ''}of a Redis Cluster with three primaries and a replica of each, every primary is killed with −9 in turn, and comes back 20 s later`,
    prepare: (place) =>
      onServers(tls, place, async (servers, scheme) => {
        nodes = await redisCluster(servers);
        for (const node of nodes) await addReplica(servers, nodes, node);
        return `${scheme}+cluster://${nodes.map((node) => node.place).join(',')}`;
      }),
    act: async (world) => {
      for (const node of nodes) {
        node.signal('SIGKILL');
        await world.lasting(20_000, 8_000);
        await node.again();
        await world.lasting(10_000, 4_000);
      }
    },
  };
}

/** Adds a replica of one node to the cluster. */
async function addReplica(servers: RedisServers, nodes: readonly RedisServer[], primary: RedisServer): Promise<void> {
  const replica = await servers.start(...CLUSTER_NODE);
  const id = String(await primary.direct.call('CLUSTER', 'MYID'));
  await replica.direct.call('CLUSTER', 'MEET', '127.0.0.1', String(primary.port));
  // Said again while it follows, it would begin again.
  await until('the replica knows its primary', () => replica.direct.call('CLUSTER', 'REPLICATE', id).catch(() => undefined));
  await until('the replica follows', async () => (await replica.direct.info('replication')).includes('master_link_status:up'));
  for (const { direct } of nodes)
    await until('every node knows the replica', async () =>
      String(await direct.call('CLUSTER', 'NODES')).includes(`:${replica.plainPort}@`),
    );
}

/** Starts Redis servers, and gives their URL to all processes. */
async function onServers(
  tls: boolean,
  { folder }: Place,
  start: (servers: RedisServers, scheme: string) => Promise<string>,
): Promise<Preparation> {
  const certificates = tls ? await newCertificates('IP:127.0.0.1') : undefined;
  const servers = new RedisServers(certificates);
  try {
    const env: NodeJS.ProcessEnv = { LINEPROOF_REDIS_URL: await start(servers, tls ? 'rediss' : 'redis') };
    if (certificates !== undefined) {
      const file = join(folder, 'redis-ca.pem');
      writeFileSync(file, certificates.ca);
      env['LINEPROOF_REDIS_CA'] = file;
    }
    return { env, release: () => servers.end() };
  } catch (error) {
    await servers.end();
    throw error;
  }
}

/** Lines of a log in which a shard holds because Redis may forget. */
function holds(log: string): number {
  return log.split('shard holds: the dedup index may forget').length - 1;
}

async function onRedis(world: World, act: (redis: Redis) => Promise<void>): Promise<void> {
  const redis = new Redis(world.stack.settings.redis.url);
  try {
    await act(redis);
  } finally {
    redis.disconnect();
  }
}
