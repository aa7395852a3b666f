import { setTimeout as delay } from 'node:timers/promises';
import type { Kafka } from 'kafkajs';
import { kafkaCluster, kafkaError } from './kafka-client.ts';
import { type DescribedGroup, KafkaCoordinator } from './kafka-coordinator.ts';
import { decodeAssignment, nameOf } from './kafka-group-wire.ts';

/** Kafka chooses a group's coordinator at the first request for it. On a new cluster it first makes a topic, which takes seconds. */
const TRIES = 60;
const RETRY_MS = 250;

/** The state of one shard in a consumer group. */
export interface GroupShard {
  /** First offset that was not consumed, as committed; undefined if nothing was yet. */
  readonly committed: number | undefined;
  /** Stable name of the member that works on it. */
  readonly owner: string | undefined;
}

/** Stable names of the members by the partitions that they work on. While a group rebalances, no member's partitions are known. */
export function shardOwners(members: DescribedGroup['members'], topic: string): ReadonlyMap<number, string> {
  const owners = new Map<number, string>();
  for (const { memberAssignment, memberMetadata, clientId } of members) {
    const name = nameOf(memberMetadata);
    for (const partition of decodeAssignment(memberAssignment, topic)) owners.set(partition, name === '' ? clientId : name);
  }
  return owners;
}

/** The shards of a topic as a group has them, by partition. Waits up to 15 s for a coordinator. Throws UNAVAILABLE or CONFIG_INVALID. */
export async function kafkaGroupStatus(kafka: Kafka, groupId: string, topic: string): Promise<ReadonlyMap<number, GroupShard>> {
  const coordinator = new KafkaCoordinator(kafkaCluster(kafka), { groupId, topic });
  const act = `describe the group ${groupId}`;
  try {
    for (let tries = 1; ; tries++) {
      try {
        return await describeGroup(coordinator, act, { groupId, topic });
      } catch (cause) {
        const error = kafkaError(act, cause);
        if (tries === TRIES || error.code !== 'UNAVAILABLE') throw error;
        await delay(RETRY_MS);
      }
    }
  } finally {
    await coordinator.close();
  }
}

async function describeGroup(
  coordinator: KafkaCoordinator,
  act: string,
  { groupId, topic }: { readonly groupId: string; readonly topic: string },
): Promise<ReadonlyMap<number, GroupShard>> {
  // The first request learns the partitions.
  const { groups } = await coordinator.ask({ act }, (broker) => broker.describeGroups({ groupIds: [groupId] }));
  const partitions = coordinator.partitions().map((partition) => ({ partition }));
  const { responses } = await coordinator.ask({ act }, (broker) => broker.offsetFetch({ groupId, topics: [{ topic, partitions }] }));
  const owners = shardOwners(
    groups.flatMap(({ members }) => members),
    topic,
  );
  const committed = responses.flatMap((response) => response.partitions);
  return new Map(
    committed.map(({ partition, offset }) => [
      partition,
      { committed: Number(offset) < 0 ? undefined : Number(offset), owner: owners.get(partition) },
    ]),
  );
}
