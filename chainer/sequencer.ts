import type { LogState, LogView } from '../core/acceptance/log-state.ts';
import { segmentEnds } from '../core/acceptance/segment-rule.ts';
import { type ErrorCode, hasCode, LineproofError } from '../core/base/errors.ts';
import { Hold, type HoldState } from '../core/base/hold.ts';
import { LOG } from '../core/base/log-lines.ts';
import { waitAfter } from '../core/base/retry.ts';
import { parseTraceparent, TRACEPARENT } from '../core/base/traceparent.ts';
import { ChainFollower, type FollowedBlock } from '../core/chain/follower.ts';
import type { Sources } from '../core/chain/governance-source.ts';
import type { ArchiveAnchor } from '../core/chain/recovery-point.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { DedupIndex } from '../core/ports/dedup-index.ts';
import { type Log, TOPICS } from '../core/ports/log.ts';
import type { Logger } from '../core/ports/logger.ts';
import type { Metrics } from '../core/ports/metrics.ts';
import type { Signer } from '../core/ports/signer.ts';
import { AttestedRoot } from './attested-root.ts';
import { buildBlock } from './block-builder.ts';
import { acceptedIdentities, identitiesAt } from './block-identities.ts';
import { BlockReport } from './block-report.ts';
import { blockTraces } from './block-traces.ts';
import { type DedupSettings, DedupSync } from './dedup-sync.ts';
import { Fitness } from './fitness.ts';
import { type Flight, Flights } from './flights.ts';
import type { BatchSchemaIds } from './intake.ts';
import { IntakeQueue } from './intake-queue.ts';
import { checkLastInput } from './last-input.ts';
import type { LocalState } from './local-state.ts';
import { LogTime } from './log-time.ts';
import { lookupKeys, order, orderTimes } from './order.ts';
import { sealTime } from './seal-time.ts';
import { ALARM_FAILURES, RETRY_PACE, type ShardRetry, shardRetry } from './shard-retry.ts';

/** The limit of a block, less the bytes of a seal, its signature and the framing. */
const BLOCK_BUDGET = 950_000;
/** Maximum bytes of one read of the chain topic: a few blocks. */
const READ_BYTES = 2 * 1024 * 1024;
/** Bytes of refused records in one append: a log bounds the size of an append. */
const REJECTED_BYTES = 900_000;
/** Maximum rounds in which a clean stop waits for blocks in flight. */
const DRAIN_ROUNDS = 10;

export interface SequencerSettings extends DedupSettings {
  /** Blocks that may be appended before the first of them was judged. */
  readonly depth: number;
  /** How long an idle shard waits for input before it looks at its timers. */
  readonly pollMs: number;
  /** Local state is written at most this often. */
  readonly stateIntervalMs: number;
  /** New policies are read at most this often. */
  readonly policyIntervalMs: number;
  /** Whether the log dates records by a clock of its own, which is then asked for before the first seal. */
  readonly asksLogTime: boolean;
  /** Codes of failures for which the work ends once they last, because another process may do better; all others are waited for. */
  readonly handsOver?: readonly ErrorCode[];
}

export const SEQUENCER_DEFAULTS: SequencerSettings = {
  depth: 2,
  pollMs: 100,
  stateIntervalMs: 1_000,
  policyIntervalMs: 1_000,
  asksLogTime: true,
  confirmIdentities: 4_096,
  confirmIntervalMs: 1_000,
};

export interface SequencerOptions {
  readonly origin: string;
  readonly shard: number;
  readonly shards: number;
  readonly log: Log;
  readonly dedup: DedupIndex;
  readonly local: LocalState;
  readonly anchor: ArchiveAnchor;
  readonly sources: Sources;
  readonly ids: BatchSchemaIds;
  readonly signer: Signer;
  /** Registry id of the Block schema. */
  readonly blockSchemaId: number;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly settings: SequencerSettings;
  /** Whether this process still owns the shard; asked before every block. */
  readonly owns: () => boolean;
}

