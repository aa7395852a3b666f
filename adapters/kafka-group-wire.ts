import { AssignerProtocol, type Kafka } from 'kafkajs';
import { utf8, utf8Text } from '../core/base/bytes.ts';
import { LineproofError } from '../core/base/errors.ts';
import { type KafkaSettings, kafkaCluster } from './kafka-client.ts';
import { KafkaCoordinator } from './kafka-coordinator.ts';
import { rendezvous } from './kafka-group-rendezvous.ts';

/** After this long without a heartbeat, a member's shards go to others. Short, so that a killed process is replaced within seconds. */
export const SESSION_MS = 10_000;
/** Time that the coordinator gives members to join again before an assignment changes. */
const REBALANCE_MS = 10_000;
/** A heartbeat that takes longer is asked again on another connection, while half of the session is left. */
const HEARTBEAT_TIMEOUT_MS = 5_000;
/** The name under which members agree on how they share: those of all versions must use the same, or the coordinator refuses them. */
const PROTOCOL = 'lineproof-rendezvous';
/** Version of the subscription and of the assignment in the consumer protocol of Kafka. */
const VERSION = 1;

export interface ShardGroupOptions {
  readonly kafka: KafkaSettings;
  /** Kafka's `group.id`. */
  readonly groupId: string;
  /** The topic whose partitions are the shards, and whose consumed offsets are committed. */
  readonly topic: string;
  /** Shards of the origin: partitions beyond them are assigned to nobody. */
  readonly shards: number;
  /** Name of this process, the same after a restart: then its shards come back to it. */
  readonly name: string;
}

/** This process in one generation of the group: the coordinator refuses calls with an id or a generation that are not current. */
export interface Membership {
  readonly memberId: string;
  readonly generationId: number;
}

/** What the coordinator answers to a join; the leader shares the partitions among the members. */
export interface Joined extends Membership {
  /** Members with their metadata if this one is the leader, else none. */
  readonly members: readonly { readonly memberId: string; readonly memberMetadata: Buffer }[];
}

/** Kafka's group protocol as one member speaks it: each call is one request with a deadline, and throws what the coordinator refused it with. */
export interface GroupCalls {
  /** Waits until all members have joined, up to the rebalance time. `memberId` is empty for one that the group does not know. */
  join(memberId: string): Promise<Joined>;
  /** Waits until the leader has shared the partitions; gives the shards of this member. */
  sync(joined: Joined): Promise<ReadonlySet<number>>;
  heartbeat(member: Membership): Promise<void>;
  /** Takes offsets by shard; if the outcome is unknown, the same offsets may be committed again. */
  commit(member: Membership, offsets: ReadonlyMap<number, number>): Promise<void>;
  leave(memberId: string): Promise<void>;
  /** How many processes are in the group. */
  members(): Promise<number>;
  /** The next calls look for the coordinator. */
  forget(): void;
  /** Cuts the connections; calls that wait fail. */
  close(): Promise<void>;
}

