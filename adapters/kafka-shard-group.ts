import { messageOf } from '../core/base/errors.ts';
import { LOG } from '../core/base/log-lines.ts';
import { RefusalWatch, type RetryPace, waitAfter } from '../core/base/retry.ts';
import { unlessAborted } from '../core/base/unless-aborted.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Logger } from '../core/ports/logger.ts';
import type { GroupState, ShardGroup } from '../core/ports/shard-group.ts';
import { kafkaClient, kafkaError } from './kafka-client.ts';
import { GroupCommits } from './kafka-group-commits.ts';
import { type GroupCalls, groupCalls, type Membership, SESSION_MS, type ShardGroupOptions } from './kafka-group-wire.ts';
import { systemClock } from './system-clock.ts';

const HEARTBEAT_MS = 1_000;
const COMMIT_MS = 1_000;
/** Between attempts that fail; each wait is shortened by up to a half at random, so that members do not come all at once. */
const RETRY_PACE: RetryPace = { firstMs: 50, maxMs: 1_000 };
/** Failures in a row after which an operator should know. */
const ALARM_FAILURES = 6;
/** If heartbeats are answered and commits do not take for so long, the two may go to different coordinators. */
const COMMITS_STUCK_MS = 20_000;
/** A process that ends does not wait longer than this for its last commit and its leave; then its session runs out. */
const LEAVE_MS = 2_000;
const NO_SHARDS: ReadonlySet<number> = new Set();

/** Refusals after which a member joins again with its id: the group has, or will have, another generation. */
const JOIN_AGAIN = ['REBALANCE_IN_PROGRESS', 'ILLEGAL_GENERATION'];
/** Refusals after which it joins as a new member: the group does not know its id any more. */
const JOIN_AS_NEW = ['UNKNOWN_MEMBER_ID', 'FENCED_INSTANCE_ID'];

type Changed = (shards: ReadonlySet<number>) => Promise<void>;

/** A {@link ShardGroup} as a Kafka consumer group: its members read nothing through it, they only share partitions and commit offsets. */
export function openKafkaShardGroup(options: ShardGroupOptions & { readonly logger: Logger }): ShardGroup {
  const { groupId, logger } = options;
  return new KafkaShardGroup(groupCalls(kafkaClient(options.kafka, logger), options), { groupId, logger, clock: systemClock });
}

export interface MembershipOptions {
  readonly groupId: string;
  readonly logger: Logger;
  readonly clock: Clock;
}

/**
 * The loop of one member. Its fields change in `join` and in the steps that `#stay` calls, one after the other; `#commitNowAndThen` runs beside them and
 * changes why the last commit failed, and nothing else.
 */
export class KafkaShardGroup implements ShardGroup {
  readonly #calls: GroupCalls;
  readonly #o: MembershipOptions;
  readonly #commits: GroupCommits;
  #owned = NO_SHARDS;
  /** The id that the group knows this process by; empty if it does not. */
  #memberId = '';
  /** Undefined while this process must join. */
  #generationId: number | undefined;
  /** When the newest answered heartbeat was sent: the session counts from then at the earliest. */
  #heardMs: number | undefined;
  /** When the group began to answer without a gap of a session. */
  #hearingSinceMs = 0;
  /** When the present step began. */
  #turnMs: number;
  /** When commits that did not take made this member join again. */
  #rejoinedMs = 0;
  /** Why the last call, and the last commit, failed. */
  readonly #problems: { call: string | undefined; commit: string | undefined } = { call: undefined, commit: undefined };

  constructor(calls: GroupCalls, options: MembershipOptions) {
    this.#calls = calls;
    this.#o = options;
    this.#commits = new GroupCommits(options.clock);
    this.#turnMs = options.clock.monotonicMs();
  }

  owns(shard: number): boolean {
    return this.#owned.has(shard) && this.#heardLately(this.#o.clock.monotonicMs());
  }

