import { AssignerProtocol, type Kafka } from 'kafkajs';
import { utf8Text } from '../core/base/bytes.ts';
import { askCoordinator } from './kafka-client.ts';

/** The state of one shard in a consumer group. */
export interface GroupShard {
  /** First offset that was not consumed, as committed; undefined if nothing was yet. */
  readonly committed: number | undefined;
  /** Stable name of the member that works on it. */
  readonly owner: string | undefined;
}

/** A member as the group's coordinator describes it. */
export interface DescribedMember {
  readonly clientId: string;
  readonly memberMetadata: Buffer;
  readonly memberAssignment: Buffer;
}

/** Stable names of the members by the partitions that they work on. While a group rebalances, no member's partitions are known. */
export function shardOwners(members: readonly DescribedMember[], topic: string): ReadonlyMap<number, string> {
  const owners = new Map<number, string>();
  for (const { memberAssignment, memberMetadata, clientId } of members) {
    // Empty while the group is joining, and kafkajs reads beyond the end of empty metadata.
    const name = memberMetadata.length === 0 ? undefined : AssignerProtocol.MemberMetadata.decode(memberMetadata)?.userData;
    const assigned = AssignerProtocol.MemberAssignment.decode(memberAssignment)?.assignment[topic] ?? [];
    for (const partition of assigned) owners.set(partition, name === undefined || name.length === 0 ? clientId : utf8Text(name));
  }
  return owners;
}

/** The shards of a topic as a group has them, by partition. Throws UNAVAILABLE or CONFIG_INVALID. */
export function kafkaGroupStatus(kafka: Kafka, groupId: string, topic: string): Promise<ReadonlyMap<number, GroupShard>> {
  return askCoordinator(`describe the group ${groupId}`, () => describeGroup(kafka, groupId, topic));
}

async function describeGroup(kafka: Kafka, groupId: string, topic: string): Promise<ReadonlyMap<number, GroupShard>> {
  const admin = kafka.admin({ retry: { retries: 5, initialRetryTime: 50, maxRetryTime: 1_000 } });
  try {
    await admin.connect();
    const [offsets] = await admin.fetchOffsets({ groupId, topics: [topic] });
    const { groups } = await admin.describeGroups([groupId]);
    const owners = shardOwners(
      groups.flatMap(({ members }) => members),
      topic,
    );
    return new Map(
      (offsets?.partitions ?? []).map(({ partition, offset }) => [
        partition,
        { committed: Number(offset) < 0 ? undefined : Number(offset), owner: owners.get(partition) },
      ]),
    );
  } finally {
    await admin.disconnect().catch(() => undefined);
  }
}
