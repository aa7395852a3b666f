import { LIMITS } from '../core/base/limits.ts';
import type { BatchHeader } from '../core/formats/batch.ts';
import { shardOf } from '../core/formats/shard.ts';
import type { PolicyInForce } from '../core/policy/policy-history.ts';
import type { Findings } from './findings.ts';

/** Consecutive blocks under one policy. */
interface Reign {
  readonly policy: PolicyInForce;
  /** Accepted times of the first and the last of them, microseconds. */
  readonly from: number;
  until: number;
}

/** The blocks of a shard's closed segments, in order. */
type ClosedBlocks = Reign[];

/** The heartbeats that a policy wants from a producer, from its first to its last block, microseconds. */
interface Demand {
  readonly from: number;
  readonly until: number;
  readonly everyMs: number;
  /** The longest gap, with the clock skew: microseconds. */
  readonly longest: number;
}

/** By policy: how often each producer must be heard, in milliseconds. */
type Intervals = ReadonlyMap<PolicyInForce, ReadonlyMap<string, number>>;

/** A stretch in which policies oblige a producer to send heartbeats: the demands of policies that follow each other. There is at least one. */
type Duty = readonly Demand[];

/**
 * Finds the producers whose policy wants heartbeats of them, and who were silent: a whole epoch may have been dropped. Silence is a gap between the times at
 * which heartbeats were signed, whenever they arrived, so that no clock of the log can hide or make one.
 */
export class SilenceAudit {
  readonly #findings: Findings;
  readonly #closed = new Map<number, ClosedBlocks>();
  /** `createdAt` of the heartbeats of each producer, in microseconds. */
  readonly #heard = new Map<string, number[]>();
  /** Shards of which evidence is missing, and so heartbeats may be. */
  readonly #blind = new Set<number>();

  constructor(findings: Findings) {
    this.#findings = findings;
  }

  /** Evidence of a shard is missing: nobody whose heartbeats go there is called silent. */
  lose(shard: number): void {
    this.#blind.add(shard);
  }

  /** Takes a block of a closed segment, in the order of its shard's log. */
  block(shard: number, acceptedAt: number, policy: PolicyInForce): void {
    const closed = this.#closed.get(shard) ?? [];
    this.#closed.set(shard, closed);
    const last = closed.at(-1);
    if (last?.policy === policy) last.until = acceptedAt;
    else closed.push({ policy, from: acceptedAt, until: acceptedAt });
  }

  /** Takes an ACCEPTED heartbeat. One with as many lanes as it can state goes on in the next header of its lane: only a shorter one completes the statement. */
  heartbeat({ producer, createdAt, lanes }: BatchHeader): void {
    if (lanes.length >= LIMITS.heartbeatLanes) return;
    const heard = this.#heard.get(producer);
    if (heard === undefined) this.#heard.set(producer, [createdAt]);
    else heard.push(createdAt);
  }

  /** Reports each silence, once all of the origin's `shards` were read. */
  finish(shards: number): void {
    const intervals = this.#intervals();
    const [furthest] = [...this.#closed.values()].toSorted((a, b) => endOf(b) - endOf(a));
    for (const producer of new Set([...intervals.values()].flatMap((each) => [...each.keys()]))) {
      const home = shardOf(producer, shards);
      if (furthest === undefined || this.#blind.has(home)) continue;
      const heard = (this.#heard.get(producer) ?? []).toSorted((a, b) => a - b);
      for (const duty of dutiesOf(producer, judgedBy(this.#closed.get(home), furthest), intervals))
        this.#check(producer, home, heard, duty);
    }
  }

  /** How often each policy wants to hear whom. */
  #intervals(): Intervals {
    const intervals = new Map<PolicyInForce, Map<string, number>>();
    for (const { policy } of [...this.#closed.values()].flat()) if (!intervals.has(policy)) intervals.set(policy, intervalsOf(policy));
    return intervals;
  }

  #check(producer: string, shard: number, heard: readonly number[], duty: Duty): void {
    // Where accepted times fell under a new policy, the earliest is the first.
    const from = duty.reduce((earliest, demand) => Math.min(earliest, demand.from), Infinity);
    const shortest = duty.reduce((least, demand) => Math.min(least, demand.longest), Infinity);
    const until = duty.at(-1)?.until ?? from;
    let before = from;
    for (const time of [...heard.filter((each) => each > from && each < until), until]) {
      // Most gaps break no demand at all: the demands are not searched for each of them.
      const broken = time - before > shortest ? mildest(duty, before, time) : undefined;
      if (broken !== undefined && time - before > broken.longest) {
        const { everyMs } = broken;
        const since = new Date(before / 1000).toISOString();
        const message = `${producer} must be heard every ${everyMs / 1000} s and was silent for ${Math.round((time - before) / 1e6)} s from ${since} on`;
        this.#findings.add('SILENCE', message, { shard });
      }
      before = time;
    }
  }
}

/** The blocks that say from when to when a producer must be heard: of its home shard, or of the one that is furthest, if home is too far behind that. */
function judgedBy(home: ClosedBlocks | undefined, furthest: ClosedBlocks): ClosedBlocks {
  const maxAgeMs = furthest.at(-1)?.policy.policy.segmentMaxAgeMs ?? 0;
  const reached = home === undefined ? (furthest[0]?.from ?? 0) : endOf(home);
  return endOf(furthest) - reached > maxAgeMs * 1000 ? furthest : (home ?? []);
}

/** The stretches in which a producer is obliged: from the first to the last of consecutive blocks whose policies oblige it. */
function dutiesOf(producer: string, closed: ClosedBlocks, intervals: Intervals): Duty[] {
  const duties: Demand[][] = [];
  let goesOn = false;
  for (const { policy, from, until } of closed) {
    const everyMs = intervals.get(policy)?.get(producer);
    if (everyMs !== undefined) {
      const demand = { from, until, everyMs, longest: (everyMs + policy.policy.clockSkewMs) * 1000 };
      if (goesOn) duties.at(-1)?.push(demand);
      else duties.push([demand]);
    }
    goesOn = everyMs !== undefined;
  }
  return duties;
}

function endOf(closed: ClosedBlocks): number {
  return closed.at(-1)?.until ?? 0;
}

/** The shortest interval that the ACTIVE keys of each producer have, in milliseconds. */
function intervalsOf({ policy }: PolicyInForce): Map<string, number> {
  const intervals = new Map<string, number>();
  for (const { key, status, heartbeatMs } of policy.producers) {
    const name = key.slice(0, key.indexOf('+'));
    if (status === 'ACTIVE' && heartbeatMs !== null) intervals.set(name, Math.min(heartbeatMs, intervals.get(name) ?? heartbeatMs));
  }
  return intervals;
}

/** The demand with the longest gap of those in force between two times: a policy that came within the gap makes nobody silent who kept to the one before. */
function mildest(duty: Duty, before: number, after: number): Demand {
  const inForce = duty.filter(({ from }, i) => from < after && (duty[i + 1]?.from ?? Infinity) > before);
  return (inForce.length > 0 ? inForce : duty).reduce((a, b) => (a.longest >= b.longest ? a : b));
}
