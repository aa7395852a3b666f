import { AssignerProtocol, type Consumer, type Kafka, type PartitionAssigner } from 'kafkajs';
import { sha256 } from '#crypto';
import { toHex, utf8, utf8Text } from '../core/base/bytes.ts';
import { LineproofError, messageOf } from '../core/base/errors.ts';
import { LOG } from '../core/base/log-lines.ts';
import type { Logger } from '../core/ports/logger.ts';
import type { ShardGroup } from '../core/ports/shard-group.ts';
import { askCoordinator, type KafkaSettings, kafkaClient, kafkaError } from './kafka-client.ts';

/** After this long without a heartbeat, a member's shards go to others. Short, so that a killed process is replaced within seconds. */
const SESSION_MS = 10_000;
const HEARTBEAT_MS = 1_000;
/** Time that members have to end their work before an assignment changes. */
const REBALANCE_MS = 10_000;
const COMMIT_MS = 1_000;
const ASSIGNER = 'lineproof-rendezvous';

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
  readonly logger: Logger;
}

/** A {@link ShardGroup} as a Kafka consumer group: its members read nothing through it, they only share partitions and commit offsets. */
export function openKafkaShardGroup(options: ShardGroupOptions): ShardGroup {
  return new KafkaShardGroup(options);
}

class KafkaShardGroup implements ShardGroup {
  readonly #options: ShardGroupOptions;
  readonly #kafka: Kafka;
  #owned: ReadonlySet<number> = new Set();
  #heardMs = 0;
  readonly #offsets = new Map<number, number>();
  #consumer: Consumer | undefined;

  constructor(options: ShardGroupOptions) {
    this.#options = options;
    this.#kafka = kafkaClient(options.kafka, options.logger);
  }

  owns(shard: number): boolean {
    return this.#owned.has(shard) && performance.now() - this.#heardMs < SESSION_MS;
  }

  committed(shard: number, offset: number): void {
    this.#offsets.set(shard, offset);
  }

  async members(): Promise<number | undefined> {
    try {
      return (await this.#consumer?.describeGroup())?.members.length;
    } catch (error) {
      throw kafkaError(`describe the group ${this.#options.groupId}`, error);
    }
  }

  async join(changed: (shards: ReadonlySet<number>) => Promise<void>, signal: AbortSignal): Promise<void> {
    const { groupId, topic } = this.#options;
    const consumer = this.#kafka.consumer({
      groupId,
      partitionAssigners: [rendezvousAssigner(this.#options)],
      sessionTimeout: SESSION_MS,
      heartbeatInterval: HEARTBEAT_MS,
      rebalanceTimeout: REBALANCE_MS,
      // Nothing is read through the group: little arrives before the pause.
      maxWaitTimeInMs: 250,
      maxBytes: 1024,
      maxBytesPerPartition: 1024,
      readUncommitted: true,
      retry: { retries: 5, initialRetryTime: 50, maxRetryTime: 1_000 },
    });
    const failed = this.#follow(consumer, changed);
    try {
      await consumer.connect();
      await askCoordinator(`join the group ${groupId}`, () => consumer.describeGroup(), signal);
      await consumer.subscribe({ topics: [topic], fromBeginning: true });
      await consumer.run({ autoCommit: false, eachBatchAutoResolve: false, eachBatch: async () => undefined });
      this.#consumer = consumer;
      await this.#stay(consumer, failed, signal);
    } catch (error) {
      throw kafkaError(`share the shards as ${groupId}`, error);
    } finally {
      this.#consumer = undefined;
      await this.#assign(new Set(), changed);
      await this.#commit(consumer);
      await consumer.disconnect().catch(() => undefined);
    }
  }

  /**
   * Listens to the membership events of kafkajs; the promise rejects when the consumer ends for good. While a group rebalances,
   * every member keeps its shards: work on shards that come back was never interrupted, and it is safe if two members work on a shard for a moment.
   */
  #follow(consumer: Consumer, changed: (shards: ReadonlySet<number>) => Promise<void>): Promise<never> {
    const { groupId, topic, shards, logger } = this.#options;
    const { HEARTBEAT, GROUP_JOIN, CRASH } = consumer.events;
    const heard = (): void => {
      this.#heardMs = performance.now();
    };
    consumer.on(HEARTBEAT, heard);
    consumer.on(GROUP_JOIN, ({ payload }) => {
      heard();
      // Paused at every join: after a crash, even one in the first attempt to join, kafkajs makes a new membership that is not paused.
      consumer.pause([{ topic }]);
      logger.info(LOG.groupJoined, { groupId, topic });
      const partitions = payload.memberAssignment[topic] ?? [];
      void this.#assign(new Set(partitions.filter((partition) => partition < shards)), changed);
    });
    return new Promise<never>((_, reject) => {
      consumer.on(CRASH, ({ payload }) => {
        void this.#assign(new Set(), changed);
        if (!payload.restart) reject(payload.error);
      });
    });
  }

