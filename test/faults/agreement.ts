import { TOPICS } from '../../core/ports/log.ts';
import type { ShardStatus } from '../support/cluster.ts';
import type { World } from './world.ts';

/** What one group consumes, and what the services say of it. */
const GROUPS = [
  ['lineproof-chainer', TOPICS.events],
  ['lineproof-archiver', TOPICS.chain],
] as const;

interface Offsets {
  readonly committed: number;
  readonly end: number;
}

/** One series of a service's metrics. */
interface Series {
  readonly service: string;
  readonly value: number;
}

/**
 * Why commits, lag by the metrics, `lineproof status` and an admin client of kafkajs do not agree that all is consumed; undefined when they do. The producers
 * must be silent.
 */
export async function disagreement(world: World): Promise<string | undefined> {
  try {
    const sizes = await world.ledger.sizes();
    const seen = await metricsOf(world);
    for (const [group, topic] of GROUPS) {
      const offsets = await outsideOffsets(world, group, topic);
      for (const [shard, { committed, end }] of offsets.entries()) {
        const where = `${group}, shard ${shard}`;
        if (committed !== end) return `${where}: committed ${committed}, end ${end}, by an admin client`;
        const labels = `consumergroup="${world.cluster.topicPrefix}${group}",topic="${world.cluster.topicPrefix}${topic}",partition="${shard}"`;
        const fault = faultOf(seen, labels, end);
        if (fault !== undefined) return `${where}: ${fault}`;
      }
    }
    const status = await world.cluster.status();
    for (const row of status) {
      const fault = statusFault(row, sizes[row.shard] as number);
      if (fault !== undefined) return `status, shard ${row.shard}: ${fault}`;
    }
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message.slice(0, 300) : String(error);
  }
}

async function outsideOffsets({ servers, cluster }: World, group: string, topic: string): Promise<readonly Offsets[]> {
  const [groupId, name] = [cluster.topicPrefix + group, cluster.topicPrefix + topic];
  return servers.admin(async (admin) => {
    const ends = await admin.fetchTopicOffsets(name);
    const [committed] = await admin.fetchOffsets({ groupId, topics: [name] });
    return Array.from({ length: cluster.shards }, (_, shard) => ({
      end: Number(ends.find(({ partition }) => partition === shard)?.high),
      committed: Number(committed?.partitions.find(({ partition }) => partition === shard)?.offset),
    }));
  });
}

/** Series of all services, by name and labels. */
async function metricsOf(world: World): Promise<ReadonlyMap<string, readonly Series[]>> {
  const found = new Map<string, Series[]>();
  for (const service of world.services()) {
    const answer = await service.get('/metrics');
    if (answer === undefined) throw new Error(`${service.name} does not answer`);
    for (const line of answer.text.split('\n')) {
      const at = line.lastIndexOf(' ');
      if (line.startsWith('#') || at < 0) continue;
      const series = { service: service.name, value: Number(line.slice(at + 1)) };
      found.set(line.slice(0, at), [...(found.get(line.slice(0, at)) ?? []), series]);
    }
  }
  return found;
}

/** Exactly one service tells the shard's numbers, and they are these. */
function faultOf(seen: ReadonlyMap<string, readonly Series[]>, labels: string, end: number): string | undefined {
  const wanted = { kafka_consumergroup_lag: 0, lineproof_group_committed_offset: end, kafka_consumergroup_current_offset: end };
  for (const [name, value] of Object.entries(wanted)) {
    const told = seen.get(`${name}{${labels}}`) ?? [];
    if (told.length !== 1) return `${name} is told by ${told.map(({ service }) => service).join(', ') || 'nobody'}`;
    if (told[0]?.value !== value) return `${name} is ${told[0]?.value} by ${told[0]?.service}, not ${value}`;
  }
  return undefined;
}

function statusFault({ lag, size, attested, chainer, archiver }: ShardStatus, linked: number): string | undefined {
  if (lag !== 0) return `lag ${lag}`;
  if (size !== linked) return `size ${size}, and ${linked} leaves are on the chain topic`;
  if (attested !== size) return `attested ${attested} of ${size}`;
  if (chainer === null || archiver === null) return `chainer ${chainer}, archiver ${archiver}`;
  return undefined;
}