  committed(shard: number, offset: number): void {
    this.#commits.put(shard, offset);
  }

  async members(): Promise<number | undefined> {
    if (this.#generationId === undefined) return undefined;
    try {
      return await this.#calls.members();
    } catch (error) {
      throw kafkaError(`describe the group ${this.#o.groupId}`, error);
    }
  }

  state(): GroupState {
    const now = this.#o.clock.monotonicMs();
    const { taken, waitsMs } = this.#commits.state();
    return {
      member: this.#generationId !== undefined || this.#heardLately(now),
      heardAgeMs: this.#heardMs === undefined ? undefined : now - this.#heardMs,
      heardForMs: this.#heardLately(now) ? now - this.#hearingSinceMs : 0,
      turnAgeMs: now - this.#turnMs,
      commitWaitsMs: waitsMs,
      committed: taken,
      problem: this.#problems.call,
      commitProblem: this.#problems.commit,
    };
  }

  async join(changed: Changed, signal: AbortSignal): Promise<void> {
    const over = new AbortController();
    const staying = Promise.all([this.#stay(changed, signal, over.signal), this.#commitNowAndThen(over.signal)]);
    try {
      await Promise.race([staying, aborted(signal)]);
    } finally {
      // Heartbeats go on until the work on the shards has ended: others get them then, and not before.
      await this.#assign(NO_SHARDS, changed);
      over.abort();
      await staying.catch(() => undefined);
      const left = new AbortController();
      await Promise.race([this.#leave().finally(() => left.abort()), this.#o.clock.sleep(LEAVE_MS, left.signal)]);
      await this.#calls.close();
      this.#commits.assigned(NO_SHARDS);
      [this.#memberId, this.#generationId, this.#heardMs] = ['', undefined, undefined];
    }
  }

  /**
   * The protocol: join, have the shards shared, then a heartbeat every second; a refusal says where to go on. The coordinator is found by the calls themselves.
   * Nothing that passes ends it. While the group shares anew, the member keeps its shards: work on those that come back was never interrupted, and it is safe
   * if two members work on a shard for a moment.
   */
  async #stay(changed: Changed, signal: AbortSignal, over: AbortSignal): Promise<void> {
    const { clock } = this.#o;
    let refusals = new RefusalWatch();
    for (let failures = 0; !over.aborted; ) {
      this.#turnMs = clock.monotonicMs();
      try {
        if (this.#generationId === undefined) await this.#enter(changed, signal, over);
        await this.#beat(over);
        if (failures >= ALARM_FAILURES) this.#o.logger.info(LOG.groupHeard, { groupId: this.#o.groupId });
        failures = 0;
        refusals = new RefusalWatch();
        this.#problems.call = undefined;
        await clock.sleep(HEARTBEAT_MS, over);
      } catch (error) {
        if (over.aborted) return;
        this.#goOnAfter(error, refusals);
        failures++;
        if (failures === ALARM_FAILURES) this.#o.logger.warn(LOG.groupAway, { groupId: this.#o.groupId, reason: this.#problems.call });
        await clock.sleep(waitAfter(failures, RETRY_PACE) * (1 - Math.random() / 2), over);
      }
    }
  }

  /** Joins and takes the assignment. COMMIT POINT of membership: the answer to `sync`. */
  async #enter(changed: Changed, signal: AbortSignal, over: AbortSignal): Promise<void> {
    const { clock, groupId, logger } = this.#o;
    const joined = await unlessOver(this.#calls.join(this.#memberId), over);
    this.#memberId = joined.memberId;
    const sentMs = clock.monotonicMs();
    this.#turnMs = sentMs;
    const shards = await unlessOver(this.#calls.sync(joined), over);
    this.#generationId = joined.generationId;
    this.#heard(sentMs);
    logger.info(LOG.groupJoined, { groupId });
    this.#commits.assigned(shards);
    // While the work ends, nothing new is begun.
    if (!signal.aborted) void this.#assign(shards, changed);
  }

  async #beat(over: AbortSignal): Promise<void> {
    const { clock } = this.#o;
    const sentMs = clock.monotonicMs();
    this.#turnMs = sentMs;
    await unlessOver(this.#calls.heartbeat(this.#membership() as Membership), over);
    this.#heard(sentMs);
    const stuckMs = Math.min(this.#commits.state().waitsMs ?? 0, sentMs - this.#rejoinedMs);
    if (stuckMs <= COMMITS_STUCK_MS) return;
    this.#rejoinedMs = sentMs;
    this.#calls.forget();
    this.#generationId = undefined;
  }

  /** What follows a failure. Throws CONFIG_INVALID if a refusal lasts that only an operator can end. */
  #goOnAfter(error: unknown, refusals: RefusalWatch): void {
    const { clock, groupId } = this.#o;
    const type = (error as { type?: string }).type ?? '';
    const failure = refusals.passing(kafkaError(`share the shards as ${groupId}`, error), clock.monotonicMs());
    this.#problems.call = failure.message;
    // The group has given the shards to others, or is about to.
    if (JOIN_AS_NEW.includes(type)) [this.#memberId, this.#heardMs] = ['', undefined];
    if (!this.#heardLately(clock.monotonicMs()) || JOIN_AGAIN.includes(type) || JOIN_AS_NEW.includes(type)) this.#generationId = undefined;
  }

  /** A request that was sent then was answered: the session counts from then at the earliest. */
  #heard(sentMs: number): void {
    if (!this.#heardLately(sentMs)) this.#hearingSinceMs = sentMs;
    this.#heardMs = sentMs;
  }

  #heardLately(now: number): boolean {
    return this.#heardMs !== undefined && now - this.#heardMs < SESSION_MS;
  }

  #membership(): Membership | undefined {
    return this.#generationId === undefined ? undefined : { memberId: this.#memberId, generationId: this.#generationId };
  }

  async #assign(shards: ReadonlySet<number>, changed: Changed): Promise<void> {
    this.#owned = shards;
    try {
      await changed(shards);
    } catch (error) {
      this.#o.logger.error('work on shards could not be changed', { reason: messageOf(error) });
    }
  }

  async #commitNowAndThen(over: AbortSignal): Promise<void> {
    const { clock, groupId } = this.#o;
    let refusals = new RefusalWatch();
    while (!over.aborted) {
      await clock.sleep(COMMIT_MS, over);
      try {
        // Nothing was refused where nothing was sent.
        if (!(await unlessOver(this.#commit(), over))) continue;
        refusals = new RefusalWatch();
        this.#problems.commit = undefined;
      } catch (error) {
        if (over.aborted) return;
        const failure = kafkaError(`commit offsets of the group ${groupId}`, error);
        this.#problems.commit = refusals.passing(failure, clock.monotonicMs()).message;
      }
    }
  }

  /** Whether offsets waited and the group took them. */
  async #commit(): Promise<boolean> {
    const member = this.#membership();
    return member !== undefined && this.#commits.send((offsets) => this.#calls.commit(member, offsets));
  }

  /** Best effort: if the group does not hear of it, it finds out when the session has run out. */
  async #leave(): Promise<void> {
    try {
      await this.#commit();
      if (this.#memberId !== '') await this.#calls.leave(this.#memberId);
    } catch (error) {
      this.#o.logger.debug('group not left', { reason: messageOf(error) });
    }
  }
}

/** Resolves when the signal aborts. */
function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => (signal.aborted ? resolve() : signal.addEventListener('abort', () => resolve(), { once: true })));
}

/** The outcome of a call; CLOSED as soon as the membership is over. */
function unlessOver<T>(call: Promise<T>, over: AbortSignal): Promise<T> {
  return unlessAborted(call, over, 'cannot ask the group: the membership is over');
}
