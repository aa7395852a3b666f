import { askBroker, closeCluster, type KafkaBroker, type KafkaCall, type KafkaCluster, reachBroker } from './kafka-client.ts';

/** The requests of Kafka's group protocol, as a broker of kafkajs offers them: each is one request, sent once. */
export interface GroupBroker {
  /** A refusal MEMBER_ID_REQUIRED (KIP-394) is answered inside with the id that came with it. */
  joinGroup(request: {
    readonly groupId: string;
    readonly sessionTimeout: number;
    readonly rebalanceTimeout: number;
    readonly memberId: string;
    readonly groupProtocols: readonly { readonly name: string; readonly metadata: Buffer }[];
  }): Promise<{
    readonly generationId: number;
    readonly leaderId: string;
    readonly memberId: string;
    readonly members: readonly { readonly memberId: string; readonly memberMetadata: Buffer }[];
  }>;
  syncGroup(request: {
    readonly groupId: string;
    readonly generationId: number;
    readonly memberId: string;
    readonly groupAssignment: readonly { readonly memberId: string; readonly memberAssignment: Buffer }[];
  }): Promise<{ readonly memberAssignment: Buffer }>;
  heartbeat(request: { readonly groupId: string; readonly groupGenerationId: number; readonly memberId: string }): Promise<unknown>;
  offsetCommit(request: {
    readonly groupId: string;
    readonly groupGenerationId: number;
    readonly memberId: string;
    readonly topics: readonly {
      readonly topic: string;
      readonly partitions: readonly { readonly partition: number; readonly offset: string }[];
    }[];
  }): Promise<unknown>;
  offsetFetch(request: {
    readonly groupId: string;
    readonly topics: readonly { readonly topic: string; readonly partitions: readonly { readonly partition: number }[] }[];
  }): Promise<{
    readonly responses: readonly { readonly partitions: readonly { readonly partition: number; readonly offset: string }[] }[];
  }>;
  describeGroups(request: { readonly groupIds: readonly string[] }): Promise<{ readonly groups: readonly DescribedGroup[] }>;
  leaveGroup(request: { readonly groupId: string; readonly memberId: string }): Promise<unknown>;
}

/** A group as its coordinator describes it. */
export interface DescribedGroup {
  readonly members: readonly { readonly clientId: string; readonly memberMetadata: Buffer; readonly memberAssignment: Buffer }[];
}

/** Any broker tells which one coordinates a group. */
interface LookupBroker {
  findGroupCoordinator(request: {
    readonly groupId: string;
    readonly coordinatorType: number;
  }): Promise<{ readonly coordinator: { readonly nodeId: number } }>;
}

/** Coordinator of a consumer group, not of a transaction. */
const GROUP = 0;
/** Refusals of a broker that is the coordinator: it need not be looked for again. */
const OF_THE_COORDINATOR = ['REBALANCE_IN_PROGRESS', 'ILLEGAL_GENERATION', 'UNKNOWN_MEMBER_ID', 'FENCED_INSTANCE_ID'];

/**
 * The way to the broker that coordinates a group. Kafka chooses it at the first request for the group and moves it when brokers come and go, so it is looked
 * for again after each failure that does not come from the coordinator itself. Owns its connections, which nobody else uses.
 */
export class KafkaCoordinator {
  readonly #cluster: KafkaCluster;
  readonly #group: { readonly groupId: string; readonly topic: string };
  #nodeId: string | undefined;
  /** Look-ups so far: each goes to the next broker, since one of them may be silent. */
  #lookups = 0;

  constructor(cluster: KafkaCluster, group: { readonly groupId: string; readonly topic: string }) {
    this.#cluster = cluster;
    this.#group = group;
  }

  /** One request, sent once; its outcome is unknown when it fails. Throws what kafkajs throws, and UNAVAILABLE when there is no answer in time. */
  async ask<T>(call: KafkaCall, ask: (broker: GroupBroker) => Promise<T>): Promise<T> {
    try {
      const broker = await reachBroker(this.#cluster, call.act, () => this.#reach());
      return await askBroker(this.#cluster, broker, call, ask);
    } catch (error) {
      if (!OF_THE_COORDINATOR.includes((error as { type?: string }).type ?? '')) this.forget();
      throw error;
    }
  }

  /** Partitions of the group's topic, rising; none before the first request succeeded. */
  partitions(): readonly number[] {
    return this.#cluster
      .findTopicPartitionMetadata(this.#group.topic)
      .map(({ partitionId }) => partitionId)
      .toSorted((a, b) => a - b);
  }

  /** The next request looks for the coordinator. */
  forget(): void {
    this.#nodeId = undefined;
  }

  async close(): Promise<void> {
    await closeCluster(this.#cluster);
  }

  async #reach(): Promise<GroupBroker> {
    await this.#cluster.connect();
    await this.#cluster.addTargetTopic(this.#group.topic);
    this.#nodeId ??= await this.#find();
    return (await this.#cluster.findBroker({ nodeId: this.#nodeId })) as unknown as GroupBroker;
  }

  async #find(): Promise<string> {
    if (this.#lookups > 0) await this.#cluster.refreshMetadata();
    const nodeIds = this.#cluster.getNodeIds();
    const nodeId = nodeIds[this.#lookups++ % nodeIds.length] as string;
    const broker = (await this.#cluster.findBroker({ nodeId })) as KafkaBroker & LookupBroker;
    const { coordinator } = await broker.findGroupCoordinator({ groupId: this.#group.groupId, coordinatorType: GROUP });
    return String(coordinator.nodeId);
  }
}
