import type { Held, HoldState } from '../core/base/hold.ts';
import type { GroupState } from '../core/ports/shard-group.ts';

/** A shard that has input and consumes none of it for this long does not make progress; a call that lasts longer hangs. */
const STALL_MS = 60_000;
/** What fails for less is that of a moment, and is not told. */
const UNREAD_MS = 10_000;
const HELD_MS = 2_000;
/** Commits follow each other every few seconds. */
const COMMITS_LATE_MS = 30_000;

/** What a service knows of one of its shards; ages in milliseconds. */
export interface ShardHealth {
  readonly shard: number;
  /** First offset that is not consumed; undefined while the shard recovers. */
  readonly consumedTo: number | undefined;
  /** Why the shard waits, if it does; undefined while it is not worked on. */
  readonly hold: HoldState | undefined;
  /** How often and when its input was looked at; undefined before the first look. */
  readonly sight: SightState | undefined;
}

/** The input of a shard as it was seen last. */
export interface SightState {
  readonly lag: number;
  /** Since consumption moved, or nothing waited; both as of the last look that succeeded. */
  readonly stillMs: number;
  /** Since the first look that gave no answer after the last that did; undefined if the last did. */
  readonly unreadMs: number | undefined;
  readonly problem: string | undefined;
}

/** Follows the input of one shard. Only the watch of the service changes it. */
export class ShardSight {
  #offset: number | undefined;
  #lag = 0;
  #movedMs = 0;
  #unreadSinceMs: number | undefined;
  #problem: string | undefined;

  /** A look begins; until it succeeds the input counts as not read. */
  begin(nowMs: number): void {
    this.#unreadSinceMs ??= nowMs;
  }

  saw(offset: number, lag: number, nowMs: number): void {
    if (this.#offset !== offset || lag === 0) this.#movedMs = nowMs;
    [this.#offset, this.#lag, this.#unreadSinceMs, this.#problem] = [offset, lag, undefined, undefined];
  }

  failed(reason: string): void {
    this.#problem = reason;
  }

  state(nowMs: number): SightState {
    const unreadMs = this.#unreadSinceMs === undefined ? undefined : nowMs - this.#unreadSinceMs;
    return { lag: this.#lag, stillMs: nowMs - this.#movedMs, unreadMs, problem: this.#problem };
  }
}

/**
 * Why a restart of this process would help, a line each; undefined if it would not: work makes progress, there is none, or it waits for something that
 * another process cannot change either. A server that is away is no such reason.
 */
export function aliveProblem(group: GroupState, shards: readonly ShardHealth[]): string | undefined {
  const problems: string[] = [];
  const { heardForMs } = group;
  if (group.turnAgeMs > STALL_MS) problems.push(`the membership hangs in a call for ${seconds(group.turnAgeMs)}`);
  for (const { shard, hold, sight } of shards) {
    if (sight === undefined) continue;
    const { lag, stillMs, unreadMs = 0, problem } = sight;
    // Only time counts in which the group answered: then brokers were there, and it was us who could not read, or did not work.
    const [unread, still] = [Math.min(unreadMs, heardForMs), Math.min(stillMs, heardForMs, hold?.restMs ?? 0)];
    if (unread > STALL_MS) problems.push(`shard ${shard} cannot be read for ${seconds(unreadMs)}${because(problem)}`);
    else if (lag > 0 && still > STALL_MS) problems.push(`no progress on shard ${shard} for ${seconds(stillMs)}`);
  }
  return lines(problems);
}

/** Why this process does not do its share of the work now, a line each; undefined if it does. */
export function readyProblem(group: GroupState, shards: readonly ShardHealth[] | undefined): string | undefined {
  const problems: string[] = [];
  const { member, heardAgeMs, heardForMs, commitWaitsMs, problem, commitProblem } = group;
  if (!member) problems.push(`not in the group${because(problem)}`);
  else if (heardForMs === 0) problems.push(`no heartbeat for ${seconds(heardAgeMs ?? 0)}${because(problem)}`);
  if ((commitWaitsMs ?? 0) > COMMITS_LATE_MS)
    problems.push(`commits do not take for ${seconds(commitWaitsMs ?? 0)}${because(commitProblem)}`);
  if (shards === undefined) problems.push('no shards were given yet');
  for (const { shard, consumedTo, hold, sight } of shards ?? []) {
    const held = lastingHold(hold);
    if (held !== undefined) problems.push(`shard ${shard} held: ${held.text}`);
    if (consumedTo === undefined) problems.push(`recovering shard ${shard}`);
    const unreadMs = sight?.unreadMs ?? 0;
    if (unreadMs > UNREAD_MS) problems.push(`shard ${shard} cannot be read for ${seconds(unreadMs)}${because(sight?.problem)}`);
  }
  return lines(problems);
}

/** What holds a shard for long enough to be told, on `/readyz` and by the metrics `…_held`. */
export function lastingHold(hold: HoldState | undefined): Held | undefined {
  return hold?.held !== undefined && hold.held.forMs > HELD_MS ? hold.held : undefined;
}

function because(problem: string | undefined): string {
  return problem === undefined ? '' : `: ${problem}`;
}

function seconds(ms: number): string {
  return `${Math.round(ms / 1000)} s`;
}

function lines(problems: readonly string[]): string | undefined {
  return problems.length === 0 ? undefined : problems.join('\n');
}