/**
 * The owner of the work on one shard: orders its input into blocks. docs/sequencer.md is the protocol, and names the file of each step.
 * Each piece of state is in the part that may change it: the judged log in `chain`, blocks in flight in `flights`, judged input in `input`,
 * the watermark of the index in `dedup`. The fields of this class change in `#recover`, `#orRecover` and `#writeState` only.
 */
export class Sequencer {
  readonly #o: SequencerOptions;
  readonly #chain: ChainFollower;
  readonly #flights: Flights;
  readonly #input: IntakeQueue;
  readonly #dedup: DedupSync;
  readonly #fitness: Fitness;
  readonly #logTime: LogTime;
  readonly #attested = new AttestedRoot();
  readonly #report: BlockReport;
  readonly #hold: Hold;
  readonly #retry: ShardRetry;
  #recovered = false;
  /** Size of the log after the last recovery from a chain that was trimmed before we read it. If this happens again at the same size, we STOP. */
  #recoveredAt: number | undefined;
  #stateWrittenMs = 0;

  constructor(options: SequencerOptions) {
    this.#o = options;
    this.#hold = new Hold(options.clock);
    const withHold = { ...options, hold: this.#hold };
    this.#chain = new ChainFollower(withHold);
    this.#logTime = new LogTime(options.log, options.clock);
    this.#flights = new Flights(this.#logTime, options.shard, this.#hold);
    this.#retry = shardRetry({ ...withHold, handsOver: options.settings.handsOver });
    const tail = (signal: AbortSignal): Promise<void> => this.#tail(signal);
    this.#input = new IntakeQueue(withHold, { top: () => this.#top(), tail });
    this.#dedup = new DedupSync(options, { chain: this.#chain, flights: this.#flights, retry: this.#retry, tail });
    this.#fitness = new Fitness({ ...withHold, logTime: this.#logTime });
    this.#report = new BlockReport(options);
  }

  /** The state of the log as judged so far; read only. */
  get state(): LogState {
    return this.#chain.state;
  }

  /** First input offset that no accepted block has consumed; undefined while the state is being recovered. */
  get consumedTo(): number | undefined {
    return this.#recovered ? this.state.head.inputTo : undefined;
  }

  /** Why the shard waits, if it does. */
  get hold(): HoldState {
    return this.#hold.state();
  }

  /** Owns the shard until `signal` aborts or a rule says STOP, which throws. */
  async run(signal: AbortSignal): Promise<void> {
    await this.#retry(signal, () => this.#orRecover(signal, () => this.#recover(signal)));
    while (!signal.aborted && !(this.#recovered && this.#top().head.final)) {
      // A recovery that failed half-way, at the start or later, is repeated as a whole: only its end compares the log with the attested root.
      await this.#retry(signal, () => this.#orRecover(signal, () => (this.#recovered ? this.#step(signal) : this.#recover(signal))));
    }
    if (this.state.head.final) this.#o.logger.info(LOG.shardEnded, { shard: this.#o.shard });
    await this.#drain(signal);
  }

  /**
   * STEP: the path from input to a block that counts, from top to bottom. Lines 1 to 6 append the next block while fewer than `depth` are
   * in flight; line 7 judges the oldest of these. From line 6 on a crash is harmless: the log holds the block or does not hold it,
   * and a restart reads from the chain which of the two is true. Before line 6 nothing counts yet: a crash loses the work, and at most
   * stores refused bytes twice.
   */
  async #step(signal: AbortSignal): Promise<void> {
    const { owns, settings, clock, sources, signer, blockSchemaId } = this.#o;
    await this.#fitness.lookAround(this.state.head);
    const works = owns() && this.#fitness.fit;
    if (works && this.#flights.count < settings.depth) {
      // 1. Input, from where our last block ends; each message is judged by itself.
      await this.#input.fill(this.#flights.count > 0 || this.#tickDue() ? 0 : settings.pollMs, signal);
      const intakes = this.#input.next(BLOCK_BUDGET);
      if (intakes.length > 0 || this.#tickDue()) {
        // 2. Look up which of it was linked before. COMMIT POINT of the identities of earlier, accepted blocks; none of this block is written.
        const known = await this.#dedup.lookup(intakes.flatMap(lookupKeys), signal);
        const view = this.#top();
        if (known === undefined || view.head.final) return;
        // 3. Its order: a pure function.
        const { policy, start } = this.#input;
        this.#fitness.checkKey(policy);
        const acceptedAt = this.#fitness.dateSeal(view.head, policy);
        if (acceptedAt === undefined) return;
        const place = { acceptedAt, inputGeneration: start.inputGeneration };
        const ordered = order(view, intakes, known, { ...place, ...orderTimes(policy) });
        // 4. COMMIT POINT of the refused bytes: acknowledged before any block names them.
        await this.#keepRejected(ordered.rejected, signal);
        // 5. The block, sealed, signed, and checked by the acceptance function: a refusal is STOP.
        const rules = { ...place, policy, inputFrom: start.inputTo, final: false };
        const { value, accepted } = await buildBlock(view, ordered, rules, { signer, schemaId: blockSchemaId, context: sources.context() });
        // 6. Its append. The log may take it now, later, twice or never; COMMIT POINT of the block is where every reader accepts it.
        this.#input.remove(intakes.length);
        const identities = acceptedIdentities(accepted, -1, ordered.keys);
        this.#flights.launch({ value, accepted, traces: blockTraces(intakes), identities }, view);
        this.#report.built(value);
        return;
      }
    }
    // 7. Read the outcome of the oldest block in flight: ADVANCE if it counts.
    if (this.#flights.count > 0) await this.#settle(signal);
    else if (works && this.#input.isHeld) await this.#input.obtainSchema();
    else if (!works) await clock.sleep(settings.pollMs, signal);
    await this.#writeState(false);
  }

  /** Sends all refused bytes to `provenance.rejected`, in few appends. */
  async #keepRejected(rejected: readonly Uint8Array[], signal: AbortSignal): Promise<void> {
    for (const values of grouped(rejected, REJECTED_BYTES)) {
      const records = values.map((value) => ({ key: null, value }));
      await this.#retry(signal, () => this.#logTime.append(TOPICS.rejected, this.#o.shard, records));
    }
  }

  /** SETTLE: awaits the answer for the oldest flight and judges it. */
  async #settle(signal: AbortSignal): Promise<void> {
    const flight = this.#flights.oldest as Flight;
    const answer = await flight.append;
    if ('offset' in answer && answer.offset === this.#chain.readPos) {
      // It is where the next block is read, and acceptance accepted it on exactly this state: so every reader accepts it.
      this.#advance(this.#chain.accept(flight.accepted, answer.offset));
      return;
    }
    if ('error' in answer) this.#report.unconfirmed(flight, answer.error);
    await this.#tail(signal);
    if (this.#flights.oldest !== flight) return;
    if ('error' in answer) this.#flights.checkRefusal(answer.error, this.#o.clock.monotonicMs());
    const tries = this.#flights.countTry(answer);
    if (tries === ALARM_FAILURES) this.#report.stuck(flight);
    await this.#o.clock.sleep(waitAfter(tries, RETRY_PACE), signal);
    this.#flights.appendAgain();
  }

  /** TAIL: judges every record from the read position to the present end of the log. */
  async #tail(signal: AbortSignal): Promise<void> {
    for await (const block of this.#chain.readToEnd(READ_BYTES, signal)) this.#advance(block);
  }

  /** ADVANCE, after the chain moved over an accepted block. COMMIT POINT of the block: it is in the log and every reader accepts it. */
  #advance({ accepted, offset, headers, forgottenLanes }: FollowedBlock): void {
    const own = this.#flights.land(accepted.delta.head.seal);
    if (own === undefined) this.#forgetWork();
    this.#o.local.remember(accepted.delta, forgottenLanes);
    this.#dedup.remember(own === undefined ? acceptedIdentities(accepted, offset) : identitiesAt(own.identities, offset));
    this.#attested.check(accepted.delta.head);
    this.#report.accepted(accepted, offset, own?.traces ?? [parseTraceparent(headers?.[TRACEPARENT])]);
  }

  /** Another process's block is accepted: our blocks in flight, and the input that we read, belong to a chain that does not exist. */
  #forgetWork(): void {
    if (this.#flights.count > 0) this.#report.lostRace();
    this.#flights.forget();
    this.#input.drop();
  }

  /** The view at the end of everything appended by us. */
  #top(): LogView {
    return this.#flights.top(this.#chain.state);
  }