/** The calls on a Kafka cluster. */
export function groupCalls(kafka: Kafka, options: ShardGroupOptions): GroupCalls {
  const { groupId, topic, shards, name } = options;
  // A broker answers the requests of a connection in turn, and a join or a commit may wait for seconds: heartbeats must not wait behind a commit, nor a leave behind a join.
  const beats = new KafkaCoordinator(kafkaCluster(kafka), options);
  const others = new KafkaCoordinator(kafkaCluster(kafka), options);
  const act = `share the shards as ${groupId}`;
  const metadata = encodeMetadata(topic, name);
  return {
    join: async (memberId) => {
      const request = { groupId, memberId, sessionTimeout: SESSION_MS, rebalanceTimeout: REBALANCE_MS };
      const joined = await beats.ask({ act, waitMs: REBALANCE_MS }, (broker) =>
        broker.joinGroup({ ...request, groupProtocols: [{ name: PROTOCOL, metadata }] }),
      );
      const leads = joined.leaderId === joined.memberId;
      return { memberId: joined.memberId, generationId: joined.generationId, members: leads ? joined.members : [] };
    },
    sync: async ({ memberId, generationId, members }) => {
      const groupAssignment = members.length === 0 ? [] : share(topic, beats.partitions(), members);
      const { memberAssignment } = await beats.ask({ act, waitMs: REBALANCE_MS }, (broker) =>
        broker.syncGroup({ groupId, generationId, memberId, groupAssignment }),
      );
      return new Set(decodeAssignment(memberAssignment, topic).filter((partition) => partition >= 0 && partition < shards));
    },
    heartbeat: async ({ memberId, generationId }) => {
      await beats.ask({ act, timeoutMs: HEARTBEAT_TIMEOUT_MS }, (broker) =>
        broker.heartbeat({ groupId, memberId, groupGenerationId: generationId }),
      );
    },
    commit: async ({ memberId, generationId }, offsets) => {
      const partitions = [...offsets].map(([partition, offset]) => ({ partition, offset: String(offset) }));
      await others.ask({ act: `commit offsets of the group ${groupId}` }, (broker) =>
        broker.offsetCommit({ groupId, memberId, groupGenerationId: generationId, topics: [{ topic, partitions }] }),
      );
    },
    leave: async (memberId) => {
      await others.ask({ act: `leave the group ${groupId}` }, (broker) => broker.leaveGroup({ groupId, memberId }));
    },
    members: async () => {
      const { groups } = await others.ask({ act: `describe the group ${groupId}` }, (broker) =>
        broker.describeGroups({ groupIds: [groupId] }),
      );
      return groups[0]?.members.length ?? 0;
    },
    forget: () => {
      beats.forget();
      others.forget();
    },
    close: async () => {
      await Promise.all([beats.close(), others.close()]);
    },
  };
}

/** The leader's part: the assignment of every member, by {@link rendezvous}. Throws UNAVAILABLE. */
function share(
  topic: string,
  partitions: readonly number[],
  members: Joined['members'],
): { readonly memberId: string; readonly memberAssignment: Buffer }[] {
  if (partitions.length === 0) throw new LineproofError('UNAVAILABLE', `cannot share shards: partitions of ${topic} are not known`);
  const named = members.map(({ memberId, memberMetadata }) => ({ name: nameOf(memberMetadata), id: memberId }));
  const shares = rendezvous(named, partitions);
  return members.map(({ memberId }) => ({ memberId, memberAssignment: encodeAssignment(topic, shares.get(memberId) ?? []) }));
}

function encodeMetadata(topic: string, name: string): Buffer {
  return AssignerProtocol.MemberMetadata.encode({ version: VERSION, topics: [topic], userData: Buffer.from(utf8(name)) });
}

function encodeAssignment(topic: string, partitions: readonly number[]): Buffer {
  return AssignerProtocol.MemberAssignment.encode({
    version: VERSION,
    assignment: { [topic]: [...partitions] },
    userData: Buffer.alloc(0),
  });
}

/** Stable name of a member; empty if its metadata are not those of our members. */
export function nameOf(metadata: Buffer): string {
  // Empty while a group is joining, and kafkajs reads beyond the end of empty metadata.
  if (metadata.length === 0) return '';
  try {
    const decoded = AssignerProtocol.MemberMetadata.decode(metadata);
    return decoded === null ? '' : utf8Text(decoded.userData);
  } catch {
    return '';
  }
}

/** Partitions of a topic in a member's assignment; none while the group shares them anew. */
export function decodeAssignment(assignment: Buffer, topic: string): readonly number[] {
  try {
    return AssignerProtocol.MemberAssignment.decode(assignment)?.assignment[topic] ?? [];
  } catch (error) {
    throw new LineproofError('UNAVAILABLE', "cannot share shards: the group's leader sent an assignment that is not one", {}, error);
  }
}