  async #assign(shards: ReadonlySet<number>, changed: (shards: ReadonlySet<number>) => Promise<void>): Promise<void> {
    this.#owned = shards;
    try {
      await changed(shards);
    } catch (error) {
      this.#options.logger.error('work on shards could not be changed', { reason: messageOf(error) });
    }
  }

  /** Commits consumed offsets now and then, until the signal aborts or the membership fails. */
  async #stay(consumer: Consumer, failed: Promise<never>, signal: AbortSignal): Promise<void> {
    const timer = setInterval(() => void this.#commit(consumer), COMMIT_MS);
    try {
      await Promise.race([
        failed,
        new Promise<void>((resolve) => (signal.aborted ? resolve() : signal.addEventListener('abort', () => resolve(), { once: true }))),
      ]);
    } finally {
      clearInterval(timer);
    }
  }

  async #commit(consumer: Consumer): Promise<void> {
    const { topic, logger } = this.#options;
    const offsets = [...this.#offsets].map(([partition, offset]) => ({ topic, partition, offset: String(offset) }));
    this.#offsets.clear();
    if (offsets.length === 0) return;
    try {
      await consumer.commitOffsets(offsets);
    } catch (error) {
      logger.debug('offsets not committed', { reason: messageOf(error) });
    }
  }
}

/** One process of a group: the name that stays over restarts, and the id that the group gave it this time. */
export interface GroupMember {
  readonly name: string;
  readonly id: string;
}

/** Gives each shard to the member whose name scores highest for it, but none gets more than its share. A restart moves no shard, a new member few. Returns the shards by member id. */
export function rendezvous(members: readonly GroupMember[], shards: readonly number[]): ReadonlyMap<string, readonly number[]> {
  const share = Math.ceil(shards.length / Math.max(1, members.length));
  const given = new Map<string, number[]>(members.map(({ id }) => [id, []]));
  for (const shard of shards) {
    const ranked = members
      .filter(({ id }) => (given.get(id) as number[]).length < share)
      .map(({ name, id }) => ({ id, score: `${toHex(sha256(utf8(`${shard} ${name}`)))} ${id}` }))
      .toSorted((a, b) => (a.score < b.score ? 1 : -1));
    const [first] = ranked;
    if (first !== undefined) given.get(first.id)?.push(shard);
  }
  return given;
}

/** Members tell their stable names; the group's leader shares the partitions by {@link rendezvous}. */
function rendezvousAssigner({ topic, name }: ShardGroupOptions): PartitionAssigner {
  const { MemberMetadata, MemberAssignment } = AssignerProtocol;
  return ({ cluster }) => ({
    name: ASSIGNER,
    version: 1,
    protocol: ({ topics }) => ({
      name: ASSIGNER,
      metadata: MemberMetadata.encode({ version: 1, topics, userData: Buffer.from(utf8(name)) }),
    }),
    assign: async ({ members }) => {
      const partitions = cluster.findTopicPartitionMetadata(topic).map(({ partitionId }) => partitionId);
      if (partitions.length === 0) throw new LineproofError('UNAVAILABLE', `cannot share shards: partitions of ${topic} are not known`);
      const named = members.map(({ memberId, memberMetadata }) => ({ name: nameOf(memberMetadata), id: memberId }));
      const shares = rendezvous(
        named,
        partitions.toSorted((a, b) => a - b),
      );
      return members.map(({ memberId }) => ({
        memberId,
        memberAssignment: MemberAssignment.encode({
          version: 1,
          assignment: { [topic]: [...(shares.get(memberId) ?? [])] },
          userData: Buffer.alloc(0),
        }),
      }));
    },
  });
}

function nameOf(metadata: Buffer): string {
  const decoded = AssignerProtocol.MemberMetadata.decode(metadata);
  return decoded === null ? '' : utf8Text(decoded.userData);
}