  /** Whether nothing is in flight and the archive's open segment is so old that the next seal ends it. Then a block is made even without input. */
  #tickDue(): boolean {
    if (this.#flights.count > 0) return false;
    const { latest } = this.#o.sources.policies;
    const acceptedAt = sealTime(this.state.head, latest, this.#o.clock.nowMicros());
    return segmentEnds(this.#chain.segment, acceptedAt, latest.policy.segmentMaxAgeMs);
  }

  /** TRIMMED: a newer snapshot replaces the blocks that were trimmed before we read them. If there is none, STOP. */
  async #orRecover(signal: AbortSignal, action: () => Promise<void>): Promise<void> {
    try {
      await action();
    } catch (error) {
      if (!(error instanceof LineproofError && hasCode(error, 'CHAIN_TRIMMED'))) throw error;
      if (this.#recoveredAt === this.state.head.size) throw error;
      this.#o.logger.warn(LOG.chainTrimmed, { shard: this.#o.shard, reason: error.message });
      await this.#recover(signal);
      this.#recoveredAt = this.state.head.size;
    }
  }

  /** RECOVER: goes on from the newer of local state and snapshot, and compares the log with the root that the archive attests. */
  async #recover(signal: AbortSignal): Promise<void> {
    const { shard, log, anchor, local, sources, logger } = this.#o;
    this.#recovered = false;
    await sources.refreshPolicies();
    await sources.refreshSchemas();
    const [own, snapshot] = [await local.load(), await anchor.snapshot(shard)];
    const attested = await anchor.signed(shard);
    const fromSnapshot = snapshot !== undefined && snapshot.head.size > (own?.head.size ?? 0);
    if (fromSnapshot) await local.wipe();
    this.#chain.resume(fromSnapshot ? snapshot : own);
    if (fromSnapshot) local.rememberAll(this.state);
    this.#forgetWork();
    this.#dedup.reset();
    const { size: from } = this.state.head;
    this.#attested.expect(attested, this.state.head);
    await this.#tail(signal);
    const { head } = this.state;
    this.#attested.mustBeReached(head);
    // A newer generation is another topic: it holds none of the consumed input.
    if (sources.policies.latest.policy.inputGeneration.generation === head.inputGeneration) await checkLastInput(log, this.#chain);
    this.#recovered = true;
    logger.info(LOG.shardRecovered, { shard, from, size: head.size, streams: this.state.streamCount });
  }

  /** Awaits the blocks in flight, so that a clean stop leaves nothing undecided. */
  async #drain(signal: AbortSignal): Promise<void> {
    for (let round = 0; this.#flights.count > 0 && round < DRAIN_ROUNDS; round++) await this.#settle(signal);
    await this.#writeState(true);
  }

  /** Writes the local state, now and then: derived data, never a commit point. */
  async #writeState(always: boolean): Promise<void> {
    const now = this.#o.clock.monotonicMs();
    const { chainOffset, segment } = this.#chain;
    if (chainOffset < 0 || (!always && now - this.#stateWrittenMs < this.#o.settings.stateIntervalMs)) return;
    await this.#o.local.write(this.state.head, chainOffset, segment);
    // Not before it is written: a disk that stays full must be noticed as a failure that lasts.
    this.#stateWrittenMs = now;
  }
}

/** Consecutive values in groups of at most `maxBytes`; a larger value is alone in its group. */
function grouped(values: readonly Uint8Array[], maxBytes: number): Uint8Array[][] {
  const groups: Uint8Array[][] = [];
  let bytes = maxBytes;
  for (const value of values) {
    bytes += value.length;
    if (bytes > maxBytes) {
      groups.push([]);
      bytes = value.length;
    }
    groups.at(-1)?.push(value);
  }
  return groups;
}
